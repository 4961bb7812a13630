-- title: Degrees
-- purpose: How many organizations used each shared identifier, at any time.
-- reads: uses
-- writes: degrees
SELECT entity, COUNT(DISTINCT org) AS organizations
FROM uses
GROUP BY entity
