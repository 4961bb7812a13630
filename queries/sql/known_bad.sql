-- title: Identifiers known to be bad
-- purpose: Identifiers that people or a feed labelled abusive, and those that organizations labelled abusive used, with
--    the first and the last of these by number (equal where it is one; null where the identifier itself was
--    labelled). Places are left out, since everybody has been in them, and so is what many are alike in: names,
--    promotions, ranges of cards.
-- reads: entity_labels, org_labels, uses, shared_identifiers, linked_kinds, places
-- writes: known_bad
SELECT e.kind, e.key, CAST(NULL AS INTEGER) AS first_org, CAST(NULL AS INTEGER) AS last_org
FROM entity_labels AS e
LEFT JOIN places AS p ON e.kind = p.kind AND e.key = p.key
WHERE e.label = 'abusive' AND p.entity IS NULL
UNION ALL
SELECT s.kind, s.key, MIN(u.org), MAX(u.org)
FROM org_labels AS l
INNER JOIN uses AS u ON l.org = u.org
INNER JOIN shared_identifiers AS s ON u.entity = s.entity
INNER JOIN linked_kinds AS k ON s.kind = k.kind AND NOT k.derived
WHERE l.label = 'abusive' AND s.kind NOT IN ('name', 'promo_code') AND u.entity NOT IN (SELECT entity FROM places)
GROUP BY s.kind, s.key
