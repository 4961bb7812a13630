-- title: Values of shadow signals
-- purpose: What each detector in shadow says of each cluster, by the formula of `signal_values`. Its baseline is its
--    mean over the random groups of this run.
-- reads: shadow_rows, scoring
-- writes: shadow_values
WITH usual AS (
    SELECT signal, AVG(CASE WHEN cluster < 0 THEN value END) AS baseline
    FROM shadow_rows
    GROUP BY signal
)
SELECT
    r.cluster,
    r.signal,
    (SUM(r.value) + MAX(s.prior_members) * COALESCE(MAX(u.baseline), 0)) / (COUNT(*) + MAX(s.prior_members)) AS value,
    CAST(SUM(CASE WHEN r.value >= 0.5 THEN 1 ELSE 0 END) AS BIGINT) AS affected,
    COUNT(*) AS eligible,
    COALESCE(MAX(u.baseline), 0) AS baseline
FROM shadow_rows AS r
INNER JOIN usual AS u ON r.signal = u.signal
CROSS JOIN scoring AS s
WHERE r.cluster >= 0
GROUP BY r.cluster, r.signal
