-- title: Sources of some files of events
-- purpose: How much each source brought for each hour, and how many hours after it happened that was known. Partial
--    aggregates of several files add up.
-- reads: events
-- writes: day_sources
SELECT
    source,
    CAST(FLOOR(happened_at / 3600000000) AS INTEGER) AS hour_number,
    CAST(FLOOR((arrived_at - happened_at) / 3600000000) AS INTEGER) AS lag_hours,
    COUNT(*) AS events,
    MAX(happened_at) AS last_at
FROM events
GROUP BY
    source, CAST(FLOOR(happened_at / 3600000000) AS INTEGER), CAST(FLOOR((arrived_at - happened_at) / 3600000000) AS INTEGER)
