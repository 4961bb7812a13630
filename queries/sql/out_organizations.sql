-- title: Organizations of the run
-- purpose: Every organization, clustered or not, with its cluster and risk where it has one.
-- reads: organizations, scored_members, scored_clusters
-- writes: out_organizations
SELECT
    o.org_id,
    o.organization,
    o.created_at,
    o.first_at,
    o.last_at,
    o.country,
    o.plan,
    o.cost,
    o.events,
    c.cluster_id,
    m.risk AS member_risk
FROM organizations AS o
LEFT JOIN scored_members AS m ON o.org = m.org
LEFT JOIN scored_clusters AS c ON m.cluster = c.cluster
ORDER BY o.org
