// title: Payment methods shared across clusters
// purpose: Cards and accounts that members of several clusters use: one operator behind clusters that nothing else
//    ties, or a card that is resold.
// parameter: min_clusters integer 1..1000000 = 2 | Clusters whose members use it.
// parameter: min_risk number 0..100 = 0 | Only clusters of at least this risk count.
// parameter: limit integer 1..100000 = 50 | Rows.
// example: min_clusters=2 min_risk=50
// column: key text | Its key.
// column: payment_method text | What people see of it.
// column: clusters integer | Clusters whose members use it.
// column: members integer | Members of those clusters that use it.
// column: organizations integer | All organizations that use it.
// column: riskiest_clusters text | Up to five of the clusters, the riskiest first, joined by `;`.
// column: last_at timestamp | Last use by anybody.
MATCH (c:Cluster {run: $run})<-[:MEMBER_OF]-(o:Organization)
WHERE c.risk >= $min_risk
WITH c, o
MATCH (o)-[:USED_PAYMENT_METHOD]->(p:PaymentMethod)
WITH p, c, count(*) AS used
ORDER BY c.risk DESC, c.cluster_id
WITH p, collect(c.cluster_id) AS ids, sum(used) AS members
WHERE size(ids) >= $min_clusters
RETURN
  p.key AS key,
  p.display AS payment_method,
  size(ids) AS clusters,
  members,
  p.degree AS organizations,
  reduce(text = head(ids), id IN ids[1..5] | text + ';' + id) AS riskiest_clusters,
  p.last_at AS last_at
ORDER BY clusters DESC, organizations, key
LIMIT $limit
