-- title: Crowds on one identifier
-- purpose: Of the identifiers that many organizations use: how many of those organizations share something else with
--    another one of them (are accompanied), and over what time they came to be (microseconds between the first and
--    the last quarter). Members of a ring share more than one thing; strangers in one place share the place alone.
--    Something else is what hardly anybody shares by being in one place: no address and no domain; and it counts only
--    where a third of all who use it are on this identifier, so that common names prove nothing.
-- reads: uses, degrees, organizations, linked_kinds, bystander_recipe
-- writes: crowds
WITH users AS (
    SELECT DISTINCT u.entity, u.kind, u.org
    FROM uses AS u
    INNER JOIN linked_kinds AS k ON u.kind = k.kind AND k.kind = k.base AND NOT k.derived
),
crowded AS (
    SELECT u.entity, u.kind, u.org
    FROM users AS u
    INNER JOIN degrees AS d ON u.entity = d.entity
    CROSS JOIN bystander_recipe AS r
    WHERE d.organizations >= r.least_servers
),
else_used AS (
    SELECT u.entity, u.kind, u.org, d.organizations
    FROM users AS u
    INNER JOIN degrees AS d ON u.entity = d.entity
    WHERE u.kind IN (
        'device', 'mailbox', 'phone', 'payment_method', 'user', 'api_key', 'referral_code', 'name'
    )
        AND u.org IN (SELECT org FROM crowded)
),
together AS (
    SELECT c.entity, e.entity AS other
    FROM crowded AS c
    INNER JOIN else_used AS e ON c.org = e.org AND c.kind <> e.kind
    GROUP BY c.entity, e.entity
    HAVING COUNT(*) >= 2 AND 3 * COUNT(*) >= MAX(e.organizations)
),
company AS (
    SELECT c.entity, COUNT(DISTINCT c.org) AS accompanied
    FROM together AS t
    INNER JOIN else_used AS e ON t.other = e.entity
    INNER JOIN crowded AS c ON t.entity = c.entity AND e.org = c.org
    GROUP BY c.entity
),
ages AS (
    SELECT
        c.entity,
        c.kind,
        COUNT(*) AS organizations,
        QUANTILE_CONT(COALESCE(o.created_at, o.first_at), 0.75)
        - QUANTILE_CONT(COALESCE(o.created_at, o.first_at), 0.25) AS spread
    FROM crowded AS c
    INNER JOIN organizations AS o ON c.org = o.org
    GROUP BY c.entity, c.kind
),
of_strangers AS (
    -- a machine that strangers of all ages share is no company for them on its address
    SELECT a.entity
    FROM ages AS a
    LEFT JOIN company AS y ON a.entity = y.entity
    CROSS JOIN bystander_recipe AS r
    WHERE a.spread >= r.ages AND COALESCE(y.accompanied, 0) <= r.accompanied * a.organizations
),
friends AS (
    SELECT c.entity, COUNT(DISTINCT c.org) AS accompanied
    FROM together AS t
    INNER JOIN else_used AS e ON t.other = e.entity
    INNER JOIN crowded AS c ON t.entity = c.entity AND e.org = c.org
    WHERE t.other NOT IN (SELECT entity FROM of_strangers)
    GROUP BY c.entity
)
SELECT a.entity, a.kind, a.organizations, COALESCE(f.accompanied, 0) AS accompanied, a.spread
FROM ages AS a
LEFT JOIN friends AS f ON a.entity = f.entity
