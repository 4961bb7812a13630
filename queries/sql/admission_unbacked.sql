-- title: Proofs that nothing backs
-- purpose: Links that claim to be proven (a phone verified, a device attested) by the word of sources that do not verify
--    such things only. They count as what they are besides: typed.
-- reads: proofs_parts, trusted_sources
-- writes: unbacked
SELECT
    CASE p.proof WHEN 'phone' THEN 'phone_verified' ELSE 'device_attested' END AS kind,
    p.organization,
    p.key
FROM proofs_parts AS p
LEFT JOIN trusted_sources AS t ON p.source = t.source AND p.proof = t.proof
WHERE p.proof IN ('phone', 'device')
GROUP BY p.proof, p.organization, p.key
HAVING COUNT(t.source) = 0
