"""From what is known of somebody at the door to a verdict: pure, and in one table.

Strong identifiers alone speak here: what a crowd of strangers can share (an address, a client) turns nobody away.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

MANY = 3
"""Other new organizations on one card, phone, mailbox or attested device: a family may be two, a team has one."""

TRUST_S = 5
"""For how long an answer that lets in may be repeated: a ring spends an identifier within minutes."""

REFUSE_S = 60
"""For how long any other answer may be: long enough to stop retries, short enough for a restore to be felt."""

Situation = Literal["signup", "trial", "promo", "payment", "first_inference"]


class Verdict(StrEnum):
    """What to do, from the mildest to the strictest."""

    ALLOW = "allow"
    LIMIT = "limit"
    CHALLENGE = "challenge"
    DENY = "deny"


_ORDER = list(Verdict)
_CREDIT: tuple[Situation, ...] = ("trial", "promo")


@dataclass(frozen=True)
class Known:
    """What is known. `rings` are families of evidence of identifiers that members use who may be acted on."""

    restrictions: frozenset[str] = frozenset()
    protected: bool = False
    entities: frozenset[str] = frozenset()
    """Of `deny_signup`, `no_trial`, `challenge`: what applies to something that was shown."""
    rings: frozenset[str] = frozenset()
    newcomers: int = 0
    """The most other organizations that used one of the strong identifiers since the run."""


@dataclass(frozen=True)
class Decision:
    """A verdict, why (codes, the strictest first), and for how many seconds it may be repeated."""

    verdict: Verdict
    reasons: tuple[str, ...]
    ttl_s: int


def decide(at: Situation, known: Known) -> Decision:
    """The strictest that applies. Protection outweighs suspicion, never a decision that somebody took."""
    found = [*_decided(at, known), *(() if known.protected else _suspected(at, known))]
    found.sort(key=lambda each: -_ORDER.index(each[0]))
    verdict = found[0][0] if found else Verdict.ALLOW
    ttl = TRUST_S if verdict is Verdict.ALLOW else REFUSE_S
    return Decision(verdict, tuple(dict.fromkeys(reason for _, reason in found)), ttl)


def _decided(at: Situation, known: Known) -> Iterator[tuple[Verdict, str]]:
    """What people or policies decided about the organization, or about something that it shows."""
    if "ban" in known.restrictions:
        yield Verdict.DENY, "restricted"
    if "verify" in known.restrictions:
        yield Verdict.CHALLENGE, "verification_required"
    if "freeze_credit" in known.restrictions and at in _CREDIT:
        yield Verdict.DENY, "credit_frozen"
    if "throttle" in known.restrictions:
        yield Verdict.LIMIT, "throttled"
    if "deny_signup" in known.entities and at == "signup":
        yield Verdict.DENY, "signup_denied"
    if "no_trial" in known.entities and at in _CREDIT:
        yield Verdict.DENY, "no_trial"
    if "challenge" in known.entities:
        yield Verdict.CHALLENGE, "challenge_required"


def _suspected(at: Situation, known: Known) -> Iterator[tuple[Verdict, str]]:
    """What the current run and the events since suggest: one family is a hint, two are more than a hint."""
    softly = Verdict.LIMIT if at in _CREDIT else Verdict.CHALLENGE
    if len(known.rings) > 1:
        yield Verdict.DENY if at in ("signup", *_CREDIT) else Verdict.CHALLENGE, "known_ring"
    elif known.rings:
        yield softly, "shared_with_ring"
    if known.newcomers >= MANY:
        yield softly, "many_new_organizations"
