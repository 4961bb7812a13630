-- title: Consumption by the hour, in some files of events
-- purpose: What each organization's calls cost, and what credit it was given and used. Partial aggregates of several
--    files add up.
-- reads: events
-- writes: day_hours
SELECT
    organization,
    happened_at // 3600000000 AS hour,
    SUM(CASE WHEN event_type = 'inference' THEN cost END) AS cost,
    SUM(credit) AS credit,
    SUM(credit_used) AS credit_used
FROM events
WHERE organization IS NOT NULL AND (cost IS NOT NULL OR credit IS NOT NULL OR credit_used IS NOT NULL)
GROUP BY organization, happened_at // 3600000000
