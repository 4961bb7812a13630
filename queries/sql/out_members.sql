-- title: Members
-- purpose: Every member of every cluster, one row each. Admission is not evaluated yet, so nobody is actionable.
-- reads: scored_members, scored_clusters, organizations
-- writes: out_members
SELECT
    o.org_id,
    o.organization,
    c.cluster_id,
    ROUND(c.risk, 6) AS cluster_risk,
    ROUND(m.risk, 6) AS member_risk,
    FALSE AS actionable,
    'admission not evaluated' AS spared_reason,
    c.top_evidence,
    o.first_at,
    o.last_at,
    ROUND(o.cost, 6) AS cost
FROM scored_members AS m
INNER JOIN scored_clusters AS c ON m.cluster = c.cluster
INNER JOIN organizations AS o ON m.org = o.org
ORDER BY c.cluster_id, o.org
