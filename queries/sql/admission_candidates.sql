-- title: Candidates
-- purpose: Members whose own risk and whose cluster's pass the thresholds, without those whom people protect or call
--    legitimate. Only candidates can be actionable, and only they are company that speaks against another.
-- reads: scored_members, scored_clusters, member_points, organizations, operators, confirmed, protected_organizations, org_labels,
--    admission_recipe
-- writes: candidates
SELECT
    m.cluster,
    m.org,
    o.created_at,
    CASE WHEN p.expected > 0 THEN p.shown / p.expected ELSE 0 END AS agreement,
    COALESCE(w.legitimate_operator, FALSE) AS operator,
    COALESCE(f.q_value, 1) AS q_value
FROM scored_members AS m
INNER JOIN scored_clusters AS c ON m.cluster = c.cluster
INNER JOIN organizations AS o ON m.org = o.org
LEFT JOIN confirmed AS f ON m.cluster = f.cluster
LEFT JOIN operators AS w ON m.cluster = w.cluster
LEFT JOIN member_points AS p ON m.cluster = p.cluster AND m.org = p.org
CROSS JOIN admission_recipe AS r
WHERE
    c.risk >= r.cluster_risk
    AND m.risk >= r.member_risk
    AND m.org NOT IN (SELECT org FROM protected_organizations)
    AND m.org NOT IN (SELECT org FROM org_labels WHERE label = 'legitimate')
ORDER BY m.cluster, m.org
