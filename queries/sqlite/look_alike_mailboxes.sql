-- SQLite's answer to queries/cypher/look_alike_mailboxes.cypher, whose header describes both.
WITH alike AS MATERIALIZED (
    SELECT e.skeleton AS look, count(*) AS spellings
    FROM Email AS e
    WHERE e.degree <= $max_degree AND e.skeleton IS NOT NULL
    GROUP BY e.skeleton
    HAVING count(*) >= $min_spellings
),
spelled AS MATERIALIZED (
    SELECT a.look, a.spellings, e.id, e.key, e.canonical
    FROM alike AS a
    JOIN Email AS e ON e.skeleton = a.look
    WHERE e.degree <= $max_degree
),
found AS (
    SELECT
        s.look,
        s.spellings,
        count(DISTINCT u.source) AS organizations,
        count(DISTINCT m.target) AS clusters
    FROM spelled AS s
    CROSS JOIN USED_EMAIL AS u ON u.target = s.id
    LEFT JOIN MEMBER_OF AS m ON m.source = u.source
    GROUP BY s.look, s.spellings
    ORDER BY clusters DESC, organizations DESC, s.look
    LIMIT $limit
)
SELECT
    f.look,
    f.spellings,
    f.organizations,
    f.clusters,
    (
        SELECT group_concat(r.canonical, ';')
        FROM (
            SELECT s.canonical
            FROM spelled AS s
            WHERE s.look = f.look
            ORDER BY s.key
            LIMIT 5
        ) AS r
    ) AS mailboxes
FROM found AS f
ORDER BY f.clusters DESC, f.organizations DESC, f.look
