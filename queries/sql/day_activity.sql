-- title: What organizations did, from some files of events
-- purpose: Counts, times and sums by organization and type of event. Partial aggregates of several files add up.
-- reads: events
-- writes: day_activity
SELECT
    organization,
    event_type,
    COUNT(*) AS events,
    MIN(happened_at) AS first_at,
    MAX(happened_at) AS last_at,
    SUM(requests) AS requests,
    SUM(tokens) AS tokens,
    SUM(CASE WHEN tokens <= 16 THEN 1 ELSE 0 END) AS probes,
    SUM(cost) AS cost,
    SUM(credit) AS credit,
    SUM(credit_used) AS credit_used,
    SUM(reward) AS reward,
    SUM(amount) AS amount,
    MAX(CASE WHEN hidden <> 0 THEN 1 ELSE 0 END) AS hidden,
    MAX(country) AS country,
    MAX(plan) AS plan
FROM events
WHERE organization IS NOT NULL
GROUP BY organization, event_type
