-- title: Settlements
-- purpose: On which payment method each organization settled invoices, first when, and whether that stands: no charge
--    was disputed, and not everything was refunded. An event that names no method is about the latest one that the
--    organization gave; where there is none, the key is null. Settlements count from sources that verify payment
--    methods; what takes one back counts from all.
-- reads: proofs_parts, trusted_sources, links_parts, organizations
-- writes: settlements
WITH money AS (
    SELECT p.organization, p.proof, p.key, p.first_at, p.events
    FROM proofs_parts AS p
    LEFT JOIN trusted_sources AS t ON p.source = t.source AND t.proof = 'payment_method'
    WHERE p.proof IN ('refunded', 'disputed') OR (p.proof = 'settled' AND t.source IS NOT NULL)
),
given AS (
    SELECT organization, key, MIN(first_at) AS first_at
    FROM links_parts
    WHERE kind = 'payment_method' AND organization IN (SELECT organization FROM money WHERE key IS NULL)
    GROUP BY organization, key
),
latest AS (
    SELECT m.organization, m.proof, m.first_at, MAX_BY(g.key, (g.first_at, g.key)) AS key
    FROM (SELECT DISTINCT organization, proof, first_at FROM money WHERE key IS NULL) AS m
    INNER JOIN given AS g ON m.organization = g.organization AND m.first_at >= g.first_at
    GROUP BY m.organization, m.proof, m.first_at
),
named AS (
    SELECT m.organization, m.proof, COALESCE(m.key, l.key) AS key, m.first_at, m.events
    FROM money AS m
    LEFT JOIN latest AS l
        ON m.key IS NULL AND m.organization = l.organization AND m.proof = l.proof AND m.first_at = l.first_at
)
SELECT
    o.org,
    n.key,
    MIN(CASE WHEN n.proof = 'settled' THEN n.first_at END) AS settled_at,
    SUM(CASE WHEN n.proof = 'disputed' THEN 1 ELSE 0 END) = 0
    AND SUM(CASE WHEN n.proof = 'settled' THEN n.events ELSE 0 END)
    > SUM(CASE WHEN n.proof = 'refunded' THEN n.events ELSE 0 END) AS stands
FROM named AS n
INNER JOIN organizations AS o ON n.organization = o.organization
GROUP BY o.org, n.key
HAVING MIN(CASE WHEN n.proof = 'settled' THEN n.first_at END) IS NOT NULL
