"""Frames the innocent: what a ring can do to tie somebody to itself without that one's doing anything.

Forged ties are typed: the victim's e-mail, phone, referral code or device header. Cards are stolen and used by members,
sometimes before their owner pays with them here; a leaked key carries the ring's calls under the victim's name; the
ring's traffic leaves through the victim's own address; members redeem the victim's code, which pays it rewards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sim.columns import MICRO
from sim.events import Batch
from sim.mix import Int64
from sim.profile import Profile
from sim.rings import Members
from sim.victims import VICTIMS, Victims
from sim.world import DAY, HOUR, MINUTE, exponential

_FORGERIES: Final = {"1 forged tie": 1, "3 forged ties": 3, "10 forged ties": 10}
_CULPRITS: Final = {
    "stolen card": 4,
    "leaked key": 3,
    "traffic through its address": 5,
    "unsolicited rewards": 6,
}
"""How many members take part in framing one victim."""
_CALLS: Final = 12
_TYPED_BEFORE: Final = 2 * HOUR


@dataclass(frozen=True)
class _Deeds:
    """What members do to victims, one a row: rows of victims and of the ring's profile, when (µs), which in turn."""

    victim: Int64
    row: Int64
    at: Int64
    ordinal: Int64


def frame(batch: Batch, victims: Victims, p: Profile, m: Members, rng: np.random.Generator) -> None:
    """Add what members of rings do to each victim; all that frame one are of one ring."""
    leader = _leaders(victims, p, rng)
    for method, count in _FORGERIES.items():
        _forge(batch, victims, p, _deeds(victims, method, count, leader, p, m, rng), rng)
    for method, act in {
        "stolen card": _steal,
        "leaked key": _call,
        "traffic through its address": _leave,
        "unsolicited rewards": _reward,
    }.items():
        act(batch, victims, p, _deeds(victims, method, _CULPRITS[method], leader, p, m, rng), rng)


def _leaders(victims: Victims, p: Profile, rng: np.random.Generator) -> Int64:
    """Any member, but for those who have just come: the one that signed up next to them, so that they look alike."""
    order = np.argsort(p.created, kind="stable")
    near = np.searchsorted(p.created[order], victims.ready).clip(max=len(order) - 1)
    chosen = rng.integers(0, len(order), size=len(victims))
    return np.where(victims.kind == VICTIMS.index("new"), order[near], chosen)


def _deeds(
    victims: Victims,
    method: str,
    count: int,
    leader: Int64,
    p: Profile,
    m: Members,
    rng: np.random.Generator,
) -> _Deeds:
    """Deeds of as many members, in turn, of each leader's ring, once both are there."""
    framed = victims.framed_by(method)
    victim = np.repeat(framed, count)
    ordinal = np.tile(np.arange(count), len(framed))
    chief = leader[victim]
    row = chief - m.place[chief] + (m.place[chief] + ordinal) % m.size[chief]
    begun = np.maximum(p.created[row], victims.ready[victim])
    return _Deeds(victim, row, begun + 10 * MINUTE + exponential(6 * HOUR, len(row), rng), ordinal)


def _forge(batch: Batch, victims: Victims, p: Profile, d: _Deeds, rng: np.random.Generator) -> None:
    """Type what is the victim's; an address or a number, perhaps before the victim signs up."""
    sort = (d.victim + d.ordinal) % 4
    mail, call, refer, device = (np.flatnonzero(sort == index) for index in range(4))
    soon = victims.kind[d.victim] == VICTIMS.index("new")
    early = soon & (rng.random(len(d.at)) < 0.5) & (p.created[d.row] < victims.ready[d.victim])
    before = victims.ready[d.victim] - (rng.random(len(d.at)) * _TYPED_BEFORE).astype(np.int64)
    typed = np.where(early, np.maximum(before, p.created[d.row] + MINUTE), d.at)
    batch.add("user_added", p.org[d.row[mail]], typed[mail], email=victims.email[d.victim[mail]])
    batch.add("verification_requested", p.org[d.row[call]], typed[call], phone=victims.phone[d.victim[call]])
    batch.add(
        "referral_redeemed",
        p.org[d.row[refer]],
        d.at[refer],
        referral_code=victims.referral[d.victim[refer]],
        referrer_org_id=victims.org[d.victim[refer]],
        program_id=2,
    )
    batch.add(
        "session_started",
        p.org[d.row[device]],
        d.at[device],
        device_id=victims.device[d.victim[device]],
        ip=p.address[d.row[device], 0],
        user_agent=p.browser[d.row[device]],
        tls_fingerprint=p.browser_tls[d.row[device]],
        attested=0,
    )


def _steal(batch: Batch, victims: Victims, p: Profile, d: _Deeds, rng: np.random.Generator) -> None:
    """Add the victim's card, and settle an invoice on it with every second member."""
    card = {
        "payment_method": victims.payment[d.victim],
        "payment_bin": victims.payment_bin[d.victim],
        "payment_kind": np.zeros(len(d.victim), dtype=np.int64),
    }
    batch.add("payment_method_added", p.org[d.row], d.at, ip=p.address[d.row, 0], **card)
    pays = np.flatnonzero(d.ordinal % 2 == 0)
    batch.add(
        "invoice_paid",
        p.org[d.row[pays]],
        d.at[pays] + exponential(HOUR, len(pays), rng),
        plan=2,
        amount_usd=20 * MICRO,
        **{name: values[pays] for name, values in card.items()},
    )


def _call(batch: Batch, victims: Victims, p: Profile, d: _Deeds, rng: np.random.Generator) -> None:
    """Use the victim's key from the members' machines and addresses, more than the victim does itself."""
    calls = np.repeat(np.arange(len(d.row)), _CALLS)
    row, own = d.row[calls], rng.random(len(calls)) < 0.2
    batch.add(
        "inference",
        victims.org[d.victim[calls]],
        d.at[calls] + exponential(8 * HOUR, len(calls), rng),
        api_key=victims.key[d.victim[calls]],
        ip=np.where(own, p.address[row, 0], p.server_address[row, 0]),
        user_agent=p.server_agent[row],
        tls_fingerprint=p.server_tls[row],
        model=2,
        requests=1,
        tokens=3000,
        cost_usd=MICRO // 25,
        status_code=200,
    )


def _leave(batch: Batch, victims: Victims, p: Profile, d: _Deeds, rng: np.random.Generator) -> None:
    """Have sessions and calls of members leave through the victim's address."""
    batch.add(
        "session_started",
        p.org[d.row],
        d.at,
        ip=victims.address[d.victim],
        device_id=p.device[d.row, 0],
        user_agent=p.browser[d.row],
        tls_fingerprint=p.browser_tls[d.row],
        attested=0,
    )
    calls = np.repeat(np.arange(len(d.row)), _CALLS // 3)
    batch.add(
        "inference",
        p.org[d.row[calls]],
        d.at[calls] + exponential(2 * HOUR, len(calls), rng),
        api_key=p.key[d.row[calls]],
        ip=victims.address[d.victim[calls]],
        user_agent=p.client[d.row[calls]],
        tls_fingerprint=p.client_tls[d.row[calls]],
        model=1,
        requests=1,
        tokens=2000,
        cost_usd=MICRO // 50,
        status_code=200,
    )


def _reward(batch: Batch, victims: Victims, p: Profile, d: _Deeds, rng: np.random.Generator) -> None:
    """Redeem the victim's code, so that it is paid for members that it never saw."""
    batch.add(
        "referral_redeemed",
        p.org[d.row],
        d.at,
        referral_code=victims.referral[d.victim],
        referrer_org_id=victims.org[d.victim],
        program_id=2,
    )
    batch.add(
        "reward_earned",
        victims.org[d.victim],
        d.at + exponential(MINUTE, len(d.at), rng),
        other_org_id=p.org[d.row],
        program_id=2,
        reward_usd=5 * MICRO,
    )
    batch.add(
        "reward_paid",
        victims.org[d.victim],
        d.at + DAY,
        other_org_id=p.org[d.row],
        program_id=2,
        reward_usd=5 * MICRO,
        payout_id=p.org[d.row],
    )
