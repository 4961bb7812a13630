"""Honest organizations that look alike: each kind shares something for an innocent reason.

A kind is one function that alters drawn profiles: `rows` are its organizations and `group` says, row by row, to
which place, company or machine each belongs (dense numbers from 0).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from sim.identifiers import TAGS, own_mailboxes, with_variant
from sim.mix import Int64
from sim.profile import SLOTS, Profile
from sim.world import DAY, HOUR, MINUTE, World, exponential

_WEAK_PROMO: Final = 1 << 30
"""Promo codes from here on belong to an event (see `sim.columns`)."""


@dataclass(frozen=True)
class Crowd:
    """The organizations of one kind within a chunk, and what is needed to alter them."""

    p: Profile
    rows: Int64
    group: Int64
    world: World
    rng: np.random.Generator

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return int(self.group[-1]) + 1 if len(self.group) else 0

    def first_of_group(self) -> Int64:
        """Return, row by row, the place in `rows` of the group's first organization."""
        return np.searchsorted(self.group, self.group)

    def addresses(self, network: str, each: int) -> Int64:
        """Return, row by row, `SLOTS` of the `each` addresses of the row's group."""
        pool = self.world.identifiers.addresses(network, self.groups * each, self.rng).reshape(
            self.groups, each
        )
        return pool[self.group[:, None], self.rng.integers(0, each, size=(len(self.rows), SLOTS))]

    def share_card(self, share: float) -> None:
        """Give a share of the rows their group's one card, with its BIN and kind."""
        cards = self.world.identifiers.tokens("payment", self.groups)[self.group]
        bins = self.world.bins_drawn(self.groups, self.rng)[self.group]
        has = self.rng.random(len(self.rows)) < share
        at = self.rows[has]
        self.p.payment[at], self.p.payment_bin[at], self.p.payment_kind[at] = cards[has], bins[has], 0
        self.p.paying[at] = True

    def share_domain(self, numbered: bool) -> None:
        """Give the rows mailboxes on their group's domain."""
        domains = self.world.identifiers.domains(self.groups)[self.group]
        persons = self.world.identifiers.persons(len(self.rows))
        self.p.email[self.rows] = own_mailboxes(persons if numbered else persons & 0x3FFF, domains)

    def share_server(self, each: int, share: float) -> None:
        """Send a share of the rows' calls through their group's machines, with one client signature."""
        library = self.world.libraries(self.groups, self.rng)
        self.p.server_address[self.rows] = self.addresses("datacenter", each)
        self.p.server_agent[self.rows] = library[self.group]
        self.p.server_tls[self.rows] = self.world.tls(library, self.rng)[self.group]
        self.p.server_share[self.rows] = share


def _old(c: Crowd) -> None:
    c.p.old[c.rows] = True
    c.p.created[c.rows] = c.world.start - DAY - exponential(200 * DAY, len(c.rows), c.rng)
    c.p.sessions[c.rows] += 1
    c.p.calls[c.rows] += 4
    c.p.telemetry[c.rows] += np.where(c.p.telemetry[c.rows] > 0, 3, 0)


def _cgnat(c: Crowd) -> None:
    c.p.address[c.rows] = c.addresses("mobile", 3)


def _campus(c: Crowd) -> None:
    c.p.address[c.rows, :3] = c.addresses("office", 2)[:, :3]
    c.share_domain(numbered=True)


def _office(c: Crowd) -> None:
    c.p.address[c.rows, :3] = c.addresses("office", 1)[:, :3]
    c.share_domain(numbered=False)
    c.share_card(0.7)


def _agency(c: Crowd) -> None:
    first = c.rows[c.first_of_group()]
    c.p.device[c.rows] = c.p.device[first]
    c.p.address[c.rows] = c.p.address[first]
    tagged = with_variant(c.p.email[first] & ((1 << 55) - 1), c.rng.integers(TAGS, 80, size=len(c.rows)))
    c.p.email[c.rows] = tagged
    c.share_card(0.9)


def _hackathon(c: Crowd) -> None:
    c.p.address[c.rows, :2] = c.addresses("office", 1)[:, :2]
    day = c.world.days_drawn(c.groups, c.rng)[c.group]
    c.p.created[c.rows] = (
        c.world.start + day * DAY + 8 * HOUR + (c.rng.random(len(c.rows)) ** 2 * 9 * HOUR).astype(np.int64)
    )
    c.p.promo[c.rows] = _WEAK_PROMO + c.world.identifiers.tokens("promo", c.groups)[c.group]
    c.p.span_days[c.rows] = 2.0
    c.p.calls[c.rows] += 4


def _vpn(c: Crowd) -> None:
    exits = c.rng.choice(c.world.vpn, size=(len(c.rows), SLOTS))
    relays = c.rng.choice(c.world.relays, size=(len(c.rows), SLOTS))
    c.p.address[c.rows] = np.where(c.rng.random(len(c.rows))[:, None] < 0.6, exits, relays)
    c.p.churn[c.rows] = True


def _influencer(c: Crowd) -> None:
    first = c.first_of_group()
    follower = first != np.arange(len(c.rows))
    star = c.p.org[c.rows[first]]
    c.p.referral_owned[c.rows[~follower]] = star[~follower]
    c.p.referral_used[c.rows[follower]] = star[follower]
    c.p.referrer[c.rows[follower]] = star[follower]
    seen = c.p.created[c.rows[first]] + exponential(2.5 * DAY, len(c.rows), c.rng)
    seen = np.minimum(seen, c.world.end - MINUTE - c.rng.integers(0, HOUR, size=len(c.rows)))
    c.p.created[c.rows[follower]] = seen[follower]


def _burner(c: Crowd) -> None:
    c.p.burn[c.rows] = True
    c.p.trial[c.rows] = True
    c.p.sessions[c.rows] = 1 + c.rng.integers(0, 2, size=len(c.rows))
    c.p.calls[c.rows] += 6
    c.p.machine[c.rows] = True
    c.p.pace[c.rows] = 20 * MINUTE


def _api_only(c: Crowd) -> None:
    c.p.telemetry[c.rows] = 0
    c.p.sessions[c.rows] = 1
    c.p.calls[c.rows] += 5
    c.p.server_share[c.rows] = 1.0


def _gateway(c: Crowd) -> None:
    c.share_server(3, 0.92)
    c.p.calls[c.rows] += 4
    quiet = c.rows[c.rng.random(len(c.rows)) < 0.5]
    c.p.telemetry[quiet] = 0


def _ci(c: Crowd) -> None:
    c.share_server(4, 0.7)
    c.p.calls[c.rows] += 8


def _lab(c: Crowd) -> None:
    first = c.rows[c.first_of_group()]
    c.p.device[c.rows, 0] = c.p.device[first, 0]
    c.p.address[c.rows, :2] = c.addresses("office", 1)[:, :2]


def _family(c: Crowd) -> None:
    first = c.rows[c.first_of_group()]
    c.p.address[c.rows] = c.p.address[first]
    c.share_card(1.0)


def _recycled_phone(c: Crowd) -> None:
    first = c.first_of_group()
    c.p.phone[c.rows] = c.world.identifiers.phones(c.p.country[c.rows])[first]
    c.p.phone_verified[c.rows] = True
    apart = (np.arange(len(c.rows)) - first) * (c.world.days * DAY // 2)
    early = c.world.start + c.p.created[c.rows] % (c.world.days * DAY // 3)
    c.p.created[c.rows] = early + apart


def _plain(c: Crowd) -> None:
    """Leave people as they were drawn, but for a few who know each other, or hide behind a rented number."""
    n = len(c.rows)
    order = c.rows[np.argsort(c.p.created[c.rows], kind="stable")]
    friend = np.flatnonzero(c.rng.random(n) < 0.04)
    friend = friend[friend > 0]
    sponsor = order[(friend * c.rng.random(len(friend))).astype(np.int64)]
    c.p.referral_owned[sponsor] = c.p.org[sponsor]
    c.p.referral_used[order[friend]] = c.p.org[sponsor]
    c.p.referrer[order[friend]] = c.p.org[sponsor]
    renting = c.rows[c.rng.random(n) < 0.001]
    c.p.phone[renting] = c.rng.choice(c.world.rented_phones, size=len(renting))


class Kind(NamedTuple):
    """A kind of bystander: its share of the honest, the sizes of its groups (low, high), and what it alters."""

    share: float
    low: int
    high: int
    alter: Callable[[Crowd], None]


KINDS: Final[dict[str, Kind]] = {
    "plain_user": Kind(0.50, 1, 1, _plain),
    "old": Kind(0.15, 1, 1, _old),
    "cgnat": Kind(0.07, 60, 700, _cgnat),
    "campus": Kind(0.03, 40, 300, _campus),
    "office": Kind(0.03, 3, 25, _office),
    "agency": Kind(0.015, 4, 25, _agency),
    "hackathon": Kind(0.015, 20, 140, _hackathon),
    "vpn": Kind(0.05, 1, 1, _vpn),
    "influencer": Kind(0.02, 40, 400, _influencer),
    "burner": Kind(0.025, 1, 1, _burner),
    "api_only": Kind(0.045, 1, 1, _api_only),
    "gateway": Kind(0.015, 20, 250, _gateway),
    "ci": Kind(0.01, 5, 60, _ci),
    "lab": Kind(0.01, 3, 12, _lab),
    "family": Kind(0.01, 2, 3, _family),
    "recycled_phone": Kind(0.005, 2, 2, _recycled_phone),
}
"""Every kind of honest organization. Shares add up to one."""


def group_sizes(kind: Kind, total: int, rng: np.random.Generator) -> Int64:
    """Split `total` organizations into groups, log-uniform between the kind's sizes; the last may be smaller."""
    if kind.high == 1:
        return np.ones(total, dtype=np.int64)
    sizes = np.exp(rng.uniform(np.log(kind.low), np.log(kind.high + 1), size=total // kind.low + 1)).astype(
        np.int64
    )
    ends = np.minimum(np.cumsum(sizes), total)
    return np.diff(ends[: int(np.searchsorted(ends, total)) + 1], prepend=0)
