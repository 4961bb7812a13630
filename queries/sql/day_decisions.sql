-- title: Decisions in some files of events
-- purpose: What people and feeds have decided about organizations and identifiers: labels, protections, pairs that are
--    not linked, actions and their ends. Few rows, kept as they are.
-- reads: events
-- writes: day_decisions
SELECT
    event_id,
    source,
    event_type,
    happened_at AS decided_at,
    arrived_at AS known_at,
    organization,
    other_organization,
    label,
    label_source,
    action,
    reason,
    entity_type,
    entity
FROM events
WHERE event_type IN (
    'organization_labelled',
    'organization_protected',
    'organizations_not_linked',
    'organization_restricted',
    'organization_restored',
    'entity_labelled'
)
