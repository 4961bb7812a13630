// title: What holds a cluster together
// purpose: The identifiers that tie members of a cluster, those that most of them use first, with the members that
//    nothing else ties to it. Only uses that made a tie count.
// parameter: cluster_id text | A cluster's id.
// parameter: limit integer 1..100000 = 50 | Rows.
// example: cluster_id=cl_4t6hq2mzxa
// column: type text | How members use it.
// column: key text | Its key.
// column: identifier text | What people see of it.
// column: members integer | Members that it ties.
// column: only_tie integer | Those of them that no other identifier ties.
// column: organizations integer | All organizations that use it.
MATCH (c:Cluster {run: $run, cluster_id: $cluster_id})<-[:MEMBER_OF]-(o:Organization)
WITH o
MATCH (o)-[u]->(i)
WHERE u.weight IS NOT NULL
WITH i, type(u) AS type, collect(o) AS users
WHERE size(users) > 1
UNWIND users AS o
WITH o, collect([i, type]) AS held
WITH held, size(held) AS ties
UNWIND held AS each
WITH each[0] AS i, each[1] AS type, count(*) AS members, sum(CASE ties WHEN 1 THEN 1 ELSE 0 END) AS only_tie
RETURN
  type,
  i.key AS key,
  i.display AS identifier,
  members,
  only_tie,
  i.degree AS organizations
ORDER BY members DESC, organizations, type, key
LIMIT $limit
