-- title: Organizations of the run
-- purpose: Every organization, clustered or not, with its cluster and risk where it has one.
-- reads: organizations, scored_members, scored_clusters, referrals
-- writes: out_organizations
WITH brought AS (
    SELECT referrer, COUNT(*) AS organizations
    FROM referrals
    GROUP BY referrer
)
SELECT
    o.org_id,
    o.organization,
    o.created_at,
    o.first_at,
    o.last_at,
    o.country,
    o.plan,
    ROUND(o.cost, 6) AS cost,
    o.events,
    COALESCE(b.organizations, 0) AS referred,
    c.cluster_id,
    ROUND(m.risk, 6) AS member_risk
FROM organizations AS o
LEFT JOIN brought AS b ON o.org = b.referrer
LEFT JOIN scored_members AS m ON o.org = m.org
LEFT JOIN scored_clusters AS c ON m.cluster = c.cluster
ORDER BY o.org
