-- title: Labels of identifiers
-- purpose: At most one label an identifier that is not an organization, by the rules for organizations.
-- reads: label_claims
-- writes: entity_labels
WITH claims AS (
    SELECT kind, key, label, label_source, reason, decided_at, label_source = 'person' AS personal
    FROM label_claims
    WHERE key IS NOT NULL AND NOT contradicted
),
decided AS (
    SELECT DISTINCT kind, key FROM claims WHERE personal
),
heard AS (
    SELECT c.*
    FROM claims AS c
    LEFT JOIN decided AS d ON c.kind = d.kind AND c.key = d.key
    WHERE c.personal OR d.key IS NULL
)
SELECT
    kind,
    key,
    MIN(label) AS label,
    MIN(label_source) AS label_source,
    MIN_BY(reason, (label_source, decided_at)) AS reason,
    MAX(decided_at) AS labelled_at
FROM heard
GROUP BY kind, key
HAVING COUNT(DISTINCT label) = 1
