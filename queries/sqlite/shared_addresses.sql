-- SQLite's answer to queries/cypher/shared_addresses.cypher, whose header describes both.
WITH found AS (
    SELECT u.target AS shared, count(DISTINCT m.target) AS clusters, count(*) AS members
    FROM Cluster AS c
    CROSS JOIN MEMBER_OF AS m ON m.target = c.id
    CROSS JOIN USED_IP AS u ON u.source = m.source
    WHERE c.risk >= $min_risk
    GROUP BY u.target
    HAVING count(DISTINCT m.target) >= $min_clusters
)
SELECT
    i.key,
    i.display AS address,
    f.clusters,
    f.members,
    i.degree AS organizations,
    i.degree - f.members AS bystanders,
    i.first_at,
    i.last_at
FROM found AS f
JOIN Ip AS i ON i.id = f.shared
ORDER BY f.clusters DESC, i.degree DESC, i.key
LIMIT $limit
