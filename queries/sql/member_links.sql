-- title: Links of members
-- purpose: What each member of a group used: first, last, how often, how many members of the group used it too
--    (sharers), how many organizations of all did (organizations; 1 where only this one did), and whether it is a
--    place, where strangers meet. Groups below zero are random ones, which give every signal its baseline.
-- reads: links_parts, organizations, members, shared_identifiers, degrees,
--    linked_kinds, places
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
    FROM links_parts AS l
    INNER JOIN wanted AS w ON l.organization = w.organization
    GROUP BY w.org, l.kind, l.key
),
known AS (
    SELECT s.kind, s.key, s.entity, d.organizations, p.entity IS NOT NULL AS place
    FROM shared_identifiers AS s
    INNER JOIN degrees AS d ON s.entity = d.entity
    LEFT JOIN places AS p ON s.entity = p.entity
),
grouped AS (
    SELECT m.cluster, n.org, n.kind, n.key, n.first_at, n.last_at, n.uses, k.entity, k.organizations, k.place
    FROM own AS n
    INNER JOIN members AS m ON n.org = m.org
    LEFT JOIN known AS k ON n.kind = k.kind AND n.key = k.key
),
sharing AS (
    SELECT cluster, entity, COUNT(*) AS sharers
    FROM grouped
    WHERE entity IS NOT NULL
    GROUP BY cluster, entity
),
others AS (
    -- kinds whose sharing is not followed have no numbers; counted by their long keys, which is slower
    SELECT cluster, kind, key, COUNT(*) AS sharers
    FROM grouped
    WHERE kind NOT IN (SELECT kind FROM linked_kinds)
    GROUP BY cluster, kind, key
)
SELECT
    g.cluster,
    g.org,
    g.kind,
    g.key,
    g.first_at,
    g.last_at,
    g.uses,
    COALESCE(s.sharers, o.sharers, 1) AS sharers,
    COALESCE(g.organizations, 1) AS organizations,
    COALESCE(g.place, FALSE) AS place
FROM grouped AS g
LEFT JOIN sharing AS s ON g.cluster = s.cluster AND g.entity = s.entity
LEFT JOIN others AS o ON g.cluster = o.cluster AND g.kind = o.kind AND g.key = o.key
