"""Referral tree."""

from __future__ import annotations

from detection.detector import Detector, sharing

DETECTOR = Detector(
    id="referral_tree",
    title="Referral tree",
    meaning="Members invite one another with the same referral codes, on their own infrastructure.",
    fact=(
        "{affected} of {eligible} organizations in a referral programme share a referral code "
        "with another member"
    ),
    group="referral_ring",
    evidence_class="unilateral",
    reads=("member_links",),
    sql=sharing("referral_code"),
)
