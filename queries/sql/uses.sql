-- title: Uses of shared identifiers
-- purpose: The spans in which each organization used each shared identifier, in dense numbers.
-- reads: links_parts, shared_identifiers, organizations
-- writes: uses
SELECT
    s.kind,
    s.entity,
    o.org,
    l.first_at,
    l.last_at,
    l.uses
FROM links_parts AS l
INNER JOIN shared_identifiers AS s ON l.kind = s.kind AND l.key = s.key
INNER JOIN organizations AS o ON l.organization = o.organization
