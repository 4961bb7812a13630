-- title: Leaves
-- purpose: The identifiers that one organization alone used, with when and how often. They tie nobody, so the graph
--    does without them; its readers look them up here, by organization. Kinds that only prove another are left out.
-- reads: links_parts, proofs
-- writes: out_leaves
SELECT
    MIN(organization) AS organization,
    kind,
    key,
    MIN(first_at) AS first_at,
    MAX(last_at) AS last_at,
    CAST(SUM(uses) AS BIGINT) AS uses
FROM links_parts
WHERE kind NOT IN (SELECT kind FROM proofs)
GROUP BY kind, key
HAVING MIN(organization) = MAX(organization)
ORDER BY organization, kind, key
