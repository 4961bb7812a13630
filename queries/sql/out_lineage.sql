-- title: Lineage
-- purpose: What became of each cluster since the run before.
-- reads: lineage
-- writes: out_lineage
SELECT cluster_id, previous_id, change, jaccard, as_of
FROM lineage
ORDER BY cluster_id, previous_id, change
