-- title: Links to shared identifiers
-- purpose: Who used which identifier that others used too, and the weight of its strongest tie through it. Identifiers proven more strongly than usual
--    (phone_verified) are listed as what they are (phone), where they are already.
-- reads: uses, shared_identifiers, degrees, organizations, linked_kinds, reasons, recipe, evidence
-- writes: out_links
WITH carried AS (
    SELECT org, identifier, MAX(weight) AS weight
    FROM (
        SELECT a AS org, identifier, weight FROM reasons
        UNION ALL
        SELECT b AS org, identifier, weight FROM reasons
    ) AS ends
    GROUP BY org, identifier
),
spans AS (
    SELECT
        u.entity,
        u.org,
        MIN(u.first_at) AS first_at,
        MAX(u.last_at) AS last_at,
        CAST(SUM(u.uses) AS BIGINT) AS uses
    FROM uses AS u
    INNER JOIN linked_kinds AS k ON u.kind = k.kind AND k.kind = k.base AND NOT k.derived
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
    d.organizations AS orgs,
    c.weight / CAST(r.weight_unit AS DOUBLE) AS weight,
    COALESCE(e.class, 'unilateral') AS evidence_class
FROM spans AS p
INNER JOIN shared_identifiers AS s ON p.entity = s.entity
INNER JOIN degrees AS d ON p.entity = d.entity
INNER JOIN organizations AS o ON p.org = o.org
LEFT JOIN carried AS c ON p.org = c.org AND s.identifier = c.identifier
LEFT JOIN evidence AS e ON p.org = e.org AND s.identifier = e.identifier
CROSS JOIN recipe AS r
-- numbers sort as what they stand for: entities by kind and key, organizations by id
ORDER BY p.entity, p.org
