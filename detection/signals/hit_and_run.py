"""Addresses retired after a handful of requests."""

from __future__ import annotations

from detection.detector import Detector

DETECTOR = Detector(
    id="hit_and_run",
    title="Hit-and-run addresses",
    meaning="Addresses are dropped after a handful of requests, as rotating proxies do.",
    fact=(
        "{affected} of {eligible} organizations with three or more addresses left most of them "
        "after a handful of requests"
    ),
    innocent="People on the move, on mobile networks and behind a VPN change addresses all day.",
    group="trial_farm",
    evidence_class="unilateral",
    reads=("member_links",),
    sql="""
        SELECT
            cluster,
            org,
            AVG(CASE WHEN uses <= 5 AND last_at - first_at <= 3600000000 THEN 1.0 ELSE 0.0 END) AS value,
            'ip' AS kind,
            MIN_BY(key, {'n': uses, 'k': key}) AS key,
            MIN(first_at) AS happened_at,
            COUNT(*) AS count
        FROM member_links
        WHERE kind = 'ip'
        GROUP BY cluster, org
        HAVING COUNT(*) >= 3
    """,
)
