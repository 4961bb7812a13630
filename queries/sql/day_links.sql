-- title: Links of some files of events
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
    half_day AS slot,
    MIN(happened_at) AS first_at,
    MAX(happened_at) AS last_at,
    COUNT(*) AS uses
FROM events
WHERE ip IS NOT NULL AND organization IS NOT NULL
GROUP BY organization, ip, half_day
UNION ALL
SELECT organization, 'device', device, day_number, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM events
WHERE device IS NOT NULL AND organization IS NOT NULL
GROUP BY organization, device, day_number
UNION ALL
SELECT organization, 'device_attested', device, day_number, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM events
WHERE device IS NOT NULL AND organization IS NOT NULL AND attested
GROUP BY organization, device, day_number
UNION ALL
SELECT organization, 'user', "user", day_number, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM events
WHERE "user" IS NOT NULL AND organization IS NOT NULL
GROUP BY organization, "user", day_number
UNION ALL
SELECT organization, 'tls_fingerprint', tls_fingerprint, day_number, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM events
WHERE tls_fingerprint IS NOT NULL AND organization IS NOT NULL
GROUP BY organization, tls_fingerprint, day_number
UNION ALL
SELECT organization, 'api_key', api_key, day_number, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM events
WHERE api_key IS NOT NULL AND organization IS NOT NULL
GROUP BY organization, api_key, day_number
UNION ALL
SELECT organization, 'payment_method', payment_method, day_number, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM events
WHERE payment_method IS NOT NULL AND organization IS NOT NULL
GROUP BY organization, payment_method, day_number
UNION ALL
-- issuers of cards that anybody may have by the dozen: no identifier, so its key is a digest of what it looks like
SELECT
    organization,
    'payment_bin',
    CAST(MD5(CONCAT(payment_bin, ':', payment_kind)) AS UUID),
    day_number,
    MIN(happened_at),
    MAX(happened_at),
    COUNT(*)
FROM events
WHERE payment_bin IS NOT NULL AND payment_kind IN ('prepaid', 'virtual') AND organization IS NOT NULL
GROUP BY organization, payment_bin, payment_kind, day_number
UNION ALL
SELECT organization, 'mailbox', mailbox, day_number, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM events
WHERE mailbox IS NOT NULL AND organization IS NOT NULL
GROUP BY organization, mailbox, day_number
UNION ALL
SELECT organization, 'email_domain', email_domain, day_number, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM events
WHERE email_domain IS NOT NULL AND organization IS NOT NULL
GROUP BY organization, email_domain, day_number
UNION ALL
SELECT organization, 'phone', phone, day_number, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM events
WHERE phone IS NOT NULL AND organization IS NOT NULL
GROUP BY organization, phone, day_number
UNION ALL
SELECT organization, 'phone_verified', phone, day_number, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM events
WHERE phone IS NOT NULL AND organization IS NOT NULL AND event_type = 'phone_verified'
GROUP BY organization, phone, day_number
UNION ALL
SELECT organization, 'name', name, day_number, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM events
WHERE name IS NOT NULL AND organization IS NOT NULL
GROUP BY organization, name, day_number
UNION ALL
SELECT organization, 'consumer', consumer, day_number, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM events
WHERE consumer IS NOT NULL AND organization IS NOT NULL
GROUP BY organization, consumer, day_number
UNION ALL
SELECT organization, 'promo_code', promo_code, day_number, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM events
WHERE promo_code IS NOT NULL AND organization IS NOT NULL
GROUP BY organization, promo_code, day_number
UNION ALL
SELECT organization, 'referral_code', code, day_number, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM (
    SELECT organization, COALESCE(referral_code, referrer_organization) AS code, happened_at, day_number
    FROM events
    WHERE referral_code IS NOT NULL OR referrer_organization IS NOT NULL
    UNION ALL
    SELECT referrer_organization, COALESCE(referral_code, referrer_organization), happened_at, day_number
    FROM events
    WHERE referrer_organization IS NOT NULL
) AS referred
WHERE organization IS NOT NULL
GROUP BY organization, code, day_number
