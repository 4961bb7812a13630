"""Consumption of a cohort far above its forecast."""

from __future__ import annotations

from detection.detector import Detector

DETECTOR = Detector(
    id="cost_surge",
    title="Cost surge",
    meaning=(
        "In their first week members cost several times what organizations of the same age do, as a group and each by "
        "itself. The value is 1 from eight times the forecast on, one half from 2.8 times on."
    ),
    fact="{affected} of {eligible} new organizations cost far more in their first week than others of their age",
    innocent="A team that moves a product over, or a launch that goes well.",
    group="trial_farm",
    evidence_class="unilateral",
    reads=("member_hours", "members", "organizations"),
    sql="""
        WITH clock AS (
            SELECT MAX(last_at) AS now_at FROM organizations
        ),
        born AS (
            SELECT
                m.cluster,
                m.org,
                o.created_at,
                LEAST((c.now_at - o.created_at) // 86400000000, 6) AS last_day
            FROM members AS m
            INNER JOIN organizations AS o ON m.org = o.org
            CROSS JOIN clock AS c
            WHERE o.created_at IS NOT NULL
        ),
        days AS (
            SELECT h.cluster, h.org, (h.hour - b.created_at // 3600000000) // 24 AS day, SUM(h.cost) AS cost
            FROM member_hours AS h
            INNER JOIN born AS b ON h.cluster = b.cluster AND h.org = b.org
            GROUP BY h.cluster, h.org, (h.hour - b.created_at // 3600000000) // 24
        ),
        week AS (
            SELECT UNNEST(GENERATE_SERIES(0, 6)) AS day
        ),
        alive AS (
            SELECT w.day, COUNT(*) AS organizations
            FROM week AS w
            INNER JOIN born AS b ON b.cluster < 0 AND b.last_day >= w.day
            GROUP BY w.day
        ),
        forecast AS (
            -- what random organizations cost by day of their life, those that cost nothing among them
            SELECT d.day, SUM(d.cost) / MAX(a.organizations) AS cost
            FROM days AS d
            INNER JOIN alive AS a ON d.day = a.day
            WHERE d.cluster < 0
            GROUP BY d.day
        ),
        expected AS (
            SELECT w.day AS last_day, SUM(f.cost) AS cost
            FROM week AS w
            INNER JOIN forecast AS f ON f.day <= w.day
            GROUP BY w.day
        ),
        own AS (
            SELECT b.cluster, b.org, b.created_at, COALESCE(SUM(d.cost), 0) AS cost, MAX(e.cost) AS expected
            FROM born AS b
            INNER JOIN expected AS e ON b.last_day = e.last_day
            LEFT JOIN days AS d ON b.cluster = d.cluster AND b.org = d.org AND d.day BETWEEN 0 AND 6
            GROUP BY b.cluster, b.org, b.created_at
        ),
        cohorts AS (
            SELECT
                cluster,
                org,
                created_at,
                cost / expected AS own_ratio,
                SUM(cost) OVER (PARTITION BY cluster) / SUM(expected) OVER (PARTITION BY cluster) AS ratio
            FROM own
            WHERE expected > 0
        )
        SELECT
            cluster,
            org,
            LN(GREATEST(LEAST(own_ratio, ratio), 1)) / LN(8) AS value,
            NULL AS kind,
            NULL AS key,
            created_at AS happened_at,
            CAST(FLOOR(own_ratio) AS BIGINT) AS count
        FROM cohorts
    """,
)
