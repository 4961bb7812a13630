-- SQLite's answer to queries/cypher/recent_sign_ups.cypher, whose header describes both.
SELECT
    o.org_id,
    o.created_at,
    m.member_risk,
    c.cluster_id,
    c.name,
    c.risk AS cluster_risk,
    o.plan,
    o.cost
FROM Run AS run
CROSS JOIN IN_RUN AS f ON f.target = run.id
CROSS JOIN Cluster AS c ON c.id = f.source
CROSS JOIN MEMBER_OF AS m ON m.target = c.id
CROSS JOIN Organization AS o ON o.id = m.source
WHERE
    c.risk >= $min_risk
    AND o.created_at > run.as_of - CAST($hours * 3600000000 AS INTEGER)
    AND o.created_at <= run.as_of
ORDER BY m.member_risk DESC, o.key
LIMIT $limit
