-- title: Links of one file of events
-- purpose: Which organization used which identifier, when first, when last, how often. Addresses are kept by
--    half day, so that a silence of twelve hours is still seen; all other kinds by day. Partial aggregates of
--    several files add up: first is the least, last the greatest, uses the sum. Each kind is grouped by itself,
--    which is twice as fast as one grouping of all.
-- reads: events
-- writes: day_links
SELECT
    organization,
    'ip' AS kind,
    ip AS key,
    CAST(FLOOR(happened_at / 43200000000) AS BIGINT) AS slot,
    MIN(happened_at) AS first_at,
    MAX(happened_at) AS last_at,
    COUNT(*) AS uses
FROM events
WHERE ip IS NOT NULL AND organization IS NOT NULL
GROUP BY organization, ip, CAST(FLOOR(happened_at / 43200000000) AS BIGINT)
UNION ALL
SELECT organization, 'device', device, 0, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM events
WHERE device IS NOT NULL AND organization IS NOT NULL
GROUP BY organization, device
UNION ALL
SELECT organization, 'device_attested', device, 0, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM events
WHERE device IS NOT NULL AND organization IS NOT NULL AND attested
GROUP BY organization, device
UNION ALL
SELECT organization, 'user', "user", 0, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM events
WHERE "user" IS NOT NULL AND organization IS NOT NULL
GROUP BY organization, "user"
UNION ALL
SELECT organization, 'tls_fingerprint', tls_fingerprint, 0, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM events
WHERE tls_fingerprint IS NOT NULL AND organization IS NOT NULL
GROUP BY organization, tls_fingerprint
UNION ALL
SELECT organization, 'api_key', api_key, 0, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM events
WHERE api_key IS NOT NULL AND organization IS NOT NULL
GROUP BY organization, api_key
UNION ALL
SELECT organization, 'payment_method', payment_method, 0, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM events
WHERE payment_method IS NOT NULL AND organization IS NOT NULL
GROUP BY organization, payment_method
UNION ALL
SELECT organization, 'mailbox', mailbox, 0, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM events
WHERE mailbox IS NOT NULL AND organization IS NOT NULL
GROUP BY organization, mailbox
UNION ALL
SELECT organization, 'email_domain', email_domain, 0, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM events
WHERE email_domain IS NOT NULL AND organization IS NOT NULL
GROUP BY organization, email_domain
UNION ALL
SELECT organization, 'phone', phone, 0, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM events
WHERE phone IS NOT NULL AND organization IS NOT NULL
GROUP BY organization, phone
UNION ALL
SELECT organization, 'phone_verified', phone, 0, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM events
WHERE phone IS NOT NULL AND organization IS NOT NULL AND event_type = 'phone_verified'
GROUP BY organization, phone
UNION ALL
SELECT organization, 'name', name, 0, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM events
WHERE name IS NOT NULL AND organization IS NOT NULL
GROUP BY organization, name
UNION ALL
SELECT organization, 'consumer', consumer, 0, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM events
WHERE consumer IS NOT NULL AND organization IS NOT NULL
GROUP BY organization, consumer
UNION ALL
SELECT organization, 'promo_code', promo_code, 0, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM events
WHERE promo_code IS NOT NULL AND organization IS NOT NULL
GROUP BY organization, promo_code
UNION ALL
SELECT organization, 'referral_code', code, 0, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM (
    SELECT organization, COALESCE(referral_code, referrer_organization) AS code, happened_at
    FROM events
    WHERE referral_code IS NOT NULL OR referrer_organization IS NOT NULL
    UNION ALL
    SELECT referrer_organization, COALESCE(referral_code, referrer_organization), happened_at
    FROM events
    WHERE referrer_organization IS NOT NULL
) AS referred
WHERE organization IS NOT NULL
GROUP BY organization, code
