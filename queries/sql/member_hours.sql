-- title: Consumption of members by the hour
-- purpose: What each member's calls cost in each hour (counted since 1970), and what credit it was given and used.
-- reads: hours_parts, organizations, members
-- writes: member_hours
WITH wanted AS (
    SELECT DISTINCT o.org, o.organization
    FROM organizations AS o
    INNER JOIN members AS m ON o.org = m.org
),
own AS (
    SELECT
        w.org,
        h.hour,
        CAST(SUM(h.cost) AS DOUBLE) AS cost,
        CAST(SUM(h.credit) AS DOUBLE) AS credit,
        CAST(SUM(h.credit_used) AS DOUBLE) AS credit_used
    FROM hours_parts AS h
    INNER JOIN wanted AS w ON h.organization = w.organization
    GROUP BY w.org, h.hour
)
SELECT m.cluster, n.org, n.hour, n.cost, n.credit, n.credit_used
FROM own AS n
INNER JOIN members AS m ON n.org = m.org
