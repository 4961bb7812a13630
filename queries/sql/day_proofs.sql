-- title: Proofs in some files of events
-- purpose: What shows that an organization controls a thing: a mailbox (and so one at its domain) or a phone verified, an invoice settled on a
--    payment method (null where the event names none), a device that a signed client vouches for; what takes a
--    settlement back; and the days on which the genuine client was used. By source, for settings say at run time
--    whose word proves what. Partial aggregates of several files add up: first is the least, last the greatest.
-- reads: events
-- writes: day_proofs
SELECT
    organization,
    source,
    'mailbox' AS proof,
    mailbox AS key,
    MIN(happened_at) AS first_at,
    MAX(happened_at) AS last_at,
    COUNT(*) AS events
FROM events
WHERE event_type = 'email_verified' AND mailbox IS NOT NULL AND organization IS NOT NULL
GROUP BY organization, source, mailbox
UNION ALL
SELECT organization, source, 'email_domain', email_domain, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM events
WHERE event_type = 'email_verified' AND email_domain IS NOT NULL AND organization IS NOT NULL
GROUP BY organization, source, email_domain
UNION ALL
SELECT organization, source, 'phone', phone, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM events
WHERE event_type = 'phone_verified' AND phone IS NOT NULL AND organization IS NOT NULL
GROUP BY organization, source, phone
UNION ALL
SELECT organization, source, 'device', device, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM events
WHERE attested AND device IS NOT NULL AND organization IS NOT NULL
GROUP BY organization, source, device
UNION ALL
SELECT
    organization,
    source,
    CASE event_type WHEN 'invoice_paid' THEN 'settled' WHEN 'refunded' THEN 'refunded' ELSE 'disputed' END,
    payment_method,
    MIN(happened_at),
    MAX(happened_at),
    COUNT(*)
FROM events
WHERE event_type IN ('invoice_paid', 'refunded', 'charge_disputed') AND organization IS NOT NULL
GROUP BY organization, source, event_type, payment_method
UNION ALL
SELECT organization, source, 'client', NULL, MIN(happened_at), MAX(happened_at), COUNT(*)
FROM events
WHERE event_type = 'client_telemetry' AND organization IS NOT NULL
GROUP BY organization, source, day_number
