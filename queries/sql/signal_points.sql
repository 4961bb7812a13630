-- title: Points of signals
-- purpose: The points that each signal adds to a cluster's score: those of the highest bin that its value reaches. What
--    is usual earns none: bins at or below the population's baseline do not count.
-- reads: signal_values, bins
-- writes: signal_points
SELECT
    v.cluster,
    v.signal,
    v.value,
    v.baseline,
    v.affected,
    v.eligible,
    COALESCE(MAX(b.points), 0) AS points
FROM signal_values AS v
LEFT JOIN bins AS b ON v.signal = b.signal AND v.value >= b.at_least AND b.at_least > v.baseline
GROUP BY v.cluster, v.signal, v.value, v.baseline, v.affected, v.eligible
