"""The recipe of ties, as constants that the plain pipelines share: what an analyst would read in the documents."""

from __future__ import annotations

from dataclasses import dataclass

from detection.tie_weights import shipped

HOUR, DAY = 3600, 86_400
PREDECESSORS = 10
MEMORY = 396 * DAY
"""Users of an identifier further apart than that say nothing."""
PRIOR = shipped().prior
MIN_LOG_ODDS = 3.0
LOG_ODDS = 20
"""So many log-odds are a weight of 1, the scale at which the resolution is meant."""
RESOLUTION = 0.002
STOP_VALUES = ("null", "unknown", "none", "test", "0.0.0.0", "+10000000000")  # noqa: S104
STOP_VALUES += ("00000000-0000-0000-0000-000000000000",)
PROVIDERS = ("gmail.com", "outlook.com", "yahoo.com", "hotmail.com", "icloud.com", "proton.me", "gmx.de")


@dataclass(frozen=True)
class Kind:
    """One kind of identifier: its column, family, session gap (seconds), cap, and what sharing it says."""

    column: str
    family: str
    gap: float
    cap: int
    evidence: float
    fade: float
    crowd: float


def _kind(name: str, column: str, family: str, gap: float, cap: int) -> Kind:
    learned = shipped().kinds[name]
    return Kind(column, family, gap, cap, learned.evidence, learned.fade, learned.crowd)


KINDS = {
    "ip": _kind("ip", "ip", "client", 12 * HOUR, 200),
    "device": _kind("device", "device_id", "client", MEMORY, 500),
    "mailbox": _kind("mailbox", "email", "contact", MEMORY, 500),
    "domain": _kind("email_domain", "email", "contact", MEMORY, 500),
    "phone": _kind("phone", "phone", "phone", MEMORY, 200),
    "payment": _kind("payment_method", "payment_method", "payment", MEMORY, 200),
    "api_key": _kind("api_key", "api_key", "key", MEMORY, 500),
    "referral": _kind("referral_code", "referral_code", "referral", 30 * DAY, 200),
    "name": _kind("name", "org_name", "name", DAY, 300),
}
"""Consumers, cards' issuers and places are left out: nobody writes those in an afternoon."""
COLUMNS = ("org_id", "occurred_at", *dict.fromkeys(kind.column for kind in KINDS.values()))
