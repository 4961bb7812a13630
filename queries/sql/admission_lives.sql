-- title: Independent lives
-- purpose: What each candidate had done before its first tie that counts: settled an invoice in time, on a payment method
--    that nobody else had used; used the genuine client for long enough; verified, in time, a contact that nobody else
--    had used, and nobody else has verified since. What came after the tie proves nothing.
-- reads: first_ties, settlements, proofs_parts, trusted_sources, organizations, shared_identifiers, uses, control,
--    admission_recipe
-- writes: lives
WITH others AS (
    -- when the second organization came to an identifier, and who was the first
    SELECT s.kind, s.key, s.identifier, u.org, MIN(u.first_at) AS first_at
    FROM uses AS u
    INNER JOIN shared_identifiers AS s ON u.entity = s.entity
    WHERE s.kind IN ('payment_method', 'mailbox', 'phone')
    GROUP BY s.kind, s.key, s.identifier, u.org
),
paid AS (
    SELECT DISTINCT f.org
    FROM first_ties AS f
    INNER JOIN settlements AS s ON f.org = s.org
    CROSS JOIN admission_recipe AS r
    WHERE
        s.stands
        AND s.settled_at + r.before <= f.tied_at
        AND NOT EXISTS (
            SELECT 1
            FROM others AS o
            WHERE
                o.kind = 'payment_method' AND o.key = s.key AND o.org <> f.org AND o.first_at <= s.settled_at
        )
),
client AS (
    SELECT f.org
    FROM first_ties AS f
    INNER JOIN organizations AS n ON f.org = n.org
    INNER JOIN proofs_parts AS p ON n.organization = p.organization
    CROSS JOIN admission_recipe AS r
    WHERE p.proof = 'client' AND p.first_at < f.tied_at
    GROUP BY f.org
    HAVING MAX(LEAST(p.last_at, f.tied_at)) - MIN(p.first_at) >= MAX(r.client_span)
),
contact AS (
    SELECT DISTINCT f.org
    FROM first_ties AS f
    INNER JOIN organizations AS n ON f.org = n.org
    INNER JOIN proofs_parts AS p ON n.organization = p.organization
    INNER JOIN trusted_sources AS t ON p.source = t.source AND p.proof = t.proof
    CROSS JOIN admission_recipe AS r
    WHERE
        p.proof IN ('mailbox', 'phone')
        AND p.first_at + r.before <= f.tied_at
        AND NOT EXISTS (
            SELECT 1
            FROM others AS o
            LEFT JOIN control AS c ON o.identifier = c.identifier AND o.org = c.org
            WHERE
                o.kind = p.proof
                AND o.key = p.key
                AND o.org <> f.org
                AND (o.first_at <= p.first_at OR c.org IS NOT NULL)
        )
)
SELECT
    f.org,
    CASE WHEN p.org IS NOT NULL THEN 'paid' WHEN l.org IS NOT NULL THEN 'client' ELSE 'contact' END AS life
FROM first_ties AS f
LEFT JOIN paid AS p ON f.org = p.org
LEFT JOIN client AS l ON f.org = l.org
LEFT JOIN contact AS c ON f.org = c.org
WHERE p.org IS NOT NULL OR l.org IS NOT NULL OR c.org IS NOT NULL
