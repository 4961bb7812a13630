-- SQLite's answer to queries/cypher/bridges_of_cluster.cypher, whose header describes both.
WITH uses AS (
    SELECT u.source, u.target, u.weight, 'HAS_NAME' AS type
    FROM HAS_NAME AS u
    UNION ALL
    SELECT u.source, u.target, u.weight, 'HAS_USER' AS type
    FROM HAS_USER AS u
    UNION ALL
    SELECT u.source, u.target, u.weight, 'SERVED_CONSUMER' AS type
    FROM SERVED_CONSUMER AS u
    UNION ALL
    SELECT u.source, u.target, u.weight, 'USED_API_KEY' AS type
    FROM USED_API_KEY AS u
    UNION ALL
    SELECT u.source, u.target, u.weight, 'USED_DEVICE' AS type
    FROM USED_DEVICE AS u
    UNION ALL
    SELECT u.source, u.target, u.weight, 'USED_EMAIL' AS type
    FROM USED_EMAIL AS u
    UNION ALL
    SELECT u.source, u.target, u.weight, 'USED_EMAIL_DOMAIN' AS type
    FROM USED_EMAIL_DOMAIN AS u
    UNION ALL
    SELECT u.source, u.target, u.weight, 'USED_IP' AS type
    FROM USED_IP AS u
    UNION ALL
    SELECT u.source, u.target, u.weight, 'USED_IP_NETWORK' AS type
    FROM USED_IP_NETWORK AS u
    UNION ALL
    SELECT u.source, u.target, u.weight, 'USED_PAYMENT_METHOD' AS type
    FROM USED_PAYMENT_METHOD AS u
    UNION ALL
    SELECT u.source, u.target, u.weight, 'USED_PAYOUT' AS type
    FROM USED_PAYOUT AS u
    UNION ALL
    SELECT u.source, u.target, u.weight, 'USED_PHONE' AS type
    FROM USED_PHONE AS u
    UNION ALL
    SELECT u.source, u.target, u.weight, 'USED_PROMO_CODE' AS type
    FROM USED_PROMO_CODE AS u
    UNION ALL
    SELECT u.source, u.target, u.weight, 'USED_REFERRAL_CODE' AS type
    FROM USED_REFERRAL_CODE AS u
    UNION ALL
    SELECT u.source, u.target, u.weight, 'USED_TLS_FINGERPRINT' AS type
    FROM USED_TLS_FINGERPRINT AS u
    UNION ALL
    SELECT u.source, u.target, u.weight, 'USED_USER_AGENT' AS type
    FROM USED_USER_AGENT AS u
),
identifiers AS (
    SELECT n.id, n.key, n.display, n.degree, 'HAS_NAME' AS type
    FROM Name AS n
    UNION ALL
    SELECT n.id, n.key, n.display, n.degree, 'HAS_USER' AS type
    FROM User AS n
    UNION ALL
    SELECT n.id, n.key, n.display, n.degree, 'SERVED_CONSUMER' AS type
    FROM Consumer AS n
    UNION ALL
    SELECT n.id, n.key, n.display, n.degree, 'USED_API_KEY' AS type
    FROM ApiKey AS n
    UNION ALL
    SELECT n.id, n.key, n.display, n.degree, 'USED_DEVICE' AS type
    FROM Device AS n
    UNION ALL
    SELECT n.id, n.key, n.display, n.degree, 'USED_EMAIL' AS type
    FROM Email AS n
    UNION ALL
    SELECT n.id, n.key, n.display, n.degree, 'USED_EMAIL_DOMAIN' AS type
    FROM EmailDomain AS n
    UNION ALL
    SELECT n.id, n.key, n.display, n.degree, 'USED_IP' AS type
    FROM Ip AS n
    UNION ALL
    SELECT n.id, n.key, n.display, n.degree, 'USED_IP_NETWORK' AS type
    FROM IpNetwork AS n
    UNION ALL
    SELECT n.id, n.key, n.display, n.degree, 'USED_PAYMENT_METHOD' AS type
    FROM PaymentMethod AS n
    UNION ALL
    SELECT n.id, n.key, n.display, n.degree, 'USED_PAYOUT' AS type
    FROM Payout AS n
    UNION ALL
    SELECT n.id, n.key, n.display, n.degree, 'USED_PHONE' AS type
    FROM Phone AS n
    UNION ALL
    SELECT n.id, n.key, n.display, n.degree, 'USED_PROMO_CODE' AS type
    FROM PromoCode AS n
    UNION ALL
    SELECT n.id, n.key, n.display, n.degree, 'USED_REFERRAL_CODE' AS type
    FROM ReferralCode AS n
    UNION ALL
    SELECT n.id, n.key, n.display, n.degree, 'USED_TLS_FINGERPRINT' AS type
    FROM TlsFingerprint AS n
    UNION ALL
    SELECT n.id, n.key, n.display, n.degree, 'USED_USER_AGENT' AS type
    FROM UserAgent AS n
),
used AS MATERIALIZED (
    SELECT u.source, u.type, u.target
    FROM Cluster AS c
    CROSS JOIN MEMBER_OF AS m ON m.target = c.id
    CROSS JOIN uses AS u ON u.source = m.source
    WHERE c.cluster_id = $cluster_id AND u.weight IS NOT NULL
),
shared AS MATERIALIZED (
    SELECT u.type, u.target, count(*) AS members
    FROM used AS u
    GROUP BY u.type, u.target
    HAVING count(*) > 1
),
ties AS MATERIALIZED (
    SELECT u.source, count(*) AS ties, min(u.type) AS type, min(u.target) AS target
    FROM used AS u
    JOIN shared AS s ON s.type = u.type AND s.target = u.target
    GROUP BY u.source
),
single AS MATERIALIZED (
    SELECT t.type, t.target, count(*) AS members
    FROM ties AS t
    WHERE t.ties = 1
    GROUP BY t.type, t.target
)
SELECT
    s.type,
    i.key,
    i.display AS identifier,
    s.members,
    coalesce(n.members, 0) AS only_tie,
    i.degree AS organizations
FROM shared AS s
CROSS JOIN identifiers AS i ON i.id = s.target AND i.type = s.type
LEFT JOIN single AS n ON n.type = s.type AND n.target = s.target
ORDER BY s.members DESC, i.degree, s.type, i.key
LIMIT $limit
