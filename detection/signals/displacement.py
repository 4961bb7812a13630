"""Organizations that appear right after an action against their group."""

from __future__ import annotations

from detection.detector import Detector

DETECTOR = Detector(
    id="displacement",
    title="Displacement",
    meaning=("Members signed up within a day after another member was restricted: the operator moved on."),
    fact=(
        "{affected} of {eligible} organizations signed up within a day after another member was restricted"
    ),
    group="common",
    evidence_class="unilateral",
    reads=("member_activity",),
    sql="""
        WITH stops AS (
            SELECT cluster, first_at AS happened_at FROM member_activity WHERE event_type = 'organization_restricted'
        ),
        signups AS (
            SELECT cluster, org, first_at AS happened_at FROM member_activity WHERE event_type = 'organization_created'
        )
        SELECT
            s.cluster,
            s.org,
            MAX(CASE
                WHEN s.happened_at > p.happened_at AND s.happened_at - p.happened_at <= 86400000000 THEN 1.0 ELSE 0.0
            END) AS value,
            NULL AS kind,
            NULL AS key,
            MIN(s.happened_at) AS happened_at,
            COUNT(*) AS count
        FROM signups AS s
        INNER JOIN stops AS p ON s.cluster = p.cluster
        GROUP BY s.cluster, s.org
    """,
)
