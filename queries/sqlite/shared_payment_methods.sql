-- SQLite's answer to queries/cypher/shared_payment_methods.cypher, whose header describes both.
WITH used AS MATERIALIZED (
    SELECT u.target AS shared, m.target AS cluster, count(*) AS members
    FROM Cluster AS c
    CROSS JOIN MEMBER_OF AS m ON m.target = c.id
    CROSS JOIN USED_PAYMENT_METHOD AS u ON u.source = m.source
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
    SELECT p.id, p.key, p.display, f.clusters, f.members, p.degree, p.last_at
    FROM found AS f
    JOIN PaymentMethod AS p ON p.id = f.shared
    ORDER BY f.clusters DESC, p.degree, p.key
    LIMIT $limit
)
SELECT
    t.key,
    t.display AS payment_method,
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
    ) AS riskiest_clusters,
    t.last_at
FROM top AS t
ORDER BY t.clusters DESC, t.degree, t.key
