"""Credit used to the end within hours, from many organizations."""

from __future__ import annotations

from detection.detector import Detector

DETECTOR = Detector(
    id="trial_burn",
    title="Trial burn",
    meaning=(
        "The first credit was used up within a day of being given. Eager users do so too; rings do so every time."
    ),
    fact="{affected} of {eligible} organizations with credit used it up within a day of the first",
    innocent="People who came to try one thing, and load tests.",
    group="trial_farm",
    evidence_class="unilateral",
    reads=("member_hours",),
    sql="""
        WITH given AS (
            SELECT cluster, org, MIN(hour) AS hour FROM member_hours WHERE credit > 0 GROUP BY cluster, org
        )
        SELECT
            h.cluster,
            h.org,
            CASE
                WHEN COALESCE(SUM(h.credit_used), 0) >= 0.9 * SUM(h.credit) THEN 1.0 ELSE 0.0
            END AS value,
            NULL AS kind,
            NULL AS key,
            MIN(g.hour) * 3600000000 AS happened_at,
            1 AS count
        FROM member_hours AS h
        INNER JOIN given AS g ON h.cluster = g.cluster AND h.org = g.org
        WHERE h.hour BETWEEN g.hour AND g.hour + 24
        GROUP BY h.cluster, h.org
    """,
)
