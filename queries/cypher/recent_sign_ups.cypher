// title: Recent sign-ups in clusters
// purpose: Members of clusters that were created in the hours before the run's as-of, the riskiest first: what a
//    ring does today.
// parameter: hours number 0..100000 = 24 | How far to look back.
// parameter: min_risk number 0..100 = 0 | Only clusters of at least this risk.
// parameter: limit integer 1..100000 = 50 | Rows.
// example: hours=48
// column: org_id text | The organization.
// column: created_at timestamp | When it was created.
// column: member_risk number | How sure its membership is.
// column: cluster_id text | Its cluster.
// column: name text | The cluster's name.
// column: cluster_risk number | The cluster's risk.
// column: plan text | Its latest plan.
// column: cost number | What serving it cost.
MATCH (run:Run {run: $run})<-[:IN_RUN]-(c:Cluster)<-[m:MEMBER_OF]-(o:Organization)
WHERE c.risk >= $min_risk
  AND o.created_at > run.as_of - duration({microseconds: toInteger($hours * 3600000000)})
  AND o.created_at <= run.as_of
RETURN
  o.org_id AS org_id,
  o.created_at AS created_at,
  m.member_risk AS member_risk,
  c.cluster_id AS cluster_id,
  c.name AS name,
  c.risk AS cluster_risk,
  o.plan AS plan,
  o.cost AS cost
ORDER BY member_risk DESC, o.key
LIMIT $limit
