-- title: Clients in some files of events
-- purpose: With which client software each organization called models, and how often that software reported of itself
--    as the genuine client does. Partial aggregates of several files add up.
-- reads: events
-- writes: day_clients
SELECT
    organization,
    user_agent,
    COUNT(CASE WHEN event_type = 'inference' THEN 1 END) AS calls,
    COUNT(CASE WHEN event_type = 'client_telemetry' THEN 1 END) AS reports,
    MIN(happened_at) AS first_at
FROM events
WHERE organization IS NOT NULL AND event_type IN ('inference', 'client_telemetry')
GROUP BY organization, user_agent
