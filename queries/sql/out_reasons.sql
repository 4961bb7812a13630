-- title: Reasons of ties
-- purpose: For each tie, the identifiers that carry it: how much, when each side used them, and what it took. A tie is
--    of a class when it is for both; by a payment method, when it is for the one that came later.
-- reads: reasons, ties, shared_identifiers, organizations, evidence
-- writes: out_reasons
SELECT
    a.org_id AS a,
    b.org_id AS b,
    s.kind,
    s.key,
    r.weight,
    CAST(FLOOR(r.gap / 1000000) AS BIGINT) AS gap_s,
    r.a_at,
    r.b_at,
    CASE
        WHEN s.kind = 'payment_method' THEN COALESCE(x.class, y.class, 'unilateral')
        WHEN x.class = y.class THEN x.class
        ELSE 'unilateral'
    END AS evidence_class
FROM reasons AS r
INNER JOIN ties AS t ON r.a = t.a AND r.b = t.b
INNER JOIN shared_identifiers AS s ON r.entity = s.entity
INNER JOIN organizations AS a ON r.a = a.org
INNER JOIN organizations AS b ON r.b = b.org
LEFT JOIN evidence AS x ON r.a = x.org AND r.identifier = x.identifier
LEFT JOIN evidence AS y ON r.b = y.org AND r.identifier = y.identifier
-- numbers sort as what they stand for
ORDER BY r.a, r.b, r.weight DESC, r.entity
