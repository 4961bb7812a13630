-- title: Activity of members
-- purpose: What each member of a group did, by type of event.
-- reads: activity_parts, organizations, members
-- writes: member_activity
WITH wanted AS (
    SELECT DISTINCT o.org, o.organization
    FROM organizations AS o
    INNER JOIN members AS m ON o.org = m.org
),
own AS (
    SELECT
        w.org,
        a.event_type,
        CAST(SUM(a.events) AS BIGINT) AS events,
        MIN(a.first_at) AS first_at,
        MAX(a.last_at) AS last_at,
        CAST(SUM(a.tokens) AS BIGINT) AS tokens,
        CAST(SUM(a.probes) AS BIGINT) AS probes,
        CAST(SUM(a.cost) AS DOUBLE) AS cost,
        CAST(SUM(a.credit) AS DOUBLE) AS credit,
        CAST(SUM(a.credit_used) AS DOUBLE) AS credit_used,
        CAST(SUM(a.reward) AS DOUBLE) AS reward,
        CAST(SUM(a.amount) AS DOUBLE) AS amount,
        MAX(a.hidden) AS hidden
    FROM activity_parts AS a
    INNER JOIN wanted AS w ON a.organization = w.organization
    GROUP BY w.org, a.event_type
)
SELECT
    m.cluster,
    n.org,
    n.event_type,
    n.events,
    n.first_at,
    n.last_at,
    n.tokens,
    n.probes,
    n.cost,
    n.credit,
    n.credit_used,
    n.reward,
    n.amount,
    n.hidden
FROM own AS n
INNER JOIN members AS m ON n.org = m.org
