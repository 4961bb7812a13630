-- title: Proven control
-- purpose: Which organization proved that it controls which shared identifier, and first when: mailboxes and phones that
--    it verified, domains at which it verified a mailbox, devices that a signed client vouches for, payment methods on which it settled an invoice that stands.
--    A proof counts only from a source whose settings say that it verifies such things.
-- reads: proofs_parts, trusted_sources, settlements, shared_identifiers, organizations
-- writes: control
SELECT s.identifier, o.org, MIN(p.first_at) AS proven_at
FROM proofs_parts AS p
INNER JOIN trusted_sources AS t ON p.source = t.source AND p.proof = t.proof
INNER JOIN shared_identifiers AS s ON p.proof = s.kind AND p.key = s.key
INNER JOIN organizations AS o ON p.organization = o.organization
GROUP BY s.identifier, o.org
UNION ALL
SELECT s.identifier, t.org, t.settled_at
FROM settlements AS t
INNER JOIN shared_identifiers AS s ON s.kind = 'payment_method' AND t.key = s.key
WHERE t.stands
