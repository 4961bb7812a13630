-- SQLite's answer to queries/cypher/referral_trees.cypher, whose header describes both.
WITH RECURSIVE root AS MATERIALIZED (
    SELECT o.id, o.key, o.org_id, o.referred
    FROM Organization AS o
    WHERE
        o.referred >= $min_direct
        AND NOT EXISTS (SELECT 1 FROM REFERRED_BY AS r WHERE r.source = o.id)
),
tree (root, organization, depth) AS (
    SELECT r.id, r.id, 0
    FROM root AS r
    UNION
    SELECT t.root, b.source, t.depth + 1
    FROM tree AS t
    CROSS JOIN Organization AS o ON o.id = t.organization
    CROSS JOIN REFERRED_BY AS b ON b.target = o.id
    WHERE t.depth < 8 AND o.referred <= $max_degree
),
below AS (
    SELECT t.root, t.organization, min(t.depth) AS depth
    FROM tree AS t
    WHERE t.depth > 0
    GROUP BY t.root, t.organization
),
counted AS (
    SELECT
        b.root,
        count(DISTINCT b.organization) AS organizations,
        max(b.depth) AS depth,
        count(DISTINCT m.source) AS clustered,
        max(c.risk) AS highest_risk
    FROM below AS b
    LEFT JOIN MEMBER_OF AS m ON m.source = b.organization
    LEFT JOIN Cluster AS c ON c.id = m.target
    GROUP BY b.root
)
SELECT
    r.org_id,
    max(coalesce(n.organizations, 0), r.referred) AS organizations,
    r.referred AS direct,
    coalesce(n.depth, 1) AS depth,
    coalesce(n.clustered, 0) AS clustered,
    n.highest_risk
FROM root AS r
LEFT JOIN counted AS n ON n.root = r.id
ORDER BY 2 DESC, r.key
LIMIT $limit
