-- title: Traffic of shared addresses
-- purpose: What several organizations did from one address: how many of them acted there as people do (anything but
--    calls of models), for how many it is where they mostly act, at how many hours of the day something happened, and
--    how many have mailboxes on the commonest domain of theirs that is no provider's.
-- reads: addresses_parts, shared_identifiers, organizations, uses
-- writes: address_traffic
WITH own AS (
    SELECT
        organization,
        ip,
        SUM(calls) AS calls,
        SUM(acts) AS acts,
        BIT_OR(hour_bits) AS hour_bits
    FROM addresses_parts
    WHERE ip IS NOT NULL
    GROUP BY organization, ip
),
everywhere AS (
    SELECT organization, SUM(acts) AS acts FROM own GROUP BY organization
),
shared AS (
    SELECT s.entity, o.org, w.acts, w.hour_bits, e.acts AS all_acts
    FROM own AS w
    INNER JOIN shared_identifiers AS s ON s.kind = 'ip' AND w.ip = s.key
    INNER JOIN organizations AS o ON w.organization = o.organization
    INNER JOIN everywhere AS e ON w.organization = e.organization
),
domains AS (
    SELECT DISTINCT entity, org FROM uses WHERE kind = 'email_domain'
),
colleagues AS (
    SELECT entity, MAX(organizations) AS organizations
    FROM (
        SELECT s.entity, d.entity AS domain, COUNT(*) AS organizations
        FROM shared AS s
        INNER JOIN domains AS d ON s.org = d.org
        GROUP BY s.entity, d.entity
    ) AS by_domain
    GROUP BY entity
)
SELECT
    s.entity,
    COUNT(*) AS organizations,
    SUM(CASE WHEN s.acts > 0 THEN 1 ELSE 0 END) AS actors,
    SUM(CASE WHEN s.acts > 0 AND 2 * s.acts >= s.all_acts THEN 1 ELSE 0 END) AS residents,
    BIT_COUNT(BIT_OR(s.hour_bits)) AS active_hours,
    COALESCE(MAX(c.organizations), 0) AS colleagues
FROM shared AS s
LEFT JOIN colleagues AS c ON s.entity = c.entity
GROUP BY s.entity
