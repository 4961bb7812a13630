-- title: Ties between organizations
-- purpose: Every tie with its weight in millionths, and the cluster that it is inside of, if any.
-- reads: ties, organizations, scored_members, scored_clusters
-- writes: out_ties
SELECT
    a.org_id AS a,
    b.org_id AS b,
    t.weight,
    CASE WHEN one.cluster = other.cluster THEN c.cluster_id END AS cluster_id
FROM ties AS t
INNER JOIN organizations AS a ON t.a = a.org
INNER JOIN organizations AS b ON t.b = b.org
LEFT JOIN scored_members AS one ON t.a = one.org
LEFT JOIN scored_members AS other ON t.b = other.org
LEFT JOIN scored_clusters AS c ON one.cluster = c.cluster
-- numbers sort as what they stand for
ORDER BY t.a, t.b
