-- title: Points of members
-- purpose: How far each member's own behaviour departs from its cluster's: half the difference between the points
--    that its own value would have and those of the cluster, over the signals that can judge it. Besides both sums:
--    what it shows by itself, and what its cluster shows.
-- reads: signal_rows, signal_points, baselines, bins
-- writes: member_points
WITH worth AS (
    -- most values are 0 or 1, so the bins are looked up once for each different value
    SELECT v.signal, v.value, COALESCE(MAX(b.points), 0) AS points
    FROM (SELECT DISTINCT signal, value FROM signal_rows WHERE cluster >= 0) AS v
    INNER JOIN baselines AS u ON v.signal = u.signal
    LEFT JOIN bins AS b ON v.signal = b.signal AND v.value >= b.at_least AND b.at_least > u.baseline
    GROUP BY v.signal, v.value
)
SELECT
    r.cluster,
    r.org,
    SUM((w.points - p.points) / 2.0) AS points,
    SUM(w.points) AS shown,
    SUM(p.points) AS expected
FROM signal_rows AS r
INNER JOIN worth AS w ON r.signal = w.signal AND r.value = w.value
INNER JOIN signal_points AS p ON r.cluster = p.cluster AND r.signal = p.signal
WHERE r.cluster >= 0
GROUP BY r.cluster, r.org
