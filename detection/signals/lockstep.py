"""The same actions within minutes, repeatedly."""

from __future__ import annotations

from detection.detector import Detector

DETECTOR = Detector(
    id="lockstep",
    title="Lockstep",
    meaning="Members take the same steps within minutes of one another, step after step.",
    fact=(
        "{affected} of {eligible} organizations took most of their steps within five minutes of "
        "another member"
    ),
    group="common",
    evidence_class="unilateral",
    reads=("member_activity",),
    sql="""
        WITH steps AS (
            SELECT
                cluster,
                org,
                event_type,
                first_at,
                COUNT(*) OVER (
                    PARTITION BY cluster, event_type ORDER BY first_at
                    RANGE BETWEEN 300000000 PRECEDING AND 300000000 FOLLOWING
                ) - 1 AS beside
            FROM member_activity
            WHERE event_type <> 'organization_labelled'
        )
        SELECT
            cluster,
            org,
            AVG(CASE WHEN beside >= 1 THEN 1.0 ELSE 0.0 END) AS value,
            NULL AS kind,
            NULL AS key,
            MIN(first_at) AS happened_at,
            SUM(CASE WHEN beside >= 1 THEN 1 ELSE 0 END) AS count
        FROM steps
        GROUP BY cluster, org
        HAVING COUNT(*) >= 3
    """,
)
