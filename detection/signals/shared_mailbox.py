"""Shared mailbox."""

from __future__ import annotations

from detection.detector import Detector, sharing

DETECTOR = Detector(
    id="shared_mailbox",
    title="Shared mailbox",
    meaning="Addresses that are spelled differently (dots, tags) arrive in one mailbox.",
    fact="{affected} of {eligible} organizations with a mailbox share it with another member",
    innocent="One person who keeps projects apart by tags, and an agency's shared mailbox.",
    group="common",
    evidence_class="verified",
    reads=("member_links",),
    sql=sharing("mailbox"),
)
