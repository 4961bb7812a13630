-- title: Reasons of ties
-- purpose: In each session every organization is tied to its predecessors (ten by default) only, so ties grow
--    linearly with use. What an identifier says of two is a log-likelihood ratio, evidence - fade * ln(1 + hours
--    between them) - crowd * ln(d - 1), in int64 fixed point, rounded before any sum; what says nothing is dropped. Of
--    several ties over one identifier the strongest counts.
-- reads: appearances, tie_kinds, shared_identifiers, recipe
-- writes: reasons
WITH lined AS (
    -- GENERATE_SERIES counts down in Spark where the end lies before the start, so the first place is left out
    SELECT a.*, UNNEST(GENERATE_SERIES(GREATEST(a.place - r.predecessors, 1), a.place - 1)) AS before
    FROM appearances AS a
    CROSS JOIN recipe AS r
    WHERE a.place > 1
),
pairs AS (
    SELECT
        later.entity,
        later.kind,
        LEAST(later.org, earlier.org) AS a,
        GREATEST(later.org, earlier.org) AS b,
        CASE WHEN later.org < earlier.org THEN later.first_at ELSE earlier.first_at END AS a_at,
        CASE WHEN later.org < earlier.org THEN earlier.first_at ELSE later.first_at END AS b_at,
        later.first_at - earlier.first_at AS gap,
        later.organizations
    FROM lined AS later
    INNER JOIN appearances AS earlier
        ON later.entity = earlier.entity
        AND later.session = earlier.session
        AND later.before = earlier.place
),
weighed AS (
    SELECT
        p.entity,
        k.part,
        k.counts,
        p.a,
        p.b,
        p.a_at,
        p.b_at,
        p.gap,
        CASE
            WHEN p.gap > r.memory THEN 0
            ELSE CAST(ROUND(
                r.unit * (k.evidence - k.fade * LN(1 + p.gap / 3600000000) - k.crowd * LN(p.organizations - 1))
            ) AS BIGINT)
        END AS weight
    FROM pairs AS p
    INNER JOIN tie_kinds AS k ON p.kind = k.kind
    CROSS JOIN recipe AS r
),
chosen AS (
    -- one of the sessions as a whole, so that weight, gap and times belong together
    SELECT
        w.a,
        w.b,
        s.identifier,
        w.part,
        w.counts,
        MAX({
            'weight': w.weight, 'nearness': -w.gap, 'a_at': w.a_at, 'b_at': w.b_at, 'precedence': -w.entity
        }) AS best
    FROM weighed AS w
    INNER JOIN shared_identifiers AS s ON w.entity = s.entity
    WHERE w.weight > 0
    GROUP BY w.a, w.b, s.identifier, w.part, w.counts
)
SELECT
    c.a,
    c.b,
    c.identifier,
    c.part,
    c.counts,
    -c.best.precedence AS entity,
    c.best.weight AS weight,
    -c.best.nearness AS gap,
    c.best.a_at AS a_at,
    c.best.b_at AS b_at
FROM chosen AS c
