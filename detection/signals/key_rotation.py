"""Keys replaced right after a block or a throttle."""

from __future__ import annotations

from detection.detector import Detector

DETECTOR = Detector(
    id="key_rotation",
    title="Key rotation",
    meaning=("A new key was made within a day after the old one was revoked or the organization restricted."),
    fact=(
        "{affected} of {eligible} organizations with keys made a new one within a day after one was "
        "revoked or they were restricted"
    ),
    group="key_resale",
    evidence_class="unilateral",
    reads=("member_activity",),
    sql="""
        WITH marks AS (
            SELECT
                cluster,
                org,
                MIN(CASE
                    WHEN event_type IN ('organization_restricted', 'api_key_revoked') THEN first_at
                END) AS stopped_at,
                MAX(CASE WHEN event_type = 'api_key_created' THEN last_at END) AS created_at
            FROM member_activity
            GROUP BY cluster, org
        )
        SELECT
            cluster,
            org,
            CASE
                WHEN created_at > stopped_at AND created_at - stopped_at <= 86400000000 THEN 1.0 ELSE 0.0
            END AS value,
            NULL AS kind,
            NULL AS key,
            COALESCE(stopped_at, created_at) AS happened_at,
            1 AS count
        FROM marks
        WHERE created_at IS NOT NULL
    """,
)
