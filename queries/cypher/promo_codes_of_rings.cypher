// title: Promotion codes that rings redeem
// purpose: Promotion codes by the number of organizations in risky clusters that redeemed them, beside all that did:
//    which promotion is being farmed, and how much of it is genuine.
// parameter: min_risk number 0..100 = 50 | A cluster of at least this risk is a risky one.
// parameter: limit integer 1..100000 = 50 | Rows.
// example: min_risk=80
// column: key text | Its key.
// column: promo_code text | The code.
// column: in_rings integer | Organizations in risky clusters that redeemed it.
// column: clusters integer | Their clusters.
// column: organizations integer | All organizations that redeemed it.
// column: first_at timestamp | First redemption by anybody.
// column: last_at timestamp | Last redemption by anybody.
MATCH (c:Cluster {run: $run})<-[:MEMBER_OF]-(o:Organization)
WHERE c.risk >= $min_risk
WITH c, o
MATCH (o)-[:USED_PROMO_CODE]->(p:PromoCode)
WITH p, count(DISTINCT c) AS clusters, count(*) AS in_rings
RETURN
  p.key AS key,
  p.display AS promo_code,
  in_rings,
  clusters,
  p.degree AS organizations,
  p.first_at AS first_at,
  p.last_at AS last_at
ORDER BY in_rings DESC, organizations, key
LIMIT $limit
