-- SQLite's answer to queries/cypher/created_together.cypher, whose header describes both.
WITH made AS MATERIALIZED (
    SELECT i.id AS ip, o.id, o.org_id, o.created_at
    FROM Ip AS i
    CROSS JOIN USED_IP AS u ON u.target = i.id
    CROSS JOIN Organization AS o ON o.id = u.source
    WHERE
        i.degree >= 2
        AND i.degree <= $max_degree
        AND o.created_at IS NOT NULL
        AND u.first_at <= o.created_at + $seconds * 1000000
),
counted AS (
    SELECT
        m.ip,
        m.id,
        m.created_at,
        count(*) OVER later AS created,
        max(m.created_at) OVER later AS last_created_at
    FROM made AS m
    WINDOW later AS (
        PARTITION BY m.ip ORDER BY m.created_at
        RANGE BETWEEN CURRENT ROW AND $seconds * 1000000 FOLLOWING
    )
),
ranked AS (
    SELECT
        c.ip,
        c.created,
        c.created_at,
        c.last_created_at,
        row_number() OVER (PARTITION BY c.ip ORDER BY c.created DESC, c.created_at, c.id) AS place
    FROM counted AS c
    WHERE c.created >= $min_organizations
),
top AS MATERIALIZED (
    SELECT i.id, i.key, i.display, r.created, i.degree, r.created_at, r.last_created_at
    FROM ranked AS r
    JOIN Ip AS i ON i.id = r.ip
    WHERE r.place = 1
    ORDER BY r.created DESC, i.degree, i.key
    LIMIT $limit
)
SELECT
    t.key,
    t.display AS address,
    t.created,
    t.degree AS organizations,
    t.created_at AS first_created_at,
    t.last_created_at,
    (
        SELECT group_concat(r.org_id, ';')
        FROM (
            SELECT m.org_id
            FROM made AS m
            WHERE m.ip = t.id AND m.created_at BETWEEN t.created_at AND t.last_created_at
            ORDER BY m.created_at, m.id
            LIMIT 5
        ) AS r
    ) AS org_ids
FROM top AS t
ORDER BY t.created DESC, t.degree, t.key
