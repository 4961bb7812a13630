-- title: Referrals
-- purpose: Who brought whom: the organization that a redemption names, else the first that issued the code. Nobody
--    brings itself.
-- reads: referrals_parts, organizations
-- writes: referrals
WITH issuers AS (
    SELECT p.referral_code, MIN({'first_at': p.first_at, 'org': o.org}) AS first
    FROM referrals_parts AS p
    INNER JOIN organizations AS o ON p.organization = o.organization
    WHERE p.issued AND p.referral_code IS NOT NULL
    GROUP BY p.referral_code
),
redeemed AS (
    SELECT o.org, COALESCE(n.org, i.first.org) AS referrer, p.referral_code, p.first_at
    FROM referrals_parts AS p
    INNER JOIN organizations AS o ON p.organization = o.organization
    LEFT JOIN organizations AS n ON p.referrer_organization = n.organization
    LEFT JOIN issuers AS i ON p.referral_code = i.referral_code
    WHERE NOT p.issued
)
SELECT org, referrer, MIN(referral_code) AS code, MIN(first_at) AS first_at
FROM redeemed
WHERE referrer IS NOT NULL AND referrer <> org
GROUP BY org, referrer
