-- title: Values of signals
-- purpose: What each signal says of each cluster: the mean over the members that it can judge, drawn towards the
--    population's baseline by as much as `prior_members` members would, so that two members prove little.
-- reads: signal_rows, baselines, scoring
-- writes: signal_values
SELECT
    r.cluster,
    r.signal,
    (SUM(r.value) + MAX(s.prior_members) * MAX(b.baseline)) / (COUNT(*) + MAX(s.prior_members)) AS value,
    MAX(b.baseline) AS baseline,
    CAST(SUM(CASE WHEN r.value >= 0.5 THEN 1 ELSE 0 END) AS BIGINT) AS affected,
    COUNT(*) AS eligible
FROM signal_rows AS r
INNER JOIN baselines AS b ON r.signal = b.signal
CROSS JOIN scoring AS s
WHERE r.cluster >= 0
GROUP BY r.cluster, r.signal
