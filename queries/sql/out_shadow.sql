-- title: Shadow
-- purpose: What detectors in shadow say of each cluster; none of it counts for anything.
-- reads: shadow_values, scored_clusters
-- writes: out_shadow
SELECT
    v.signal,
    c.cluster_id,
    ROUND(v.value, 6) AS value,
    v.affected,
    v.eligible,
    ROUND(v.baseline, 6) AS baseline
FROM shadow_values AS v
INNER JOIN scored_clusters AS c ON v.cluster = c.cluster
ORDER BY v.signal, ROUND(v.value, 6) DESC, c.cluster_id
