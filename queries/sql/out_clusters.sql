-- title: Clusters
-- purpose: One row a cluster: what it is, how risky, how large, what it cost. Figures of 24 hours count back from
--    the run's as-of. `q_value` is the false discovery rate at which it is confirmed; null where it was not tested.
-- reads: scored_clusters, scored_members, organizations, recent_costs, moment, admitted, confirmed
-- writes: out_clusters
WITH people AS (
    SELECT
        m.cluster,
        MIN(o.first_at) AS first_at,
        MAX(o.last_at) AS last_at,
        CAST(SUM(CASE WHEN o.created_at > t.day_before AND o.created_at <= t.as_of THEN 1 ELSE 0 END) AS BIGINT)
            AS new_24h,
        SUM(o.cost) AS cost,
        SUM(o.credit_used) AS credit_used,
        CAST(SUM(CASE WHEN a.org IS NOT NULL AND a.spared_reason IS NULL THEN 1 ELSE 0 END) AS BIGINT) AS actionable
    FROM scored_members AS m
    INNER JOIN organizations AS o ON m.org = o.org
    LEFT JOIN admitted AS a ON m.org = a.org
    CROSS JOIN moment AS t
    GROUP BY m.cluster
),
recent AS (
    SELECT m.cluster, SUM(r.cost) AS cost_24h
    FROM recent_costs AS r
    INNER JOIN organizations AS o ON r.organization = o.organization
    INNER JOIN scored_members AS m ON o.org = m.org
    GROUP BY m.cluster
)
SELECT
    c.cluster_id,
    c.name,
    c.pattern,
    c.size,
    ROUND(c.risk, 6) AS risk,
    ROUND(c.points, 6) AS points,
    c.founder,
    c.born_at,
    p.first_at,
    p.last_at,
    p.new_24h,
    ROUND(p.cost, 6) AS cost,
    ROUND(COALESCE(r.cost_24h, 0), 6) AS cost_24h,
    ROUND(p.credit_used, 6) AS credit_used,
    c.ties,
    c.top_evidence,
    p.actionable,
    ROUND(q.q_value, 9) AS q_value
FROM scored_clusters AS c
INNER JOIN people AS p ON c.cluster = p.cluster
LEFT JOIN recent AS r ON c.cluster = r.cluster
LEFT JOIN confirmed AS q ON c.cluster = q.cluster
ORDER BY ROUND(c.risk, 6) DESC, c.cluster_id
