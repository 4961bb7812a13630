"""Credit used to the end within hours, from many organizations."""

from __future__ import annotations

from detection.detector import Detector

DETECTOR = Detector(
    id="trial_burn",
    title="Trial burn",
    meaning=(
        "The trial credit was used up within a day of signing up. Eager users do so too; rings do "
        "so every time."
    ),
    fact="{affected} of {eligible} organizations with trial credit used it up within a day",
    group="trial_farm",
    evidence_class="unilateral",
    reads=("member_activity",),
    sql="""
        WITH trials AS (
            SELECT
                cluster,
                org,
                SUM(credit) AS credit,
                SUM(credit_used) AS used,
                MIN(first_at) AS started_at,
                MAX(CASE WHEN event_type = 'inference' THEN last_at END) AS ended_at
            FROM member_activity
            GROUP BY cluster, org
        )
        SELECT
            cluster,
            org,
            CASE WHEN used >= 0.9 * credit AND ended_at - started_at <= 86400000000 THEN 1.0 ELSE 0.0 END AS value,
            NULL AS kind,
            NULL AS key,
            started_at AS happened_at,
            1 AS count
        FROM trials
        WHERE credit > 0
    """,
)
