-- title: Keys of leaves
-- purpose: Whose each leaf is, by key: for who starts from an identifier.
-- reads: leaves
-- writes: out_leaf_keys
SELECT key, organization
FROM leaves
ORDER BY key, organization
