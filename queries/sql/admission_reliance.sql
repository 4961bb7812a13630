-- title: Reliance on consumers
-- purpose: Which organizations have most of their inference (four fifths by default) sent by one consumer.
-- reads: uses, shared_identifiers, activity_parts, organizations, admission_recipe
-- writes: reliance
WITH sent AS (
    SELECT u.org, s.identifier, SUM(u.uses) AS uses
    FROM uses AS u
    INNER JOIN shared_identifiers AS s ON u.entity = s.entity
    WHERE u.kind = 'consumer'
    GROUP BY u.org, s.identifier
),
used AS (
    SELECT o.org, SUM(a.events) AS events
    FROM activity_parts AS a
    INNER JOIN organizations AS o ON a.organization = o.organization
    WHERE a.event_type = 'inference'
    GROUP BY o.org
)
SELECT n.identifier, n.org
FROM sent AS n
INNER JOIN used AS t ON n.org = t.org
CROSS JOIN admission_recipe AS r
WHERE n.uses >= r.reliance * t.events
