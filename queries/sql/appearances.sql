-- title: Appearances
-- purpose: The timeline of each weak identifier is cut into sessions where nobody used it for longer than its
--    gap; strong identifiers have one session. Each organization appears in a session once, placed by its first
--    use. Sessions with more organizations than the cap are places, not ties; so are identifiers known as places.
-- reads: uses, tie_kinds, places
-- writes: appearances
WITH followed AS (
    SELECT
        u.entity,
        u.kind,
        u.org,
        u.first_at,
        MAX(u.last_at) OVER (
            PARTITION BY u.entity ORDER BY u.first_at, u.org
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS quiet_since
    FROM uses AS u
    WHERE u.entity NOT IN (SELECT entity FROM places)
),
opened AS (
    SELECT
        f.entity,
        f.kind,
        f.org,
        f.first_at,
        CASE WHEN NOT k.strong AND f.first_at - f.quiet_since > k.gap THEN 1 ELSE 0 END AS opens
    FROM followed AS f
    INNER JOIN tie_kinds AS k ON f.kind = k.kind
),
numbered AS (
    SELECT
        entity,
        kind,
        org,
        first_at,
        SUM(opens) OVER (
            PARTITION BY entity ORDER BY first_at, org
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS session
    FROM opened
),
firsts AS (
    SELECT entity, kind, session, org, MIN(first_at) AS first_at
    FROM numbered
    GROUP BY entity, kind, session, org
),
placed AS (
    SELECT
        entity,
        kind,
        CAST(session AS BIGINT) AS session,
        org,
        first_at,
        ROW_NUMBER() OVER (PARTITION BY entity, session ORDER BY first_at, org) AS place,
        COUNT(*) OVER (PARTITION BY entity, session) AS organizations
    FROM firsts
)
SELECT p.entity, p.kind, p.session, p.org, p.first_at, p.place, p.organizations
FROM placed AS p
INNER JOIN tie_kinds AS k ON p.kind = k.kind
WHERE p.organizations BETWEEN 2 AND k.cap
