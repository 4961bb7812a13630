"""The same actions within minutes, repeatedly."""

from __future__ import annotations

from detection.detector import Detector

DETECTOR = Detector(
    id="lockstep",
    title="Lockstep",
    meaning=(
        "Members take the same steps within minutes of one another, step after step. Only what organizations do "
        "counts, not what is done to them: invoices and restrictions come in batches."
    ),
    fact=(
        "{affected} of {eligible} organizations took most of their steps within five minutes of "
        "another member"
    ),
    innocent="A class or a hackathon that is led through the same steps at the same time.",
    group="common",
    evidence_class="unilateral",
    reads=("member_activity",),
    sql="""
        WITH steps AS (
            SELECT
                cluster,
                org,
                event_type,
                first_at,
                COUNT(*) OVER (
                    PARTITION BY cluster, event_type ORDER BY first_at
                    RANGE BETWEEN 300000000 PRECEDING AND 300000000 FOLLOWING
                ) - 1 AS beside
            FROM member_activity
            WHERE event_type IN (
                'organization_created', 'user_added', 'session_started', 'email_verified', 'phone_verified',
                'verification_requested', 'api_key_created', 'payment_method_added', 'trial_started',
                'promo_redeemed', 'subscription_cancelled', 'referral_code_issued', 'referral_redeemed', 'inference',
                'client_telemetry'
            )
        )
        SELECT
            cluster,
            org,
            AVG(CASE WHEN beside >= 1 THEN 1.0 ELSE 0.0 END) AS value,
            NULL AS kind,
            NULL AS key,
            MIN(first_at) AS happened_at,
            SUM(CASE WHEN beside >= 1 THEN 1 ELSE 0 END) AS count
        FROM steps
        GROUP BY cluster, org
        HAVING COUNT(*) >= 3
    """,
)
