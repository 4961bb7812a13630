-- title: Ties
-- purpose: What two organizations share, added up: of each family of evidence (address, device and other marks of one
--    client are one) the strongest, less what it takes to believe that two are one operator's. What stays below the
--    least weight that counts is dropped, and so is what rests on one look-alike alone. Sorted by organization, so that
--    communities do not depend on the order of anything.
-- reads: reasons, recipe
-- writes: ties
WITH families AS (
    SELECT r.a, r.b, r.part, MAX(r.weight) AS weight, MAX(CASE WHEN r.counts THEN 1 ELSE 0 END) AS counts
    FROM reasons AS r
    GROUP BY r.a, r.b, r.part
)
SELECT f.a, f.b, CAST(SUM(f.weight) + MAX(c.prior) AS BIGINT) AS weight
FROM families AS f
CROSS JOIN recipe AS c
GROUP BY f.a, f.b
HAVING SUM(f.weight) + MAX(c.prior) >= MAX(c.min_weight) AND (MAX(f.counts) = 1 OR COUNT(*) > 1)
ORDER BY f.a, f.b
