"""One phone behind several organizations."""

from __future__ import annotations

from detection.detector import Detector

DETECTOR = Detector(
    id="shared_phone",
    title="Shared phone",
    meaning=(
        "The same phone number stands behind several organizations: a rented number, or one person. Two that used it "
        "more than a week apart do not count: numbers are given out again."
    ),
    fact="{affected} of {eligible} organizations with a phone share it with another member",
    innocent="A recycled number, and a founder with two companies.",
    group="common",
    evidence_class="unilateral",
    reads=("member_links",),
    sql="""
        WITH lined AS (
            SELECT
                cluster,
                org,
                key,
                first_at,
                sharers,
                first_at - LAG(last_at) OVER (PARTITION BY cluster, key ORDER BY first_at, org) AS gap_before,
                LEAD(first_at) OVER (PARTITION BY cluster, key ORDER BY first_at, org) - last_at AS gap_after
            FROM member_links
            WHERE kind = 'phone' AND NOT place
        )
        SELECT
            cluster,
            org,
            MAX(CASE
                WHEN sharers >= 3 OR LEAST(gap_before, gap_after) <= 604800000000 THEN 1.0 ELSE 0.0
            END) AS value,
            'phone' AS kind,
            MAX_BY(key, {'n': sharers, 'k': key}) AS key,
            MIN(first_at) AS happened_at,
            MAX(sharers) AS count
        FROM lined
        GROUP BY cluster, org
    """,
)
