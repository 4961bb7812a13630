"""Tiny probing calls on many keys."""

from __future__ import annotations

from detection.detector import Detector

DETECTOR = Detector(
    id="health_check",
    title="Health checks",
    meaning="Many tiny probing calls, as a machine makes to see which keys still work.",
    fact="{affected} of {eligible} organizations that used models mostly sent tiny probing calls",
    group="key_resale",
    evidence_class="unilateral",
    reads=("member_activity",),
    sql="""
        SELECT
            cluster,
            org,
            CAST(probes AS DOUBLE) / events AS value,
            NULL AS kind,
            NULL AS key,
            first_at AS happened_at,
            probes AS count
        FROM member_activity
        WHERE event_type = 'inference' AND tokens IS NOT NULL
    """,
)
