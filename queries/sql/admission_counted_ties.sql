-- title: Ties that may count
-- purpose: Which candidates of one cluster used which identifiers that tie them: when each came to it, what class the
--    evidence has from where it stands, and whether it counts against it. A tie that others can forge counts only
--    against who came to the identifier after another candidate (of a referral: who redeemed), and never by a thing
--    that it alone proved to be its own: others may type what belongs to a victim, or leave through its address. What
--    can be proven and was proven by nobody else (a mailbox, its domain, a phone) counts for nothing: it may be the
--    victim's, typed before the victim came.
-- reads: candidates, reasons, shared_identifiers, tie_kinds, uses, degrees, control, reliance, referrals, organizations,
--    evidence, admission_recipe
-- writes: counted_ties
WITH ends AS (
    SELECT a.cluster, r.a, r.b, r.identifier
    FROM reasons AS r
    INNER JOIN candidates AS a ON r.a = a.org
    INNER JOIN candidates AS b ON r.b = b.org AND a.cluster = b.cluster
    INNER JOIN shared_identifiers AS s ON r.entity = s.entity
    INNER JOIN tie_kinds AS k ON s.kind = k.kind
    WHERE k.counts
),
tied AS (
    SELECT cluster, a AS org, identifier FROM ends
    UNION
    SELECT cluster, b AS org, identifier FROM ends
),
redeemed AS (
    SELECT DISTINCT s.identifier, f.org
    FROM referrals AS f
    INNER JOIN organizations AS o ON f.referrer = o.org
    INNER JOIN shared_identifiers AS s
        ON s.kind = 'referral_code' AND COALESCE(f.code, o.organization) = s.key
),
placed AS (
    SELECT
        t.cluster,
        t.org,
        t.identifier,
        k.base AS kind,
        k.family,
        MIN(u.first_at) AS first_at,
        MIN(s.entity) AS entity
    FROM tied AS t
    INNER JOIN shared_identifiers AS s ON t.identifier = s.identifier
    INNER JOIN uses AS u ON s.entity = u.entity AND t.org = u.org
    INNER JOIN tie_kinds AS k ON s.kind = k.kind
    GROUP BY t.cluster, t.org, t.identifier, k.base, k.family
),
known AS (
    SELECT
        p.*,
        c.proven_at,
        r.org IS NOT NULL AS redeems,
        l.org IS NOT NULL AS relies,
        e.class AS known_class,
        d.organizations
    FROM placed AS p
    INNER JOIN degrees AS d ON p.entity = d.entity
    LEFT JOIN control AS c ON p.identifier = c.identifier AND p.org = c.org
    LEFT JOIN redeemed AS r ON p.identifier = r.identifier AND p.org = r.org
    LEFT JOIN reliance AS l ON p.identifier = l.identifier AND p.org = l.org
    LEFT JOIN evidence AS e ON p.identifier = e.identifier AND p.org = e.org
),
seen AS (
    SELECT
        n.*,
        -- who redeems a code comes after its owner, though one event may say so of both
        MIN(2 * first_at + CASE WHEN redeems THEN 1 ELSE 0 END) OVER (PARTITION BY cluster, identifier)
        < 2 * first_at + CASE WHEN redeems THEN 1 ELSE 0 END AS later,
        COUNT(proven_at) OVER (PARTITION BY cluster, identifier) AS provers,
        SUM(CASE WHEN relies THEN 1 ELSE 0 END) OVER (PARTITION BY cluster, identifier) AS reliers,
        COUNT(*) OVER (PARTITION BY cluster, identifier) AS suspects
    FROM known AS n
),
classed AS (
    SELECT
        s.*,
        s.suspects >= r.least_share * s.organizations AS own,
        CASE
            WHEN s.known_class IS NULL THEN 'unilateral'
            WHEN s.kind IN ('mailbox', 'email_domain', 'phone', 'device') AND s.provers < 2 THEN 'unilateral'
            WHEN s.kind = 'payment_method' AND NOT s.later THEN 'unilateral'
            WHEN s.kind = 'consumer' AND (s.reliers < 2 OR s.reliers < r.dedication * s.organizations) THEN 'unilateral'
            ELSE s.known_class
        END AS class
    FROM seen AS s
    CROSS JOIN admission_recipe AS r
)
SELECT
    cluster,
    org,
    identifier,
    entity,
    kind,
    family,
    class,
    first_at,
    suspects,
    organizations,
    own
    AND (
        class <> 'unilateral'
        OR (
            later
            AND (kind <> 'referral_code' OR redeems)
            AND (proven_at IS NULL OR provers >= 2)
            AND (kind NOT IN ('mailbox', 'email_domain', 'phone') OR provers >= 1)
        )
    ) AS counted
FROM classed
ORDER BY cluster, identifier, org
