-- title: Reasons of ties
-- purpose: For each tie, the identifiers that carry it: how much, and when each side used them.
-- reads: reasons, ties, shared_identifiers, organizations
-- writes: out_reasons
SELECT
    a.org_id AS a,
    b.org_id AS b,
    s.kind,
    s.key,
    r.weight,
    CAST(FLOOR(r.gap / 1000000) AS BIGINT) AS gap_s,
    r.a_at,
    r.b_at
FROM reasons AS r
INNER JOIN ties AS t ON r.a = t.a AND r.b = t.b
INNER JOIN shared_identifiers AS s ON r.entity = s.entity
INNER JOIN organizations AS a ON r.a = a.org
INNER JOIN organizations AS b ON r.b = b.org
-- numbers sort as what they stand for
ORDER BY r.a, r.b, r.weight DESC, r.entity
