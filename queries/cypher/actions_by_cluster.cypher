// title: What actions covered, by cluster
// purpose: Clusters with how many of their members have a status and how many are left: whether a ring was contained
//    as a whole.
// parameter: min_risk number 0..100 = 50 | Only clusters of at least this risk.
// parameter: limit integer 1..100000 = 50 | Rows.
// example: min_risk=30
// column: cluster_id text | The cluster.
// column: name text | Its name.
// column: risk number | Its risk.
// column: members integer | Its organizations.
// column: acted_on integer | Those with a status.
// column: untouched integer | Those without.
// column: first_action_at timestamp | The first status; null where there is none.
// column: last_action_at timestamp | The last status; null where there is none.
// column: cost number | What serving all its members cost.
MATCH (c:Cluster {run: $run})<-[:MEMBER_OF]-(o:Organization)
WHERE c.risk >= $min_risk
WITH
  c,
  count(*) AS members,
  count(o.status) AS acted_on,
  min(o.status_at) AS first_action_at,
  max(o.status_at) AS last_action_at
RETURN
  c.cluster_id AS cluster_id,
  c.name AS name,
  c.risk AS risk,
  members,
  acted_on,
  members - acted_on AS untouched,
  first_action_at,
  last_action_at,
  c.cost AS cost
ORDER BY risk DESC, cluster_id
LIMIT $limit
