// title: Referral loops
// purpose: Organizations that brought each other in a circle, which no genuine customer does. A loop is told once,
//    from its member with the smallest key.
// parameter: max_length integer 1..8 = 6 | Organizations in a loop at most.
// parameter: limit integer 1..100000 = 50 | Rows.
// example: max_length=4
// column: length integer | Organizations in the loop.
// column: organizations text | Their ids, each brought by the next one.
// column: cluster_id text | Cluster of the first; null where it has none.
// column: risk number | Its risk.
// column: begun_at timestamp | First redemption of the loop.
// column: closed_at timestamp | Last redemption of the loop.
MATCH (a:Organization {run: $run})
WHERE a.referred > 0
MATCH path = (a)-[:REFERRED_BY*1..8]->(a)
WHERE all(n IN nodes(path) WHERE n.key >= a.key)
  AND all(n IN tail(nodes(path)) WHERE single(m IN tail(nodes(path)) WHERE m = n))
WITH a, path
WHERE length(path) <= $max_length
WITH
  a,
  length(path) AS length,
  reduce(text = a.org_id, n IN tail(nodes(path)) | text + ' → ' + n.org_id) AS organizations,
  [r IN relationships(path) | r.first_at] AS moments
ORDER BY length, a.key, organizations
LIMIT $limit
UNWIND moments AS moment
WITH a, length, organizations, min(moment) AS begun_at, max(moment) AS closed_at
OPTIONAL MATCH (a)-[:MEMBER_OF]->(c:Cluster)
RETURN length, organizations, c.cluster_id AS cluster_id, c.risk AS risk, begun_at, closed_at
ORDER BY length, a.key, organizations
