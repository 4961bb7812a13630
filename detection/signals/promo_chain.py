"""Trial, referral, cancellation, trial: paths through the rules of programmes."""

from __future__ import annotations

from detection.detector import Detector

DETECTOR = Detector(
    id="promo_chain",
    title="Promotion chain",
    meaning=(
        "One organization went through three or more steps of the rules of programmes: trial, "
        "promotion, referral, reward, cancellation."
    ),
    fact=(
        "{affected} of {eligible} organizations in a trial or promotion went through three or "
        "more steps of their rules"
    ),
    innocent="A thrifty customer who takes every offer once.",
    group="promo_ring",
    evidence_class="unilateral",
    reads=("member_activity",),
    sql="""
        SELECT
            cluster,
            org,
            CASE WHEN COUNT(*) >= 3 THEN 1.0 ELSE 0.0 END AS value,
            NULL AS kind,
            NULL AS key,
            MIN(first_at) AS happened_at,
            COUNT(*) AS count
        FROM member_activity
        WHERE event_type IN (
            'trial_started', 'promo_redeemed', 'referral_redeemed', 'reward_earned', 'subscription_cancelled'
        )
        GROUP BY cluster, org
    """,
)
