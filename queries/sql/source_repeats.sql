-- title: Repeated events
-- purpose: By source and hour, of the sampled events: how many there are, and how many different ones.
-- reads: repeats_parts
-- writes: source_repeats
WITH said AS (
    SELECT source, hour_number, CAST(SUM(events) AS BIGINT) AS events
    FROM repeats_parts
    GROUP BY source, hour_number, happened_at, organization, event_type, ip, api_key, tokens
)
SELECT source, hour_number, CAST(SUM(events) AS BIGINT) AS events, COUNT(*) AS different
FROM said
GROUP BY source, hour_number
