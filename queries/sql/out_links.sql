-- title: Links to shared identifiers
-- purpose: Who used which identifier that others used too. Identifiers proven more strongly than usual
--    (phone_verified) are listed as what they are (phone), where they are already.
-- reads: uses, shared_identifiers, degrees, organizations, linked_kinds
-- writes: out_links
SELECT
    o.org_id,
    o.organization,
    s.kind,
    s.key,
    MIN(u.first_at) AS first_at,
    MAX(u.last_at) AS last_at,
    CAST(SUM(u.uses) AS BIGINT) AS uses,
    MAX(d.organizations) AS orgs
FROM uses AS u
INNER JOIN shared_identifiers AS s ON u.entity = s.entity
INNER JOIN linked_kinds AS k ON s.kind = k.kind AND k.kind = k.base
INNER JOIN degrees AS d ON u.entity = d.entity
INNER JOIN organizations AS o ON u.org = o.org
GROUP BY o.org_id, o.organization, s.kind, s.key
ORDER BY s.kind, s.key, o.org_id
