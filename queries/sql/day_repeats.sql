-- title: Repeated events in some files of events
-- purpose: How often the same thing was said by one source, of the events in every 61st second: equal events have equal
--    times, so that a sample of times finds them all, in whatever files they came.
-- reads: events
-- writes: day_repeats
SELECT
    source,
    CAST(FLOOR(happened_at / 3600000000) AS INTEGER) AS hour_number,
    happened_at,
    organization,
    event_type,
    ip,
    api_key,
    tokens,
    COUNT(*) AS events
FROM events
WHERE MOD(CAST(FLOOR(happened_at / 1000000) AS BIGINT), 61) = 0
GROUP BY
    source, CAST(FLOOR(happened_at / 3600000000) AS INTEGER), happened_at, organization, event_type, ip, api_key, tokens
