-- SQLite's answer to queries/cypher/promo_codes_of_rings.cypher, whose header describes both.
WITH found AS (
    SELECT u.target AS shared, count(DISTINCT m.target) AS clusters, count(*) AS in_rings
    FROM Cluster AS c
    CROSS JOIN MEMBER_OF AS m ON m.target = c.id
    CROSS JOIN USED_PROMO_CODE AS u ON u.source = m.source
    WHERE c.risk >= $min_risk
    GROUP BY u.target
)
SELECT
    p.key,
    p.display AS promo_code,
    f.in_rings,
    f.clusters,
    p.degree AS organizations,
    p.first_at,
    p.last_at
FROM found AS f
JOIN PromoCode AS p ON p.id = f.shared
ORDER BY f.in_rings DESC, p.degree, p.key
LIMIT $limit
