-- title: What came from where, in some files of events
-- purpose: For each organization, address and consumer: calls of models, how many of them tiny, when the first, and
--    events of people (all but calls); at which hours of the day (a bit each) anything happened. Partial aggregates of
--    several files add up: first is the least, hours are joined bit by bit.
-- reads: events
-- writes: day_addresses
SELECT
    organization,
    ip,
    consumer,
    COUNT(CASE WHEN event_type = 'inference' THEN 1 END) AS calls,
    COUNT(CASE WHEN event_type = 'inference' AND tokens <= 16 THEN 1 END) AS probes,
    COUNT(CASE WHEN event_type <> 'inference' THEN 1 END) AS acts,
    MIN(CASE WHEN event_type = 'inference' THEN happened_at END) AS first_call_at,
    MIN(happened_at) AS first_at,
    MAX(happened_at) AS last_at,
    BIT_OR(1 << CAST(happened_at // 3600000000 % 24 AS INTEGER)) AS hour_bits
FROM events
WHERE organization IS NOT NULL AND (ip IS NOT NULL OR consumer IS NOT NULL)
GROUP BY organization, ip, consumer
