// title: The riskiest members that nothing was done about
// purpose: Members of clusters without a status, the riskiest first: what is left to do.
// parameter: min_risk number 0..100 = 80 | Only members of at least this risk.
// parameter: cluster_id text = none | Only members of this cluster.
// parameter: limit integer 1..100000 = 50 | Rows.
// example: min_risk=30
// column: org_id text | The organization.
// column: member_risk number | How sure its membership is.
// column: cluster_id text | Its cluster.
// column: cluster_risk number | The cluster's risk.
// column: actionable boolean | It may be acted on without a person looking.
// column: spared_reason text | Why it may not; null where it may.
// column: cost number | What serving it cost.
// column: last_at timestamp | Its last event.
MATCH (c:Cluster {run: $run})<-[m:MEMBER_OF]-(o:Organization)
WHERE ($cluster_id IS NULL OR c.cluster_id = $cluster_id)
  AND m.member_risk >= $min_risk
  AND o.status IS NULL
WITH c, m, o
ORDER BY m.member_risk DESC, o.key
LIMIT $limit
RETURN
  o.org_id AS org_id,
  m.member_risk AS member_risk,
  c.cluster_id AS cluster_id,
  c.risk AS cluster_risk,
  m.actionable AS actionable,
  m.spared_reason AS spared_reason,
  o.cost AS cost,
  o.last_at AS last_at
ORDER BY member_risk DESC, o.key
