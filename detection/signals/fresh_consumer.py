"""A key used from elsewhere minutes after its creation."""

from __future__ import annotations

from detection.detector import Detector

DETECTOR = Detector(
    id="fresh_consumer",
    title="Fresh consumer",
    meaning=(
        "Within ten minutes of making a key the organization's first calls came from where none of its people ever "
        "acted, through somebody who calls with keys of other members, too: the key was handed on at once."
    ),
    fact=(
        "{affected} of {eligible} organizations with keys in use had one used at once, from elsewhere, by somebody "
        "who uses other members' keys"
    ),
    innocent="A consultant's script that sets up several customers; gateways that hold strangers' keys do not count.",
    group="key_resale",
    evidence_class="unilateral",
    reads=("member_addresses", "member_moments"),
    sql="""
        WITH made AS (
            SELECT cluster, org, happened_at FROM member_moments WHERE moment = 'key_created'
        ),
        consumers AS (
            SELECT
                cluster,
                org,
                kind,
                key,
                first_call_at,
                CASE WHEN people = 0 AND callers >= 2 AND NOT place THEN 1 ELSE 0 END AS elsewhere
            FROM member_addresses
            WHERE calls > 0
        )
        SELECT
            c.cluster,
            c.org,
            MAX(CASE
                WHEN c.elsewhere = 1 AND c.first_call_at BETWEEN m.happened_at AND m.happened_at + 600000000
                THEN 1.0 ELSE 0.0
            END) AS value,
            MAX_BY(c.kind, {'n': c.elsewhere, 't': -c.first_call_at, 'k': c.key}) AS kind,
            MAX_BY(c.key, {'n': c.elsewhere, 't': -c.first_call_at, 'k': c.key}) AS key,
            MIN(c.first_call_at) AS happened_at,
            COUNT(DISTINCT c.key) AS count
        FROM consumers AS c
        INNER JOIN made AS m ON c.cluster = m.cluster AND c.org = m.org
        GROUP BY c.cluster, c.org
    """,
)
