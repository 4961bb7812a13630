-- SQLite's answer to queries/cypher/consumers_of_many_organizations.cypher, whose header describes both.
WITH top AS MATERIALIZED (
    SELECT k.id, k.key, k.display, k.degree, k.first_at, k.last_at
    FROM Consumer AS k
    WHERE k.degree >= $min_organizations
    ORDER BY k.degree DESC, k.key
    LIMIT $limit
),
counted AS MATERIALIZED (
    SELECT t.id, count(DISTINCT m.target) AS clusters, max(c.risk) AS highest_risk
    FROM top AS t
    CROSS JOIN SERVED_CONSUMER AS u ON u.target = t.id
    LEFT JOIN MEMBER_OF AS m ON m.source = u.source
    LEFT JOIN Cluster AS c ON c.id = m.target
    WHERE t.degree <= $max_degree
    GROUP BY t.id
)
SELECT
    t.key,
    t.display AS consumer,
    t.degree AS organizations,
    n.clusters,
    n.highest_risk,
    t.first_at,
    t.last_at
FROM top AS t
LEFT JOIN counted AS n ON n.id = t.id
ORDER BY t.degree DESC, t.key
