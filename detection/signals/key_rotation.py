"""Keys replaced right after a block or a throttle."""

from __future__ import annotations

from detection.detector import Detector

DETECTOR = Detector(
    id="key_rotation",
    title="Key rotation",
    meaning=(
        "Each time that a key was revoked or the organization restricted, a new key followed within a day. The value "
        "is the share of these stops that were answered so."
    ),
    fact="{affected} of {eligible} organizations answered being stopped with a new key within a day",
    innocent="Whoever loses a key by accident revokes it and makes another.",
    group="key_resale",
    evidence_class="unilateral",
    reads=("member_moments",),
    sql="""
        WITH followed AS (
            SELECT
                cluster,
                org,
                moment,
                happened_at,
                MIN(CASE WHEN moment = 'key_created' THEN happened_at END) OVER (
                    PARTITION BY cluster, org ORDER BY happened_at
                    RANGE BETWEEN 1 FOLLOWING AND 86400000000 FOLLOWING
                ) AS answered_at
            FROM member_moments
        ),
        keyed AS (
            SELECT DISTINCT cluster, org FROM member_moments WHERE moment = 'key_created'
        ),
        stops AS (
            SELECT cluster, org, happened_at, answered_at
            FROM followed
            WHERE moment IN ('key_revoked', 'restricted')
        )
        SELECT
            k.cluster,
            k.org,
            COALESCE(AVG(CASE
                WHEN s.happened_at IS NULL THEN 0.0
                WHEN s.answered_at IS NOT NULL THEN 1.0
                ELSE 0.0
            END), 0) AS value,
            NULL AS kind,
            NULL AS key,
            MIN(s.answered_at) AS happened_at,
            COUNT(s.answered_at) AS count
        FROM keyed AS k
        LEFT JOIN stops AS s ON k.cluster = s.cluster AND k.org = s.org
        GROUP BY k.cluster, k.org
    """,
)
