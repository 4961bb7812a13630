-- title: Pairs that are not linked
-- purpose: Two organizations that people declared to have nothing to do with each other: for ever, whatever comes later.
-- reads: decisions
-- writes: not_linked
SELECT DISTINCT LEAST(org, other) AS a, GREATEST(org, other) AS b
FROM decisions
WHERE decision = 'organizations_not_linked' AND org IS NOT NULL AND other IS NOT NULL AND org <> other
