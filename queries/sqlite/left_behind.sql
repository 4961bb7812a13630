-- SQLite's answer to queries/cypher/left_behind.cypher, whose header describes both.
WITH acted AS (
    SELECT m.target AS cluster, min(k.status_at) AS acted_at
    FROM OrganizationKept AS k
    CROSS JOIN Organization AS o ON o.key = k.key
    CROSS JOIN MEMBER_OF AS m ON m.source = o.id
    GROUP BY m.target
),
restricted AS MATERIALIZED (
    SELECT c.id, c.cluster_id, coalesce($since, a.acted_at) AS restricted_at
    FROM Cluster AS c
    LEFT JOIN acted AS a ON a.cluster = c.id
    WHERE
        ($cluster_id IS NULL OR c.cluster_id = $cluster_id)
        AND coalesce($since, a.acted_at) IS NOT NULL
)
SELECT
    r.cluster_id,
    r.restricted_at,
    o.org_id,
    coalesce(o.created_at > r.restricted_at, 0) AS signed_up_after,
    m.member_risk,
    o.created_at,
    o.last_at,
    o.cost
FROM restricted AS r
CROSS JOIN MEMBER_OF AS m ON m.target = r.id
CROSS JOIN Organization AS o ON o.id = m.source
LEFT JOIN OrganizationKept AS k ON k.key = o.key
WHERE k.status IS NULL AND (o.created_at > r.restricted_at OR o.last_at > r.restricted_at)
ORDER BY m.member_risk DESC, o.key
LIMIT $limit
