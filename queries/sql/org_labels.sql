-- title: Labels of organizations
-- purpose: At most one label an organization: a person's, else what all feeds that speak of it agree on. A source that
--    contradicts itself about it counts for nothing.
-- reads: label_claims
-- writes: org_labels
WITH claims AS (
    SELECT org, label, label_source, reason, decided_at, label_source = 'person' AS personal
    FROM label_claims
    WHERE org IS NOT NULL AND NOT contradicted
),
heard AS (
    SELECT c.*
    FROM claims AS c
    WHERE c.personal OR c.org NOT IN (SELECT org FROM claims WHERE personal)
)
SELECT
    org,
    MIN(label) AS label,
    MIN(label_source) AS label_source,
    MIN_BY(reason, (label_source, decided_at)) AS reason,
    MAX(decided_at) AS labelled_at
FROM heard
GROUP BY org
HAVING COUNT(DISTINCT label) = 1
