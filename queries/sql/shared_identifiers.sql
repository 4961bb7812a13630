-- title: Shared identifiers
-- purpose: The identifiers that two or more organizations used. All others are properties of one organization and
--    tie nobody; most are, so this is where the data becomes small. Kinds that never tie are there to be looked at.
-- reads: links_parts, linked_kinds
-- writes: shared_identifiers
WITH found AS (
    SELECT kind, key
    FROM links_parts
    WHERE kind IN (SELECT kind FROM linked_kinds)
    GROUP BY kind, key
    HAVING MIN(organization) <> MAX(organization)
)
SELECT
    f.kind,
    f.key,
    ROW_NUMBER() OVER (ORDER BY f.kind, f.key) AS entity,
    DENSE_RANK() OVER (ORDER BY k.base, f.key) AS identifier
FROM found AS f
INNER JOIN linked_kinds AS k ON f.kind = k.kind
