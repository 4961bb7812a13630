-- title: Leaves
-- purpose: The identifiers that one organization alone has, which tie nobody and are not in the graph. Sorted by
--    organization, so that what one has lies together; the run's index reads it from there.
-- reads: link_parts, linked_kinds, organizations
-- writes: out_leaves
WITH alone AS (
    SELECT
        MIN(organization) AS organization,
        kind,
        key,
        MIN(first_at) AS first_at,
        MAX(last_at) AS last_at,
        CAST(SUM(uses) AS BIGINT) AS uses
    FROM link_parts
    WHERE kind NOT IN (SELECT kind FROM linked_kinds WHERE kind <> base)
    GROUP BY kind, key
    HAVING MIN(organization) = MAX(organization)
)
SELECT organization, kind, key, first_at, last_at, uses
FROM alone
WHERE organization IN (SELECT organization FROM organizations)
ORDER BY organization, kind, key
