-- title: Points of members
-- purpose: How far each member's own behaviour departs from its cluster's: half the difference between the points
--    that its own value would have and those of the cluster, over the signals that can judge it.
-- reads: signal_rows, signal_points, bins
-- writes: member_points
WITH own AS (
    SELECT r.cluster, r.org, r.signal, COALESCE(MAX(b.points), 0) AS points
    FROM signal_rows AS r
    LEFT JOIN bins AS b ON r.signal = b.signal AND r.value >= b.at_least
    WHERE r.cluster >= 0
    GROUP BY r.cluster, r.org, r.signal
)
SELECT o.cluster, o.org, SUM((o.points - p.points) / 2.0) AS points
FROM own AS o
INNER JOIN signal_points AS p ON o.cluster = p.cluster AND o.signal = p.signal
GROUP BY o.cluster, o.org
