-- title: Decisions
-- purpose: Every decision about an organization or an identifier, with organizations by their numbers. A label about an
--    identifier that is an organization is a label about that organization. Who says so is the label's source, else
--    the source of the event.
-- reads: decisions_parts, organizations
-- writes: decisions
WITH spoken AS (
    SELECT
        *,
        CASE WHEN event_type = 'entity_labelled' AND entity_type = 'organization' THEN entity ELSE organization END
            AS about
    FROM decisions_parts
)
SELECT
    d.event_id,
    d.source,
    d.event_type AS decision,
    o.org,
    x.org AS other,
    CASE WHEN d.event_type = 'entity_labelled' AND d.entity_type <> 'organization' THEN d.entity_type END AS kind,
    CASE WHEN d.event_type = 'entity_labelled' AND d.entity_type <> 'organization' THEN d.entity END AS key,
    d.label,
    COALESCE(d.label_source, d.source) AS label_source,
    d.action,
    d.reason,
    d.decided_at,
    d.known_at
FROM spoken AS d
LEFT JOIN organizations AS o ON d.about = o.organization
LEFT JOIN organizations AS x ON d.other_organization = x.organization
