-- SQLite's answer to queries/cypher/look_alike_names.cypher, whose header describes both.
WITH used AS MATERIALIZED (
    SELECT u.target AS shared, m.target AS cluster, count(*) AS members
    FROM Cluster AS c
    CROSS JOIN MEMBER_OF AS m ON m.target = c.id
    CROSS JOIN HAS_NAME AS u ON u.source = m.source
    WHERE c.risk >= $min_risk
    GROUP BY u.target, m.target
),
found AS (
    SELECT shared, count(*) AS clusters, sum(members) AS members
    FROM used
    GROUP BY shared
    HAVING count(*) >= $min_clusters
),
top AS MATERIALIZED (
    SELECT n.id, n.key, n.display, n.hidden, f.clusters, f.members, n.degree
    FROM found AS f
    JOIN Name AS n ON n.id = f.shared
    ORDER BY f.clusters DESC, n.degree, n.key
    LIMIT $limit
)
SELECT
    t.key,
    t.display AS name,
    t.hidden AS disguised,
    t.clusters,
    t.members,
    t.degree AS organizations,
    (
        SELECT group_concat(r.cluster_id, ';')
        FROM (
            SELECT c.cluster_id
            FROM used AS u
            JOIN Cluster AS c ON c.id = u.cluster
            WHERE u.shared = t.id
            ORDER BY c.risk DESC, c.cluster_id
            LIMIT 5
        ) AS r
    ) AS riskiest_clusters
FROM top AS t
ORDER BY t.clusters DESC, t.degree, t.key
