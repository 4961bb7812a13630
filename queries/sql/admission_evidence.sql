-- title: Evidence classes
-- purpose: What it took to make a link, where one side alone could not have made it. verified: this organization proved
--    control of the identifier, and so did another (of a payment method: this one settled an invoice on it, and was not
--    the first to use it, who may be the victim of a stolen card). mutual: most of this organization's inference and
--    most of another's comes from the consumer, on which at least half of its organizations rely so, or this one
--    redeemed the code of one that redeemed its own. All other links are unilateral and not listed.
-- reads: control, reliance, uses, shared_identifiers, degrees, referrals, organizations, admission_recipe
-- writes: evidence
WITH proven AS (
    SELECT c.identifier, c.org, s.kind, s.entity, COUNT(*) OVER (PARTITION BY c.identifier) AS provers
    FROM control AS c
    INNER JOIN shared_identifiers AS s ON c.identifier = s.identifier
    WHERE s.kind IN ('mailbox', 'email_domain', 'phone', 'device', 'payment_method')
),
opened AS (
    SELECT entity, MIN(first_at) AS first_at
    FROM uses
    WHERE kind = 'payment_method'
    GROUP BY entity
),
settled AS (
    SELECT p.identifier, p.org
    FROM proven AS p
    INNER JOIN opened AS o ON p.entity = o.entity
    INNER JOIN uses AS u ON p.entity = u.entity AND p.org = u.org
    WHERE p.kind = 'payment_method'
    GROUP BY p.identifier, p.org
    HAVING MIN(u.first_at) > MIN(o.first_at)
),
relied AS (
    SELECT identifier, org, COUNT(*) OVER (PARTITION BY identifier) AS reliers
    FROM reliance
),
exchanged AS (
    SELECT DISTINCT s.identifier, one.org
    FROM referrals AS one
    INNER JOIN referrals AS other ON one.org = other.referrer AND one.referrer = other.org
    INNER JOIN organizations AS o ON one.referrer = o.org
    INNER JOIN shared_identifiers AS s
        ON s.kind = 'referral_code' AND COALESCE(one.code, o.organization) = s.key
)
SELECT identifier, org, 'verified' AS class
FROM proven
WHERE kind <> 'payment_method' AND provers >= 2
UNION ALL
SELECT identifier, org, 'verified'
FROM settled
UNION ALL
SELECT r.identifier, r.org, 'mutual'
FROM relied AS r
INNER JOIN shared_identifiers AS s ON r.identifier = s.identifier AND s.kind = 'consumer'
INNER JOIN degrees AS d ON s.entity = d.entity
CROSS JOIN admission_recipe AS c
WHERE r.reliers >= 2 AND r.reliers >= c.dedication * d.organizations
UNION ALL
SELECT identifier, org, 'mutual'
FROM exchanged
