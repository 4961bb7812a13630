-- title: Ties
-- purpose: The weights of all identifiers that two organizations share, summed; what stays below the least weight
--    that counts is dropped. Sorted by organization, so that communities do not depend on the order of anything.
-- reads: reasons, recipe
-- writes: ties
SELECT r.a, r.b, CAST(SUM(r.weight) AS BIGINT) AS weight
FROM reasons AS r
GROUP BY r.a, r.b
HAVING SUM(r.weight) >= (SELECT min_weight FROM recipe)
ORDER BY r.a, r.b
