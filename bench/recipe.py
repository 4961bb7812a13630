"""The recipe of ties, as constants that the plain pipelines share: what an analyst would read in the design."""

from __future__ import annotations

from dataclasses import dataclass

HOUR, DAY = 3600, 86_400
PREDECESSORS = 10
MIN_WEIGHT = 0.05
RESOLUTION = 0.002
STOP_VALUES = ("null", "unknown", "none", "test", "0.0.0.0", "+10000000000")  # noqa: S104
STOP_VALUES += ("00000000-0000-0000-0000-000000000000",)
PROVIDERS = ("gmail.com", "outlook.com", "yahoo.com", "hotmail.com", "icloud.com", "proton.me", "gmx.de")


@dataclass(frozen=True)
class Kind:
    """One kind of identifier: its column, prior, decay, session gap (seconds), cap, and floor of the decay."""

    column: str
    prior: float
    tau: float
    gap: float
    cap: int
    floor: float = 0.0


KINDS = {
    "ip": Kind("ip", 0.35, 6 * HOUR, 12 * HOUR, 200),
    "device": Kind("device_id", 0.8, 3 * DAY, 3 * DAY, 500),
    "mailbox": Kind("email", 1.0, 7 * DAY, 400 * DAY, 500, 0.5),
    "domain": Kind("email", 0.25, DAY, DAY, 100),
    "phone": Kind("phone", 0.8, 5 * DAY, 5 * DAY, 200),
    "payment": Kind("payment_method", 0.9, 7 * DAY, 400 * DAY, 200, 0.5),
    "api_key": Kind("api_key", 1.0, 7 * DAY, 7 * DAY, 500),
    "referral": Kind("referral_code", 0.5, 2 * DAY, 2 * DAY, 200),
    "name": Kind("org_name", 0.25, DAY, DAY, 300),
}
"""Strong kinds have a gap that no window reaches, which is one session."""
COLUMNS = ("org_id", "occurred_at", *dict.fromkeys(kind.column for kind in KINDS.values()))
