-- title: Referrals of the run
-- purpose: Every referral, with the ids and keys of both organizations.
-- reads: referrals, organizations
-- writes: out_referrals
SELECT
    o.org_id,
    o.organization,
    b.org_id AS referrer_id,
    b.organization AS referrer,
    r.code,
    r.first_at
FROM referrals AS r
INNER JOIN organizations AS o ON r.org = o.org
INNER JOIN organizations AS b ON r.referrer = b.org
-- numbers sort as what they stand for
ORDER BY r.org, r.referrer
