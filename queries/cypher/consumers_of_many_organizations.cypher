// title: Consumers that use many organizations
// purpose: Who sends inference as many organizations, with keys of each: access that is bundled and resold.
// parameter: min_organizations integer 2..1000000 = 3 | Organizations that use it.
// parameter: max_degree integer 0..100000 = 1000 | Clusters are counted where at most so many organizations use it.
// parameter: limit integer 1..100000 = 50 | Rows.
// example: min_organizations=3
// column: key text | Its key.
// column: consumer text | The consumer.
// column: organizations integer | Organizations that use it.
// column: clusters integer | Their clusters; null above `max_degree`.
// column: highest_risk number | The largest risk of those; null where there are none.
// column: first_at timestamp | First use by anybody.
// column: last_at timestamp | Last use by anybody.
MATCH (k:Consumer {run: $run})
WHERE k.degree >= $min_organizations
WITH k
ORDER BY k.degree DESC, k.key
LIMIT $limit
CALL (k) {
  WITH k
  WHERE k.degree <= $max_degree
  MATCH (o:Organization)-[:SERVED_CONSUMER]->(k)
  OPTIONAL MATCH (o)-[:MEMBER_OF]->(c:Cluster)
  RETURN count(DISTINCT c) AS clusters, max(c.risk) AS highest_risk
}
RETURN
  k.key AS key,
  k.display AS consumer,
  k.degree AS organizations,
  CASE WHEN k.degree <= $max_degree THEN clusters END AS clusters,
  highest_risk,
  k.first_at AS first_at,
  k.last_at AS last_at
ORDER BY organizations DESC, key
