-- title: Organizations
-- purpose: Every organization with a dense number. Numbers follow the organization's own id, never its key, so
--    that they, and all that is sorted by them, do not change with the pepper.
-- reads: activity_parts, organization_names
-- writes: organizations
WITH seen AS (
    SELECT
        organization,
        MIN(CASE WHEN event_type = 'organization_created' THEN first_at END) AS created_at,
        MIN(first_at) AS first_at,
        MAX(last_at) AS last_at,
        SUM(events) AS events,
        SUM(CASE WHEN event_type = 'inference' THEN cost END) AS cost,
        SUM(credit_used) AS credit_used,
        MAX(country) AS country,
        MAX(plan) AS plan
    FROM activity_parts
    GROUP BY organization
),
numbered AS (
    SELECT n.organization, n.org_id, ROW_NUMBER() OVER (ORDER BY n.org_id) - 1 AS org
    FROM organization_names AS n
    WHERE n.organization IN (SELECT organization FROM seen)
)
SELECT
    CAST(n.org AS INTEGER) AS org,
    n.org_id,
    s.organization,
    s.created_at,
    s.first_at,
    s.last_at,
    CAST(s.events AS BIGINT) AS events,
    CAST(COALESCE(s.cost, 0) AS DOUBLE) AS cost,
    CAST(COALESCE(s.credit_used, 0) AS DOUBLE) AS credit_used,
    s.country,
    s.plan
FROM seen AS s
INNER JOIN numbered AS n ON s.organization = n.organization
