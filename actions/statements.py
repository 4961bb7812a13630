"""What the affected are told: a closed catalogue of public reasons, and one statement for each organization.

A statement never names another's identifiers, a detector, a cluster or a score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from actions.ledger import Reading, subjects, verdicts
from actions.model import ORGANIZATION, Action
from actions.refusals import Refusal


@dataclass(frozen=True)
class PublicReason:
    """Words for the affected, and the clause of the terms that they may look up."""

    title: str
    text: str
    clause: str


PUBLIC_REASONS: Mapping[str, PublicReason] = {
    "policy_violation": PublicReason(
        "Use against our terms",
        "Your organization was used in a way that our terms do not allow.",
        "acceptable-use",
    ),
    "multiple_accounts": PublicReason(
        "Several organizations of one operator",
        "Offers that are meant for new customers were used by organizations under common control.",
        "one-trial-per-customer",
    ),
    "resale": PublicReason(
        "Access passed on", "Access to the service appears to have been passed on or sold.", "no-resale"
    ),
    "promotion_abuse": PublicReason(
        "Promotion or referral rules",
        "Promotions or referrals were used outside their rules.",
        "promotion-terms",
    ),
    "verification_needed": PublicReason(
        "Please confirm who you are",
        "We need to verify your organization before it can go on.",
        "verification",
    ),
    "security": PublicReason(
        "Protection of the service",
        "Unusual activity was limited to protect the service and its users.",
        "security",
    ),
    "restored": PublicReason("Restored", "The restriction was lifted.", "appeals"),
    "expired": PublicReason("Ended", "The restriction ended as announced.", "appeals"),
}

RESTRICTED: Mapping[str, str] = {
    Action.THROTTLE: "Requests are limited to a lower rate.",
    Action.VERIFY: "The organization must be verified before further use.",
    Action.FREEZE_CREDIT: "Promotional credit cannot be used.",
    Action.BAN: "The organization cannot use the service.",
    Action.HONEYPOT: "Use of the service is limited.",
    Action.HOLD_PAYOUT: "Payouts are on hold.",
    Action.CLAWBACK: "Rewards that were paid are reclaimed.",
}
HOW_TO_APPEAL = (
    "You can appeal: answer this message or use the appeal form. "
    "A person who did not approve the restriction decides."
)


@dataclass(frozen=True)
class Restriction:
    """One restriction as the affected see it."""

    restricted: str
    reason: str
    clause: str
    automated: bool
    since: datetime
    ends_at: datetime | None


@dataclass(frozen=True)
class Statement:
    """What one organization is told; no restrictions: nothing is in force."""

    org_id: str
    restrictions: tuple[Restriction, ...]
    how_to_appeal: str = HOW_TO_APPEAL


def checked_reason(code: str) -> str:
    """A code of the catalogue. Raises Refusal for any other."""
    if code not in PUBLIC_REASONS:
        raise Refusal(
            "bad_request", f"{code!r} is no public reason", f"Choose one of: {', '.join(PUBLIC_REASONS)}."
        )
    return code


def statement(reading: Reading, org_id: str) -> Statement:
    """What an affected organization may be told about what is in force against it."""
    ids = subjects.ids_of(reading, ORGANIZATION, [org_id])
    if org_id not in ids:
        return Statement(org_id, ())
    return Statement(
        org_id,
        tuple(
            Restriction(
                RESTRICTED[row["action"]],
                PUBLIC_REASONS[row["public_reason"]].text,
                PUBLIC_REASONS[row["public_reason"]].clause,
                row["automatic"],
                row["since"],
                row["expires_at"],
            )
            for row in verdicts.claims_on(reading, ids[org_id])
        ),
    )
