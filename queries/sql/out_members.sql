-- title: Members
-- purpose: Every member of every cluster, one row each: whether it may be acted on without a person looking, and why it
--    is spared where it may not.
-- reads: scored_members, scored_clusters, organizations, admitted, protected_organizations, org_labels, admission_recipe
-- writes: out_members
WITH decided AS (
    SELECT
        m.org,
        a.org IS NOT NULL AND a.spared_reason IS NULL AS actionable,
        CASE
            WHEN a.org IS NOT NULL THEN a.spared_reason
            WHEN m.org IN (SELECT org FROM protected_organizations) THEN 'protected'
            WHEN m.org IN (SELECT org FROM org_labels WHERE label = 'legitimate') THEN 'labelled legitimate'
            WHEN c.risk < r.cluster_risk THEN 'risk of the cluster below threshold'
            ELSE 'risk below threshold'
        END AS spared_reason
    FROM scored_members AS m
    INNER JOIN scored_clusters AS c ON m.cluster = c.cluster
    LEFT JOIN admitted AS a ON m.org = a.org
    CROSS JOIN admission_recipe AS r
)
SELECT
    o.org_id,
    o.organization,
    c.cluster_id,
    ROUND(c.risk, 6) AS cluster_risk,
    ROUND(m.risk, 6) AS member_risk,
    d.actionable,
    d.spared_reason,
    c.top_evidence,
    o.first_at,
    o.last_at,
    ROUND(o.cost, 6) AS cost
FROM scored_members AS m
INNER JOIN scored_clusters AS c ON m.cluster = c.cluster
INNER JOIN organizations AS o ON m.org = o.org
INNER JOIN decided AS d ON m.org = d.org
ORDER BY c.cluster_id, o.org
