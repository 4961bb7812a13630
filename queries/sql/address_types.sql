-- title: Types of addresses
-- purpose: What kind of network an address is in, said by the operator's tables or else told from behaviour, and
--    whether it is a place: shared by so many who have nothing else in common that sharing it means nothing.
--    Addresses of which nothing is known are left out. Machines call models and do nothing else: a data centre (a
--    gateway or build system where its organizations are of all ages). A crowd of strangers is a mobile network, a
--    VPN where few mostly act from there, an office, campus or venue where they came at once or share a domain.
-- reads: crowds, address_traffic, shared_identifiers, known_addresses, bystander_recipe
-- writes: address_types
WITH judged AS (
    SELECT
        s.key,
        CASE
            WHEN 10 * t.actors <= t.organizations THEN 'data_centre'
            WHEN t.actors < r.least_office THEN NULL
            WHEN t.colleagues >= r.domain_share * t.actors AND c.spread >= r.ages THEN 'office'
            WHEN c.accompanied IS NULL OR c.accompanied > r.accompanied * c.organizations THEN NULL
            WHEN c.organizations < r.least_crowd AND c.spread < r.ages THEN NULL
            WHEN c.spread < r.ages THEN 'office'
            WHEN 2 * t.residents < t.actors THEN 'vpn'
            WHEN t.active_hours <= 14 AND c.organizations >= r.least_crowd THEN 'office'
            ELSE 'mobile'
        END AS type,
        c.accompanied <= r.accompanied * c.organizations
        AND (c.spread >= r.ages OR (c.organizations >= r.least_crowd AND 10 * t.actors > t.organizations)) AS strangers
    FROM address_traffic AS t
    INNER JOIN shared_identifiers AS s ON t.entity = s.entity
    LEFT JOIN crowds AS c ON t.entity = c.entity
    CROSS JOIN bystander_recipe AS r
)
SELECT
    COALESCE(k.key, j.key) AS key,
    CASE
        WHEN k.type IS NULL OR (k.type = 'residential' AND j.strangers AND j.type <> 'data_centre') THEN j.type
        ELSE k.type
    END AS type,
    CASE
        WHEN k.type IS NULL OR (k.type = 'residential' AND j.strangers AND j.type <> 'data_centre') THEN 'behaviour'
        ELSE 'table'
    END AS "by",
    COALESCE(j.strangers, FALSE) OR COALESCE(k.type IN ('mobile', 'office', 'vpn'), FALSE) AS place
FROM judged AS j
FULL JOIN known_addresses AS k ON j.key = k.key
WHERE k.type IS NOT NULL OR j.type IS NOT NULL
