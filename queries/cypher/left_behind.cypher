// title: What a ring left behind after a restriction
// purpose: Members without a status that signed up or were active after the first action on their cluster: accounts
//    that the restriction missed, and those that replace it. `since` stands for an `organization_restricted` event
//    of which the graph has no status.
// parameter: cluster_id text = none | Only this cluster.
// parameter: since timestamp = none | When the restriction was; by default the first status of a member.
// parameter: limit integer 1..100000 = 200 | Rows.
// example: since=2025-10-01T06:00:00Z
// column: cluster_id text | The cluster.
// column: restricted_at timestamp | When the restriction was.
// column: org_id text | The organization.
// column: signed_up_after boolean | It was created after that; else it was there, and went on.
// column: member_risk number | How sure its membership is.
// column: created_at timestamp | When it was created.
// column: last_at timestamp | Its last event.
// column: cost number | What serving it cost.
MATCH (c:Cluster {run: $run})<-[:MEMBER_OF]-(o:Organization)
WHERE $cluster_id IS NULL OR c.cluster_id = $cluster_id
WITH c, min(o.status_at) AS acted_at
WITH c, coalesce($since, acted_at) AS restricted_at
WHERE restricted_at IS NOT NULL
MATCH (c)<-[m:MEMBER_OF]-(o:Organization)
WHERE o.status IS NULL AND (o.created_at > restricted_at OR o.last_at > restricted_at)
WITH c, restricted_at, m, o
ORDER BY m.member_risk DESC, o.key
LIMIT $limit
RETURN
  c.cluster_id AS cluster_id,
  restricted_at,
  o.org_id AS org_id,
  coalesce(o.created_at > restricted_at, false) AS signed_up_after,
  m.member_risk AS member_risk,
  o.created_at AS created_at,
  o.last_at AS last_at,
  o.cost AS cost
ORDER BY member_risk DESC, o.key
