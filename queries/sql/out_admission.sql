-- title: Ties that admission looked at
-- purpose: For each candidate of admission, the identifiers that tie it to other candidates of its cluster: when it came to
--    them, of what type and class they are, how many candidates and organizations used them, whether the tie counts
--    against it, and whether it is one of those that decide.
-- reads: counted_ties, decisive_ties, shared_identifiers, organizations, scored_clusters
-- writes: out_admission
SELECT
    o.org_id,
    c.cluster_id,
    t.kind,
    s.key,
    t.family,
    t.class AS evidence_class,
    t.first_at,
    t.suspects,
    t.organizations AS orgs,
    t.counted,
    d.identifier IS NOT NULL AS decides
FROM counted_ties AS t
INNER JOIN shared_identifiers AS s ON t.entity = s.entity
INNER JOIN organizations AS o ON t.org = o.org
INNER JOIN scored_clusters AS c ON t.cluster = c.cluster
LEFT JOIN decisive_ties AS d ON t.org = d.org AND t.identifier = d.identifier
ORDER BY o.org, t.entity
