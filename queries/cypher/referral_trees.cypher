// title: The largest referral trees
// purpose: Organizations that nobody brought, by how many they brought themselves and through others, up to eight
//    steps down: referral rings beside genuine ambassadors, whose people are in no cluster.
// parameter: min_direct integer 1..1000000 = 1 | Organizations that the root itself brought.
// parameter: max_degree integer 1..100000 = 10000 | Below who brought more nobody is counted.
// parameter: limit integer 1..100000 = 50 | Rows.
// example: min_direct=2
// column: org_id text | The root.
// column: organizations integer | Organizations below it; at least so many where `max_degree` cut in.
// column: direct integer | Organizations that it brought itself.
// column: depth integer | Steps down to the farthest of them.
// column: clustered integer | Those of them that are in a cluster.
// column: highest_risk number | The largest risk of their clusters; null where there are none.
MATCH (root:Organization {run: $run})
WHERE root.referred >= $min_direct AND NOT EXISTS { (root)-[:REFERRED_BY]->(:Organization) }
WITH root
OPTIONAL MATCH (root)((x:Organization)<-[r:REFERRED_BY]-(y:Organization) WHERE x.referred <= $max_degree){1,8}(o:Organization)
WITH root, o, min(size(r)) AS steps
OPTIONAL MATCH (o)-[:MEMBER_OF]->(c:Cluster)
WITH
  root,
  count(DISTINCT o) AS found,
  max(steps) AS steps,
  count(DISTINCT CASE WHEN c IS NOT NULL THEN o END) AS clustered,
  max(c.risk) AS highest_risk
RETURN
  root.org_id AS org_id,
  CASE WHEN found < root.referred THEN root.referred ELSE found END AS organizations,
  root.referred AS direct,
  coalesce(steps, 1) AS depth,
  clustered,
  highest_risk
ORDER BY organizations DESC, root.key
LIMIT $limit
