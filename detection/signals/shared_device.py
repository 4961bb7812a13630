"""Shared device."""

from __future__ import annotations

from detection.detector import Detector, sharing

DETECTOR = Detector(
    id="shared_device",
    title="Shared device",
    meaning="The same device was used for several organizations.",
    fact="{affected} of {eligible} organizations with a device share it with another member",
    innocent="Laboratories, internet cafés, and machines that a family or an agency shares.",
    group="common",
    evidence_class="unilateral",
    reads=("member_links",),
    sql=sharing("device"),
)
