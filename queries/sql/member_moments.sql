-- title: Moments of members
-- purpose: Each single time at which a member made a key (`key_created`), one was taken from it (`key_revoked`), or
--    somebody acted against it (`restricted`) or took that back (`restored`).
-- reads: keys_parts, decisions, organizations, members
-- writes: member_moments
WITH own AS (
    SELECT DISTINCT
        o.org,
        CASE WHEN k.revoked THEN 'key_revoked' ELSE 'key_created' END AS moment,
        k.happened_at
    FROM keys_parts AS k
    INNER JOIN organizations AS o ON k.organization = o.organization
    UNION ALL
    SELECT DISTINCT
        org,
        CASE WHEN decision = 'organization_restricted' THEN 'restricted' ELSE 'restored' END,
        decided_at
    FROM decisions
    WHERE decision IN ('organization_restricted', 'organization_restored') AND org IS NOT NULL
)
SELECT m.cluster, n.org, n.moment, n.happened_at
FROM own AS n
INNER JOIN members AS m ON n.org = m.org
