"""Tiny probing calls on many keys from one consumer."""

from __future__ import annotations

from detection.detector import Detector

DETECTOR = Detector(
    id="health_check",
    title="Health checks",
    meaning=(
        "One consumer sends tiny probing calls with the keys of three or more members, as a machine does to see which "
        "keys still work."
    ),
    fact=(
        "{affected} of {eligible} organizations that used models have keys that one consumer probes together with "
        "those of other members"
    ),
    innocent="Monitoring by a company of its own organizations.",
    group="key_resale",
    evidence_class="unilateral",
    reads=("member_addresses",),
    sql="""
        SELECT
            cluster,
            org,
            MAX(CASE WHEN probes > 0 AND probed >= 3 AND NOT place THEN 1.0 ELSE 0.0 END) AS value,
            MAX_BY(kind, {'n': probed, 'p': probes, 'k': key}) AS kind,
            MAX_BY(key, {'n': probed, 'p': probes, 'k': key}) AS key,
            MIN(CASE WHEN probes > 0 THEN first_call_at END) AS happened_at,
            MAX(CASE WHEN probes > 0 THEN probed ELSE 0 END) AS count
        FROM member_addresses
        WHERE calls > 0
        GROUP BY cluster, org
    """,
)
