-- title: Rows behind the evidence
-- purpose: For each member that shows a signal, the identifier, the time and the count that it rests on.
-- reads: signal_rows, signal_points, scored_clusters, organizations
-- writes: out_evidence_rows
SELECT c.cluster_id, r.signal, o.org_id, r.kind, r.key, r.happened_at, r.count
FROM signal_rows AS r
INNER JOIN signal_points AS p ON r.cluster = p.cluster AND r.signal = p.signal AND p.points > 0
INNER JOIN scored_clusters AS c ON r.cluster = c.cluster
INNER JOIN organizations AS o ON r.org = o.org
WHERE r.value >= 0.5
ORDER BY c.cluster_id, r.signal, o.org
