"""Organizations that appear right after an action against their group."""

from __future__ import annotations

from detection.detector import Detector

DETECTOR = Detector(
    id="displacement",
    title="Displacement",
    meaning="Members signed up within a day after another member was restricted: the operator moved on.",
    fact=(
        "{affected} of {eligible} organizations signed up within a day after another member was restricted"
    ),
    innocent="A customer who was restricted by mistake and starts anew.",
    group="common",
    evidence_class="unilateral",
    reads=("member_activity", "member_moments"),
    sql="""
        WITH stopped AS (
            SELECT DISTINCT cluster FROM member_moments WHERE moment = 'restricted'
        ),
        steps AS (
            SELECT a.cluster, a.org, a.first_at AS happened_at, 0 AS stop
            FROM member_activity AS a
            INNER JOIN stopped AS s ON a.cluster = s.cluster
            WHERE a.event_type = 'organization_created'
            UNION ALL
            SELECT cluster, org, happened_at, 1 FROM member_moments WHERE moment = 'restricted'
        ),
        lined AS (
            SELECT
                cluster,
                org,
                happened_at,
                stop,
                SUM(stop) OVER (
                    PARTITION BY cluster ORDER BY happened_at
                    RANGE BETWEEN 86400000000 PRECEDING AND 1 PRECEDING
                ) AS before
            FROM steps
        )
        SELECT
            cluster,
            org,
            MAX(CASE WHEN before > 0 THEN 1.0 ELSE 0.0 END) AS value,
            NULL AS kind,
            NULL AS key,
            MIN(happened_at) AS happened_at,
            MAX(COALESCE(before, 0)) AS count
        FROM lined
        WHERE stop = 0
        GROUP BY cluster, org
    """,
)
