-- title: What each source of labels says now
-- purpose: The latest label of every source about every subject (an organization, or an identifier). A source that says
--    both about one subject contradicts itself: people and feeds may change their mind, so for a person that is only
--    what arrived together, for a feed whatever lies within a day of its last word.
-- reads: decisions
-- writes: label_claims
WITH said AS (
    SELECT
        org,
        kind,
        key,
        label,
        label_source,
        reason,
        decided_at,
        known_at,
        ROW_NUMBER() OVER (
            PARTITION BY org, kind, key, label_source ORDER BY decided_at DESC, known_at DESC, label, event_id
        ) AS place,
        CASE WHEN label_source = 'person' THEN 0 ELSE 86400000000 END AS patience
    FROM decisions
    WHERE label IS NOT NULL
        AND decision IN ('organization_labelled', 'entity_labelled')
        AND (org IS NOT NULL OR key IS NOT NULL)
),
last_words AS (
    SELECT * FROM said WHERE place = 1
),
disputed AS (
    SELECT DISTINCT w.org, w.kind, w.key, w.label_source
    FROM last_words AS w
    INNER JOIN said AS s
        ON w.org IS NOT DISTINCT FROM s.org
        AND w.key IS NOT DISTINCT FROM s.key
        AND w.kind IS NOT DISTINCT FROM s.kind
        AND w.label_source = s.label_source
    WHERE s.label <> w.label
        AND w.decided_at - s.decided_at <= w.patience
        AND ABS(w.known_at - s.known_at) <= w.patience
)
SELECT
    w.org,
    w.kind,
    w.key,
    w.label,
    w.label_source,
    w.reason,
    w.decided_at,
    d.label_source IS NOT NULL AS contradicted
FROM last_words AS w
LEFT JOIN disputed AS d
    ON w.org IS NOT DISTINCT FROM d.org
    AND w.kind IS NOT DISTINCT FROM d.kind
    AND w.key IS NOT DISTINCT FROM d.key
    AND w.label_source = d.label_source
