-- SQLite's answer to queries/cypher/paths_between.cypher, whose header describes both.
-- From both ends: what both use, and only where that is nothing, who uses something with either.
WITH uses AS (
    SELECT u.source, u.target, 'HAS_NAME' AS type, n.key, n.display, n.degree
    FROM HAS_NAME AS u
    CROSS JOIN Name AS n ON n.id = u.target
    UNION ALL
    SELECT u.source, u.target, 'HAS_USER' AS type, n.key, n.display, n.degree
    FROM HAS_USER AS u
    CROSS JOIN User AS n ON n.id = u.target
    UNION ALL
    SELECT u.source, u.target, 'SERVED_CONSUMER' AS type, n.key, n.display, n.degree
    FROM SERVED_CONSUMER AS u
    CROSS JOIN Consumer AS n ON n.id = u.target
    UNION ALL
    SELECT u.source, u.target, 'USED_API_KEY' AS type, n.key, n.display, n.degree
    FROM USED_API_KEY AS u
    CROSS JOIN ApiKey AS n ON n.id = u.target
    UNION ALL
    SELECT u.source, u.target, 'USED_DEVICE' AS type, n.key, n.display, n.degree
    FROM USED_DEVICE AS u
    CROSS JOIN Device AS n ON n.id = u.target
    UNION ALL
    SELECT u.source, u.target, 'USED_EMAIL' AS type, n.key, n.display, n.degree
    FROM USED_EMAIL AS u
    CROSS JOIN Email AS n ON n.id = u.target
    UNION ALL
    SELECT u.source, u.target, 'USED_EMAIL_DOMAIN' AS type, n.key, n.display, n.degree
    FROM USED_EMAIL_DOMAIN AS u
    CROSS JOIN EmailDomain AS n ON n.id = u.target
    UNION ALL
    SELECT u.source, u.target, 'USED_IP' AS type, n.key, n.display, n.degree
    FROM USED_IP AS u
    CROSS JOIN Ip AS n ON n.id = u.target
    UNION ALL
    SELECT u.source, u.target, 'USED_IP_NETWORK' AS type, n.key, n.display, n.degree
    FROM USED_IP_NETWORK AS u
    CROSS JOIN IpNetwork AS n ON n.id = u.target
    UNION ALL
    SELECT u.source, u.target, 'USED_PAYMENT_METHOD' AS type, n.key, n.display, n.degree
    FROM USED_PAYMENT_METHOD AS u
    CROSS JOIN PaymentMethod AS n ON n.id = u.target
    UNION ALL
    SELECT u.source, u.target, 'USED_PAYOUT' AS type, n.key, n.display, n.degree
    FROM USED_PAYOUT AS u
    CROSS JOIN Payout AS n ON n.id = u.target
    UNION ALL
    SELECT u.source, u.target, 'USED_PHONE' AS type, n.key, n.display, n.degree
    FROM USED_PHONE AS u
    CROSS JOIN Phone AS n ON n.id = u.target
    UNION ALL
    SELECT u.source, u.target, 'USED_PROMO_CODE' AS type, n.key, n.display, n.degree
    FROM USED_PROMO_CODE AS u
    CROSS JOIN PromoCode AS n ON n.id = u.target
    UNION ALL
    SELECT u.source, u.target, 'USED_REFERRAL_CODE' AS type, n.key, n.display, n.degree
    FROM USED_REFERRAL_CODE AS u
    CROSS JOIN ReferralCode AS n ON n.id = u.target
    UNION ALL
    SELECT u.source, u.target, 'USED_TLS_FINGERPRINT' AS type, n.key, n.display, n.degree
    FROM USED_TLS_FINGERPRINT AS u
    CROSS JOIN TlsFingerprint AS n ON n.id = u.target
    UNION ALL
    SELECT u.source, u.target, 'USED_USER_AGENT' AS type, n.key, n.display, n.degree
    FROM USED_USER_AGENT AS u
    CROSS JOIN UserAgent AS n ON n.id = u.target
),
ends AS MATERIALIZED (
    SELECT a.id AS a, a.org_id AS a_id, b.id AS b, b.org_id AS b_id
    FROM Organization AS a
    CROSS JOIN Organization AS b
    WHERE
        substr(a.org_id, 1, 256) = substr($a, 1, 256)
        AND a.org_id = $a
        AND substr(b.org_id, 1, 256) = substr($b, 1, 256)
        AND b.org_id = $b
        AND a.id <> b.id
),
at_a AS MATERIALIZED (
    SELECT u.type, u.target, u.key, u.display, u.degree
    FROM ends AS e
    CROSS JOIN uses AS u ON u.source = e.a
    WHERE u.degree <= $max_degree
),
at_b AS MATERIALIZED (
    SELECT u.type, u.target, u.key, u.display, u.degree
    FROM ends AS e
    CROSS JOIN uses AS u ON u.source = e.b
    WHERE u.degree <= $max_degree
),
one AS MATERIALIZED (
    SELECT
        1 AS identifiers,
        x.degree AS commonest,
        e.a_id || ' — ' || x.type || ' ' || coalesce(x.display, lower(hex(x.key))) || ' — ' || e.b_id AS path,
        lower(hex(x.key)) AS keys
    FROM ends AS e
    CROSS JOIN at_a AS x
    JOIN at_b AS y ON y.type = x.type AND y.target = x.target
),
near_a AS MATERIALIZED (
    SELECT
        u.source AS organization,
        x.degree AS commonest,
        e.a_id || ' — ' || x.type || ' ' || coalesce(x.display, lower(hex(x.key))) AS path,
        lower(hex(x.key)) AS keys
    FROM ends AS e
    CROSS JOIN at_a AS x
    CROSS JOIN uses AS u ON u.target = x.target
    WHERE
        u.type = x.type
        AND u.source <> e.a
        AND NOT EXISTS (SELECT 1 FROM one)
),
near_b AS MATERIALIZED (
    SELECT
        u.source AS organization,
        x.degree AS commonest,
        x.type || ' ' || coalesce(x.display, lower(hex(x.key))) || ' — ' || e.b_id AS path,
        lower(hex(x.key)) AS keys
    FROM ends AS e
    CROSS JOIN at_b AS x
    CROSS JOIN uses AS u ON u.target = x.target
    WHERE
        u.type = x.type
        AND u.source <> e.b
        AND NOT EXISTS (SELECT 1 FROM one)
),
two AS (
    SELECT
        2 AS identifiers,
        max(x.commonest, y.commonest) AS commonest,
        x.path || ' — ' || o.org_id || ' — ' || y.path AS path,
        x.keys || ';' || lower(hex(o.key)) || ';' || y.keys AS keys
    FROM near_a AS x
    JOIN near_b AS y ON y.organization = x.organization
    JOIN Organization AS o ON o.id = x.organization
)
SELECT identifiers, commonest, path, keys FROM one
UNION ALL
SELECT identifiers, commonest, path, keys FROM two
ORDER BY commonest, path, keys
LIMIT $limit
