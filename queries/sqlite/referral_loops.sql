-- SQLite's answer to queries/cypher/referral_loops.cypher, whose header describes both.
-- Ids ascend with keys, so that a walk may only go on to ids that are larger than its start's.
WITH RECURSIVE walk (start, here, length, trail, organizations, begun_at, closed_at) AS (
    SELECT
        r.source,
        r.target,
        1,
        '/' || r.target || '/',
        o.org_id || ' → ' || t.org_id,
        r.first_at,
        r.first_at
    FROM Organization AS o
    CROSS JOIN REFERRED_BY AS r ON r.source = o.id
    CROSS JOIN Organization AS t ON t.id = r.target
    WHERE o.referred > 0 AND r.target >= r.source
    UNION ALL
    SELECT
        w.start,
        r.target,
        w.length + 1,
        w.trail || r.target || '/',
        w.organizations || ' → ' || t.org_id,
        min(w.begun_at, r.first_at),
        max(w.closed_at, r.first_at)
    FROM walk AS w
    CROSS JOIN REFERRED_BY AS r ON r.source = w.here
    CROSS JOIN Organization AS t ON t.id = r.target
    WHERE
        w.here <> w.start
        AND w.length < $max_length
        AND r.target >= w.start
        AND instr(w.trail, '/' || r.target || '/') = 0
)
SELECT w.length, w.organizations, c.cluster_id, c.risk, w.begun_at, w.closed_at
FROM walk AS w
LEFT JOIN MEMBER_OF AS m ON m.source = w.start
LEFT JOIN Cluster AS c ON c.id = m.target
WHERE w.here = w.start
ORDER BY w.length, w.start, w.organizations
LIMIT $limit
