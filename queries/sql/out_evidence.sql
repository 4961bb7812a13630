-- title: Evidence
-- purpose: The points of every cluster, one row a signal; they add up to the cluster's total.
-- reads: evidence_points, scored_clusters, signals
-- writes: out_evidence
SELECT
    c.cluster_id,
    e.signal,
    s.title,
    s.signal_group AS "group",
    ROUND(e.value, 6) AS value,
    ROUND(e.baseline, 6) AS baseline,
    e.affected,
    e.eligible,
    ROUND(e.points, 6) AS points,
    REPLACE(REPLACE(
        s.fact, '{affected}', CAST(e.affected AS VARCHAR)), '{eligible}', CAST(e.eligible AS VARCHAR)
    ) AS fact
FROM evidence_points AS e
INNER JOIN scored_clusters AS c ON e.cluster = c.cluster
INNER JOIN signals AS s ON e.signal = s.signal
ORDER BY c.cluster_id, e.points DESC, e.signal
