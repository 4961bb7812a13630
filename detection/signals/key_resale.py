"""One downstream consumer that uses keys of many organizations."""

from __future__ import annotations

from detection.detector import Detector

DETECTOR = Detector(
    id="key_resale",
    title="Key resale",
    meaning=(
        "Most calls come through a consumer (one that the platform names, else a program told by address and "
        "signature, where none of the organization's people act) that calls with keys of three or more members: "
        "somebody sells access."
    ),
    fact="{affected} of {eligible} organizations that used models are used mostly by a consumer of several members",
    innocent=(
        "Gateways and build systems hold keys of strangers: those are known as places and do not count. One company's "
        "own server, used by all its organizations, does."
    ),
    group="key_resale",
    evidence_class="unilateral",
    reads=("member_addresses",),
    sql="""
        SELECT
            cluster,
            org,
            SUM(CASE WHEN people = 0 AND callers >= 3 AND NOT place THEN calls ELSE 0 END) / SUM(calls) AS value,
            MAX_BY(kind, {'n': CASE WHEN people = 0 AND NOT place THEN callers ELSE 0 END, 'k': key}) AS kind,
            MAX_BY(key, {'n': CASE WHEN people = 0 AND NOT place THEN callers ELSE 0 END, 'k': key}) AS key,
            MIN(first_call_at) AS happened_at,
            MAX(CASE WHEN people = 0 AND NOT place THEN callers ELSE 0 END) AS count
        FROM member_addresses
        WHERE calls > 0
        GROUP BY cluster, org
    """,
)
