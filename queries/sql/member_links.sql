-- title: Links of members
-- purpose: What each member of a group used: first, last, how often, how many members of the group used it too
--    (sharers) and how many organizations of all did (organizations; 1 where only this one did). Groups below
--    zero are random ones, which give every signal its baseline.
-- reads: link_parts, organizations, members, shared_identifiers, degrees
-- writes: member_links
WITH wanted AS (
    SELECT DISTINCT o.org, o.organization
    FROM organizations AS o
    INNER JOIN members AS m ON o.org = m.org
),
own AS (
    SELECT
        w.org,
        l.kind,
        l.key,
        MIN(l.first_at) AS first_at,
        MAX(l.last_at) AS last_at,
        CAST(SUM(l.uses) AS BIGINT) AS uses
    FROM link_parts AS l
    INNER JOIN wanted AS w ON l.organization = w.organization
    GROUP BY w.org, l.kind, l.key
),
grouped AS (
    SELECT m.cluster, n.org, n.kind, n.key, n.first_at, n.last_at, n.uses
    FROM own AS n
    INNER JOIN members AS m ON n.org = m.org
)
SELECT
    g.cluster,
    g.org,
    g.kind,
    g.key,
    g.first_at,
    g.last_at,
    g.uses,
    COUNT(*) OVER (PARTITION BY g.cluster, g.kind, g.key) AS sharers,
    COALESCE(d.organizations, 1) AS organizations
FROM grouped AS g
LEFT JOIN shared_identifiers AS s ON g.kind = s.kind AND g.key = s.key
LEFT JOIN degrees AS d ON s.entity = d.entity
