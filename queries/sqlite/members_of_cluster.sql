-- SQLite's answer to queries/cypher/members_of_cluster.cypher, whose header describes both.
WITH top AS MATERIALIZED (
    SELECT o.id, o.key, o.org_id, m.member_risk, o.created_at, o.cost, o.referred
    FROM Cluster AS c
    CROSS JOIN MEMBER_OF AS m ON m.target = c.id
    CROSS JOIN Organization AS o ON o.id = m.source
    WHERE c.cluster_id = $cluster_id
    ORDER BY m.member_risk DESC, o.key
    LIMIT $limit
)
SELECT
    t.org_id,
    t.member_risk,
    t.created_at,
    t.cost,
    k.status,
    (SELECT count(*) FROM USED_IP AS u WHERE u.source = t.id) AS addresses,
    (SELECT count(*) FROM USED_DEVICE AS u WHERE u.source = t.id) AS devices,
    (SELECT count(*) FROM USED_API_KEY AS u WHERE u.source = t.id) AS api_keys,
    (SELECT count(*) FROM USED_PAYMENT_METHOD AS u WHERE u.source = t.id) AS payment_methods,
    (SELECT count(*) FROM USED_EMAIL AS u WHERE u.source = t.id) AS mailboxes,
    (SELECT count(*) FROM USED_PHONE AS u WHERE u.source = t.id) AS phones,
    t.referred
FROM top AS t
LEFT JOIN OrganizationKept AS k ON k.key = t.key
ORDER BY t.member_risk DESC, t.key
