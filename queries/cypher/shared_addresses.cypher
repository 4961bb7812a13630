// title: Addresses shared by many clusters
// purpose: Addresses that members of several clusters used, with the bystanders on them: proxies, data centres and
//    networks of whole towns. An address with many bystanders convicts nobody.
// parameter: min_clusters integer 1..1000000 = 3 | Clusters whose members used it.
// parameter: min_risk number 0..100 = 0 | Only clusters of at least this risk count.
// parameter: limit integer 1..100000 = 50 | Rows.
// example: min_clusters=2
// column: key text | Its key.
// column: address text | The address.
// column: clusters integer | Clusters whose members used it.
// column: members integer | Members of those clusters that used it.
// column: organizations integer | All organizations that used it.
// column: bystanders integer | Those of them that are in none of the clusters.
// column: first_at timestamp | First use by anybody.
// column: last_at timestamp | Last use by anybody.
MATCH (c:Cluster {run: $run})<-[:MEMBER_OF]-(o:Organization)
WHERE c.risk >= $min_risk
WITH c, o
MATCH (o)-[:USED_IP]->(i:Ip)
WITH i, count(DISTINCT c) AS clusters, count(*) AS members
WHERE clusters >= $min_clusters
RETURN
  i.key AS key,
  i.display AS address,
  clusters,
  members,
  i.degree AS organizations,
  i.degree - members AS bystanders,
  i.first_at AS first_at,
  i.last_at AS last_at
ORDER BY clusters DESC, organizations DESC, key
LIMIT $limit
