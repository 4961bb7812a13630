"""Identifiers that differ only by invisible or look-alike characters."""

from __future__ import annotations

from detection.detector import Detector

DETECTOR = Detector(
    id="hidden_characters",
    title="Hidden characters",
    meaning=(
        "Identifiers carry invisible or look-alike characters, which make the same thing look "
        "different to a machine."
    ),
    fact=("{affected} of {eligible} organizations used identifiers with invisible or look-alike characters"),
    innocent="Text pasted from a word processor, and scripts that a look-alike check mistakes.",
    group="common",
    evidence_class="unilateral",
    reads=("member_activity",),
    sql="""
        SELECT
            cluster,
            org,
            CAST(MAX(hidden) AS DOUBLE) AS value,
            NULL AS kind,
            NULL AS key,
            MIN(CASE WHEN hidden = 1 THEN first_at END) AS happened_at,
            SUM(CASE WHEN hidden = 1 THEN events ELSE 0 END) AS count
        FROM member_activity
        GROUP BY cluster, org
    """,
)
