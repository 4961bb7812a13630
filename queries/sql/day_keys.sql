-- title: Keys made and revoked, in some files of events
-- purpose: Each moment at which an organization made a key or one was taken from it. Kept as they are.
-- reads: events
-- writes: day_keys
SELECT DISTINCT organization, api_key, event_type = 'api_key_revoked' AS revoked, happened_at
FROM events
WHERE organization IS NOT NULL AND event_type IN ('api_key_created', 'api_key_revoked')
