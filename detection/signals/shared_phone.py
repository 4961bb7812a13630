"""Shared phone."""

from __future__ import annotations

from detection.detector import Detector, sharing

DETECTOR = Detector(
    id="shared_phone",
    title="Shared phone",
    meaning=("The same phone number stands behind several organizations: a rented number, or one person."),
    fact="{affected} of {eligible} organizations with a phone share it with another member",
    group="common",
    evidence_class="unilateral",
    reads=("member_links",),
    sql=sharing("phone"),
)
