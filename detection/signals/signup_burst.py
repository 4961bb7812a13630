"""Far more organizations in the window than the rate explains."""

from __future__ import annotations

from detection.detector import Detector

DETECTOR = Detector(
    id="signup_burst",
    title="Sign-up burst",
    meaning=(
        "Members signed up within minutes of one another, far more often than their number over "
        "the whole time would explain."
    ),
    fact=(
        "{affected} of {eligible} organizations signed up within half an hour of two or more "
        "other members, against all chance"
    ),
    innocent="A launch, a lecture or a hackathon brings many at once.",
    group="trial_farm",
    evidence_class="unilateral",
    reads=(
        "member_activity",
        "organizations",
    ),
    sql="""
        WITH signups AS (
            SELECT
                cluster,
                org,
                first_at AS happened_at,
                COUNT(*) OVER (
                    PARTITION BY cluster ORDER BY first_at
                    RANGE BETWEEN 1800000000 PRECEDING AND 1800000000 FOLLOWING
                ) - 1 AS beside,
                COUNT(*) OVER (PARTITION BY cluster) AS members
            FROM member_activity
            WHERE event_type = 'organization_created'
        ),
        span AS (
            SELECT GREATEST(MAX(created_at) - MIN(created_at), 86400000000) AS length FROM organizations
        )
        SELECT
            s.cluster,
            s.org,
            CASE
                WHEN s.beside >= 2 AND s.beside >= 4 * s.members * 3600000000.0 / p.length THEN 1.0 ELSE 0.0
            END AS value,
            NULL AS kind,
            NULL AS key,
            s.happened_at,
            s.beside AS count
        FROM signups AS s
        CROSS JOIN span AS p
    """,
)
