-- title: Referrals of some files of events
-- purpose: Who issued a referral code, and who redeemed one or named another organization as the one that brought
--    it. Partial aggregates of several files add up: first is the least.
-- reads: events
-- writes: day_referrals
SELECT
    organization,
    event_type = 'referral_code_issued' AS issued,
    referral_code,
    referrer_organization,
    MIN(happened_at) AS first_at
FROM events
WHERE organization IS NOT NULL AND (referral_code IS NOT NULL OR referrer_organization IS NOT NULL)
GROUP BY organization, event_type = 'referral_code_issued', referral_code, referrer_organization
