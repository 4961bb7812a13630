-- title: Links of one file of events
-- purpose: Which organization used which identifier, when first, when last, how often. Addresses are kept by
--    half day, so that a silence of twelve hours is still seen; all other kinds by day. Partial aggregates of
--    several files add up: first is the least, last the greatest, uses the sum.
-- reads: events
-- writes: day_links
WITH used AS (
    SELECT organization, 'ip' AS kind, ip AS key, happened_at, CAST(FLOOR(happened_at / 43200000000) AS BIGINT) AS slot
    FROM events WHERE ip IS NOT NULL
    UNION ALL
    SELECT organization, 'device', device, happened_at, 0 FROM events WHERE device IS NOT NULL
    UNION ALL
    SELECT organization, 'device_attested', device, happened_at, 0 FROM events WHERE device IS NOT NULL AND attested
    UNION ALL
    SELECT organization, 'user', "user", happened_at, 0 FROM events WHERE "user" IS NOT NULL
    UNION ALL
    SELECT organization, 'tls_fingerprint', tls_fingerprint, happened_at, 0 FROM events WHERE tls_fingerprint IS NOT NULL
    UNION ALL
    SELECT organization, 'api_key', api_key, happened_at, 0 FROM events WHERE api_key IS NOT NULL
    UNION ALL
    SELECT organization, 'payment_method', payment_method, happened_at, 0 FROM events WHERE payment_method IS NOT NULL
    UNION ALL
    SELECT organization, 'mailbox', mailbox, happened_at, 0 FROM events WHERE mailbox IS NOT NULL
    UNION ALL
    SELECT organization, 'email_domain', email_domain, happened_at, 0 FROM events WHERE email_domain IS NOT NULL
    UNION ALL
    SELECT organization, 'phone', phone, happened_at, 0 FROM events WHERE phone IS NOT NULL
    UNION ALL
    SELECT organization, 'phone_verified', phone, happened_at, 0
    FROM events WHERE phone IS NOT NULL AND event_type = 'phone_verified'
    UNION ALL
    SELECT organization, 'name', name, happened_at, 0 FROM events WHERE name IS NOT NULL
    UNION ALL
    SELECT organization, 'consumer', consumer, happened_at, 0 FROM events WHERE consumer IS NOT NULL
    UNION ALL
    SELECT organization, 'promo_code', promo_code, happened_at, 0 FROM events WHERE promo_code IS NOT NULL
    UNION ALL
    SELECT organization, 'referral_code', COALESCE(referral_code, referrer_organization), happened_at, 0
    FROM events WHERE referral_code IS NOT NULL OR referrer_organization IS NOT NULL
    UNION ALL
    SELECT referrer_organization, 'referral_code', COALESCE(referral_code, referrer_organization), happened_at, 0
    FROM events WHERE referrer_organization IS NOT NULL
)
SELECT
    organization,
    kind,
    key,
    slot,
    MIN(happened_at) AS first_at,
    MAX(happened_at) AS last_at,
    COUNT(*) AS uses
FROM used
WHERE organization IS NOT NULL
GROUP BY organization, kind, key, slot
