-- title: Leaves by key
-- purpose: Whose each leaf is, sorted by the leaf's key, so that an identifier leads to its one organization.
-- reads: leaves
-- writes: out_leaf_keys
SELECT key, organization
FROM leaves
ORDER BY key
