"""One downstream consumer that uses keys of many organizations."""

from __future__ import annotations

from detection.detector import Detector

DETECTOR = Detector(
    id="key_resale",
    title="Key resale",
    meaning=(
        "One downstream consumer uses keys of three or more members: somebody sells access. "
        "Gateways and build systems look alike, so it counts with other signals."
    ),
    fact=(
        "{affected} of {eligible} organizations are used mostly by a consumer that uses three or more members"
    ),
    group="key_resale",
    evidence_class="unilateral",
    reads=("member_links",),
    sql="""
        SELECT
            cluster,
            org,
            SUM(CASE WHEN sharers >= 3 THEN uses ELSE 0 END) / SUM(uses) AS value,
            'consumer' AS kind,
            MAX_BY(key, {'n': sharers, 'k': key}) AS key,
            MIN(first_at) AS happened_at,
            MAX(sharers) AS count
        FROM member_links
        WHERE kind = 'consumer'
        GROUP BY cluster, org
    """,
)
