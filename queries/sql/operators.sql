-- title: Legitimate operators
-- purpose: Which groups are one legitimate operator with many organizations (an agency, a company and its subsidiaries, a
--    family), and why or why not. A ring could be all of it only by paying for what it came to take: most members
--    settled invoices on one ordinary payment method, nothing of it was disputed or refunded, together they paid
--    several times the credit that they used, they came over days and not in a wave, and the genuine client was used.
--    A group of which anything is known to be abusive is none.
-- reads: members, organizations, settlements, member_activity, member_links, known_bad, org_labels,
--    bystander_recipe
-- writes: operators
WITH sizes AS (
    SELECT
        m.cluster,
        COUNT(*) AS organizations,
        QUANTILE_CONT(COALESCE(o.created_at, o.first_at), 0.75)
        - QUANTILE_CONT(COALESCE(o.created_at, o.first_at), 0.25) AS spread
    FROM members AS m
    INNER JOIN organizations AS o ON m.org = o.org
    WHERE m.cluster >= 0
    GROUP BY m.cluster
),
payers AS (
    SELECT m.cluster, s.key, COUNT(DISTINCT s.org) AS organizations
    FROM settlements AS s
    INNER JOIN members AS m ON s.org = m.org
    WHERE s.stands AND s.key IS NOT NULL AND m.cluster >= 0
    GROUP BY m.cluster, s.key
),
openly AS (
    SELECT cluster, MAX(organizations) AS organizations FROM payers GROUP BY cluster
),
money AS (
    SELECT
        cluster,
        SUM(CASE WHEN event_type = 'invoice_paid' THEN amount END) AS paid,
        SUM(credit_used) AS credit_used,
        SUM(CASE WHEN event_type IN ('charge_disputed', 'refunded') THEN events ELSE 0 END) AS taken_back,
        COUNT(DISTINCT CASE WHEN event_type = 'client_telemetry' THEN org END) AS genuine
    FROM member_activity
    WHERE cluster >= 0
    GROUP BY cluster
),
veiled AS (
    -- what has a range of prepaid or virtual cards to be alike in
    SELECT cluster, COUNT(DISTINCT org) AS organizations
    FROM member_links
    WHERE kind = 'payment_bin' AND cluster >= 0
    GROUP BY cluster
),
bad AS (
    SELECT l.cluster
    FROM member_links AS l
    INNER JOIN known_bad AS b ON l.kind = b.kind AND l.key = b.key
    UNION
    SELECT m.cluster
    FROM members AS m
    INNER JOIN org_labels AS o ON m.org = o.org
    WHERE o.label = 'abusive'
),
weighed AS (
    SELECT
        s.cluster,
        s.organizations,
        s.spread,
        COALESCE(p.organizations, 0) AS payers,
        COALESCE(y.paid, 0) AS paid,
        COALESCE(y.credit_used, 0) AS credit_used,
        COALESCE(y.taken_back, 0) AS taken_back,
        COALESCE(y.genuine, 0) AS genuine,
        COALESCE(v.organizations, 0) AS veiled,
        b.cluster IS NOT NULL AS bad
    FROM sizes AS s
    LEFT JOIN openly AS p ON s.cluster = p.cluster
    LEFT JOIN money AS y ON s.cluster = y.cluster
    LEFT JOIN veiled AS v ON s.cluster = v.cluster
    LEFT JOIN bad AS b ON s.cluster = b.cluster
),
told AS (
    SELECT
        w.*,
        CASE
            WHEN w.bad THEN 'something of it is labelled abusive'
            WHEN w.payers < r.one_card * w.organizations THEN 'no payment method settles for most of it'
            WHEN 20 * w.taken_back > w.payers THEN 'a charge was disputed or refunded'
            WHEN 2 * w.veiled > w.organizations THEN 'most pay with prepaid or virtual cards'
            WHEN w.paid < r.worth * w.credit_used THEN 'it paid too little for the credit that it used'
            WHEN w.spread < r.ages THEN 'it came in a wave'
            WHEN 2 * w.genuine < w.organizations THEN 'most never used the genuine client'
        END AS against
    FROM weighed AS w
    CROSS JOIN bystander_recipe AS r
)
SELECT
    cluster,
    against IS NULL AS legitimate_operator,
    COALESCE(
        against,
        CONCAT(
            CAST(payers AS VARCHAR), ' of ', CAST(organizations AS VARCHAR),
            ' organizations settle invoices on one payment method, none disputed; they came over ',
            CAST(CAST(FLOOR(spread / 86400000000) AS BIGINT) AS VARCHAR), ' days and use the genuine client'
        )
    ) AS why
FROM told
