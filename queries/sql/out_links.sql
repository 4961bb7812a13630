-- title: Links to shared identifiers
-- purpose: Who used which identifier that others used too. Identifiers proven more strongly than usual
--    (phone_verified) are listed as what they are (phone), where they are already.
-- reads: uses, shared_identifiers, degrees, organizations, linked_kinds
-- writes: out_links
WITH spans AS (
    SELECT
        u.entity,
        u.org,
        MIN(u.first_at) AS first_at,
        MAX(u.last_at) AS last_at,
        CAST(SUM(u.uses) AS BIGINT) AS uses
    FROM uses AS u
    INNER JOIN linked_kinds AS k ON u.kind = k.kind AND k.kind = k.base
    GROUP BY u.entity, u.org
)
SELECT
    o.org_id,
    o.organization,
    s.kind,
    s.key,
    p.first_at,
    p.last_at,
    p.uses,
    d.organizations AS orgs
FROM spans AS p
INNER JOIN shared_identifiers AS s ON p.entity = s.entity
INNER JOIN degrees AS d ON p.entity = d.entity
INNER JOIN organizations AS o ON p.org = o.org
-- numbers sort as what they stand for: entities by kind and key, organizations by id
ORDER BY p.entity, p.org
