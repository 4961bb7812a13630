"""Inference without the product events that the genuine client sends as a side effect."""

from __future__ import annotations

from detection.detector import Detector

DETECTOR = Detector(
    id="missing_client",
    title="Missing client",
    meaning=(
        "The genuine client sends product events beside its inference; these organizations used "
        "models and never sent one. Honest users of the bare API do the same, so it counts with "
        "other signals."
    ),
    fact=(
        "{affected} of {eligible} organizations that used models never sent an event of the genuine client"
    ),
    group="trial_farm",
    evidence_class="unilateral",
    reads=("member_activity",),
    sql="""
        SELECT
            cluster,
            org,
            CASE
                WHEN SUM(CASE WHEN event_type = 'client_telemetry' THEN events ELSE 0 END) = 0 THEN 1.0 ELSE 0.0
            END AS value,
            NULL AS kind,
            NULL AS key,
            MIN(CASE WHEN event_type = 'inference' THEN first_at END) AS happened_at,
            SUM(CASE WHEN event_type = 'inference' THEN events ELSE 0 END) AS count
        FROM member_activity
        GROUP BY cluster, org
        HAVING SUM(CASE WHEN event_type = 'inference' THEN events ELSE 0 END) > 0
    """,
)
