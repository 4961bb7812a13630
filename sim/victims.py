"""The innocent whom rings frame: five kinds of customers, and what a stranger can know of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sim.identifiers import NULL
from sim.mix import Int64
from sim.profile import Profile
from sim.world import DAY, MINUTE, Bools, World, exponential

VICTIMS: Final = ("paying", "client", "api", "aged", "new")
"""Who pays, who is free with the genuine client, who uses the API only, who was there before, who has just come."""
METHODS: Final = (
    "1 forged tie",
    "3 forged ties",
    "10 forged ties",
    "stolen card",
    "leaked key",
    "traffic through its address",
    "unsolicited rewards",
)
_READY_DAYS: Final = {"paying": 6, "client": 12, "api": 4, "aged": 10, "new": 0}
"""How long each kind lives by itself before it is framed: long enough for what speaks for it to count."""


@dataclass(frozen=True)
class Victims:
    """Organizations to frame, one a row: kind, method, when (`ready`, µs), and what a stranger can come to know."""

    org: Int64
    kind: Int64
    method: Int64
    ready: Int64
    email: Int64
    phone: Int64
    device: Int64
    referral: Int64
    address: Int64
    key: Int64
    payment: Int64
    payment_bin: Int64

    def __len__(self) -> int:
        return len(self.org)

    def of(self, rows: Int64 | slice) -> Victims:
        """Return some of them."""
        return Victims(*(values[rows] for values in vars(self).values()))

    def framed_by(self, method: str) -> Int64:
        """Return the rows of those who are framed in this way."""
        return np.flatnonzero(self.method == METHODS.index(method))

    def names(self) -> list[str]:
        """Return what the truth says of each: `paying: stolen card`."""
        return [f"{VICTIMS[kind]}: {METHODS[how]}" for kind, how in zip(self.kind, self.method, strict=True)]


def choose(p: Profile, count: int, world: World, rng: np.random.Generator) -> Victims:
    """Choose victims among people with a telephone, as many of each kind and method, and have them live as such.

    Each holds a referral code that can be used. Whose card will be stolen has one.
    """
    able = np.flatnonzero(p.phone != NULL)
    rows = rng.choice(able, size=min(count, len(able)), replace=False)
    turn = np.arange(len(rows))
    kind, method = turn % len(VICTIMS), turn // len(VICTIMS) % len(METHODS)
    for index, alter in enumerate((_pay, _use_client, _use_api, _age, _come)):
        alter(p, rows[kind == index], world, rng)
    _hold_card(p, rows[(method == METHODS.index("stolen card")) & (p.payment[rows] == NULL)], world, rng)
    p.referral_owned[rows] = p.org[rows]
    p.calls[rows] += 3
    return Victims(
        org=p.org[rows],
        kind=kind,
        method=method,
        ready=np.maximum(p.created[rows], world.start) + np.array(list(_READY_DAYS.values()))[kind] * DAY,
        email=p.email[rows],
        phone=p.phone[rows],
        device=p.device[rows, 0],
        referral=p.org[rows],
        address=p.address[rows, 0],
        key=p.key[rows],
        payment=p.payment[rows],
        payment_bin=p.payment_bin[rows],
    )


def _early(p: Profile, rows: Int64, world: World, rng: np.random.Generator) -> None:
    """Have them sign up in the first third of the window, so that they have a life before it ends."""
    day = rng.integers(0, max(1, world.days // 3), size=len(rows))
    p.created[rows] = world.clock(day, p.country[rows], rng)


def _pay(p: Profile, rows: Int64, world: World, rng: np.random.Generator) -> None:
    _early(p, rows, world, rng)
    _hold_card(p, rows, world, rng)
    p.pay_after[rows] = exponential(DAY // 4, len(rows), rng)


def _use_client(p: Profile, rows: Int64, world: World, rng: np.random.Generator) -> None:
    _early(p, rows, world, rng)
    p.payment[rows] = NULL
    p.client[rows] = world.clients(len(rows), rng)
    p.span_days[rows] = 11.0
    p.sessions[rows] += 5
    p.telemetry[rows] = p.sessions[rows] + 4


def _use_api(p: Profile, rows: Int64, world: World, rng: np.random.Generator) -> None:
    _early(p, rows, world, rng)
    p.payment[rows] = NULL
    p.telemetry[rows] = 0
    p.sessions[rows] = 1
    p.calls[rows] += 5
    p.server_share[rows] = 1.0


def _age(p: Profile, rows: Int64, world: World, rng: np.random.Generator) -> None:
    p.old[rows] = True
    p.created[rows] = world.start - DAY - exponential(200 * DAY, len(rows), rng)
    p.client[rows] = world.clients(len(rows), rng)
    p.sessions[rows] += 4
    p.telemetry[rows] = p.sessions[rows] + 4


def _come(p: Profile, rows: Int64, world: World, rng: np.random.Generator) -> None:  # noqa: ARG001
    """Half of the new ones do what is most like a ring: use their trial up at once, by machine."""
    p.payment[rows] = NULL
    burning = rows[rng.random(len(rows)) < 0.5]
    p.burn[burning] = True
    p.trial[burning] = True
    p.machine[burning] = True
    p.pace[burning] = 20 * MINUTE
    p.telemetry[burning] = 0


def _hold_card(p: Profile, rows: Int64, world: World, rng: np.random.Generator) -> None:
    p.payment[rows] = world.identifiers.tokens("payment", len(rows))
    p.payment_bin[rows] = world.bins_drawn(len(rows), rng)
    p.payment_kind[rows] = 0
    paying: Bools = np.ones(len(rows), dtype=np.bool_)
    p.paying[rows] = paying
    p.disputed[rows] = False
