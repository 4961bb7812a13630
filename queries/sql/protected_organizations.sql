-- title: Protected organizations
-- purpose: Organizations whose latest protection has not been ended.
-- reads: decisions
-- writes: protected_organizations
WITH latest AS (
    SELECT
        org,
        COALESCE(action, '') AS action,
        reason,
        source,
        decided_at,
        ROW_NUMBER() OVER (PARTITION BY org ORDER BY decided_at DESC, known_at DESC, event_id) AS place
    FROM decisions
    WHERE decision = 'organization_protected' AND org IS NOT NULL
)
SELECT org, reason, source, decided_at AS protected_at
FROM latest
WHERE place = 1 AND action <> 'end'
