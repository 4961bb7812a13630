-- title: Clients of members
-- purpose: With which client software each member of a group called models, how often that software reported of itself
--    for this member, and how usual it is that it does: of the organizations that call models with it, how many ever
--    had it report.
-- reads: clients_parts, organizations, members
-- writes: member_clients
WITH own AS (
    SELECT
        organization,
        user_agent,
        SUM(calls) AS calls,
        SUM(reports) AS reports,
        MIN(first_at) AS first_at
    FROM clients_parts
    GROUP BY organization, user_agent
),
habits AS (
    SELECT
        user_agent,
        COUNT(*) AS organizations,
        SUM(CASE WHEN reports > 0 THEN 1 ELSE 0 END) AS reporting
    FROM own
    WHERE calls > 0
    GROUP BY user_agent
)
SELECT
    m.cluster,
    m.org,
    w.user_agent AS key,
    CAST(w.calls AS BIGINT) AS calls,
    CAST(w.reports AS BIGINT) AS reports,
    w.first_at,
    COALESCE(h.organizations, 0) AS organizations,
    CAST(COALESCE(h.reporting, 0) AS BIGINT) AS reporting
FROM own AS w
INNER JOIN organizations AS o ON w.organization = o.organization
INNER JOIN members AS m ON o.org = m.org
LEFT JOIN habits AS h ON w.user_agent IS NOT DISTINCT FROM h.user_agent
