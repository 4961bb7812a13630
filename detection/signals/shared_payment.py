"""Shared payment method."""

from __future__ import annotations

from detection.detector import Detector, sharing

DETECTOR = Detector(
    id="shared_payment",
    title="Shared payment method",
    meaning=(
        "Organizations that call themselves different pay with the same card or account. Families "
        "and agencies do so too; rings do so by the dozen."
    ),
    fact=("{affected} of {eligible} organizations with a payment method share it with another member"),
    innocent="Families, agencies and companies with subsidiaries pay with one card, openly and over months.",
    group="common",
    evidence_class="verified",
    reads=("member_links",),
    sql=sharing("payment_method"),
)
