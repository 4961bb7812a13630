-- SQLite's answer to queries/cypher/actions_by_cluster.cypher, whose header describes both.
SELECT
    c.cluster_id,
    c.name,
    c.risk,
    count(*) AS members,
    count(k.status) AS acted_on,
    count(*) - count(k.status) AS untouched,
    min(k.status_at) AS first_action_at,
    max(k.status_at) AS last_action_at,
    c.cost
FROM Cluster AS c
CROSS JOIN MEMBER_OF AS m ON m.target = c.id
CROSS JOIN Organization AS o ON o.id = m.source
LEFT JOIN OrganizationKept AS k ON k.key = o.key
WHERE c.risk >= $min_risk
GROUP BY c.id
ORDER BY c.risk DESC, c.cluster_id
LIMIT $limit
