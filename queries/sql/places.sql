-- title: Places
-- purpose: Shared identifiers that tie nobody, and why: addresses that are places; consumers that hold the keys of
--    strangers (a gateway, a build system), or are programs on an address that is a place; machines that strangers share (a laboratory's, an internet café's); codes
--    that many strangers redeem (a public figure's, a hackathon's); e-mail domains of a university or of a provider that
--    nobody knew; and junk, which strangers of all ages use far beyond its kind's usual degree. Strangers who came at
--    once may be a ring.
-- reads: crowds, address_types, addresses_parts, shared_identifiers, bystander_recipe
-- writes: places
WITH usual AS (
    -- what is usual is told from those that are no candidates, or a single junk value would be its own measure
    SELECT c.kind, QUANTILE_CONT(c.organizations, 0.95) AS organizations
    FROM crowds AS c
    CROSS JOIN bystander_recipe AS r
    WHERE c.organizations < r.least_crowd
    GROUP BY c.kind
),
strangers AS (
    SELECT c.entity, c.kind, c.organizations, c.spread
    FROM crowds AS c
    CROSS JOIN bystander_recipe AS r
    WHERE c.accompanied <= r.accompanied * c.organizations
),
housed AS (
    -- programs told apart by address and signature: on a place, those that strangers happen to share
    SELECT a.consumer, MIN(CASE WHEN t.type = 'data_centre' THEN 'multi_tenant' ELSE t.type END) AS why
    FROM addresses_parts AS a
    INNER JOIN address_types AS t ON a.ip = t.key
    WHERE a.consumer IS NOT NULL AND t.place
    GROUP BY a.consumer
    HAVING MIN(a.ip) = MAX(a.ip)
),
found AS (
    SELECT s.identifier, h.why
    FROM housed AS h
    INNER JOIN shared_identifiers AS s ON s.kind = 'consumer' AND h.consumer = s.key
    LEFT JOIN crowds AS c ON s.entity = c.entity
    CROSS JOIN bystander_recipe AS r
    WHERE COALESCE(c.accompanied, 0) <= r.accompanied * COALESCE(c.organizations, 0)
    UNION
    SELECT s.identifier, t.type AS why
    FROM address_types AS t
    INNER JOIN shared_identifiers AS s ON s.kind = 'ip' AND s.key = t.key
    WHERE t.place
    UNION
    SELECT
        s.identifier,
        CASE
            WHEN g.kind = 'consumer' THEN 'multi_tenant'
            WHEN g.kind = 'device' THEN 'shared_machine'
            WHEN g.kind IN ('referral_code', 'promo_code') THEN 'public_code'
            WHEN g.kind = 'email_domain' THEN 'public_domain'
            ELSE 'junk'
        END AS why
    FROM strangers AS g
    INNER JOIN shared_identifiers AS s ON g.entity = s.entity
    CROSS JOIN bystander_recipe AS r
    LEFT JOIN usual AS u ON g.kind = u.kind
    WHERE CASE
        WHEN g.kind = 'ip' THEN FALSE
        WHEN g.kind IN ('consumer', 'device') THEN g.spread >= r.ages
        WHEN g.kind IN ('referral_code', 'promo_code') THEN g.organizations >= r.least_crowd
        WHEN g.spread < r.ages THEN FALSE
        ELSE g.organizations >= r.least_crowd AND g.organizations >= r.far_beyond * COALESCE(u.organizations, 2)
    END
)
-- an identifier is a place also where it is proven more strongly than usual
SELECT s.entity, s.kind, s.key, MIN(f.why) AS why
FROM found AS f
INNER JOIN shared_identifiers AS s ON f.identifier = s.identifier
GROUP BY s.entity, s.kind, s.key
