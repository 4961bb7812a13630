-- SQLite's answer to queries/cypher/members_not_acted_on.cypher, whose header describes both.
SELECT
    o.org_id,
    m.member_risk,
    c.cluster_id,
    c.risk AS cluster_risk,
    m.actionable,
    m.spared_reason,
    o.cost,
    o.last_at
FROM Cluster AS c
CROSS JOIN MEMBER_OF AS m ON m.target = c.id
CROSS JOIN Organization AS o ON o.id = m.source
LEFT JOIN OrganizationKept AS k ON k.key = o.key
WHERE
    ($cluster_id IS NULL OR c.cluster_id = $cluster_id)
    AND m.member_risk >= $min_risk
    AND k.status IS NULL
ORDER BY m.member_risk DESC, o.key
LIMIT $limit
