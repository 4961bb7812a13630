-- SQLite's answer to queries/cypher/clusters_with_signal.cypher, whose header describes both.
SELECT
    c.cluster_id,
    c.name,
    c.risk,
    e.points,
    e.affected,
    e.eligible,
    e.value,
    e.baseline,
    e.fact
FROM Signal AS s
CROSS JOIN SHOWS AS e ON e.target = s.id
CROSS JOIN Cluster AS c ON c.id = e.source
WHERE s.signal = $signal AND e.points >= $min_points
ORDER BY e.points DESC, c.cluster_id
LIMIT $limit
