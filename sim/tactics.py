"""What the members of a ring share, and how they behave, by difficulty and level of care."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sim.columns import MICRO
from sim.identifiers import DOTS, HIDDEN, NULL, TAGS, own_mailboxes, with_variant
from sim.mix import Int64
from sim.profile import NEVER, SLOTS, Profile
from sim.rings import RING_KINDS, Difficulty, Members
from sim.world import DAY, HOUR, MINUTE, Bools, Floats, World, exponential

_FARM, _RESALE, _PROMO, _REFERRAL, _SERIAL = range(len(RING_KINDS))
_NAME_FIELDS: Final = ((1 << 28) - 1) | (31 << 45)


@dataclass(frozen=True)
class Habit:
    """How often one sort of identifier is shared: by level, the share of members, and members to a value."""

    share: tuple[float, float, float]
    members: tuple[float, float, float]
    mixing: float = 0.5
    """How far from its neighbours in time a member may take its value, as a share of the whole ring."""


Playbook = dict[str, Habit]
PLAIN: Final[Playbook] = {
    "device": Habit((1.0, 0.9, 0.35), (14, 7, 4), 0.3),
    "address": Habit((1.0, 1.0, 0.9), (25, 10, 5), 0.05),
    "payment": Habit((0.85, 0.75, 0.7), (9, 6, 4), 1.5),
    "mailbox": Habit((0.7, 0.3, 0.0), (25, 12, 1), 1.5),
    "domain": Habit((0.2, 0.4, 0.4), (60, 40, 25)),
    "phone": Habit((0.8, 0.7, 0.6), (8, 5, 4), 1.0),
    "referral": Habit((0.4, 0.3, 0.2), (12, 8, 6), 0.1),
    "name": Habit((0.8, 0.5, 0.2), (1e9, 1e9, 1e9)),
    "range": Habit((0.5, 0.5, 0.5), (1e9, 1e9, 1e9)),
    "bin": Habit((0.9, 0.8, 0.7), (1e9, 1e9, 1e9)),
}
MIMIC: Final[Playbook] = {
    **PLAIN,
    "device": Habit((0.9, 0.6, 0.3), (8, 5, 3), 0.2),
    "address": Habit((0.9, 0.8, 0.7), (10, 6, 4), 0.1),
    "payment": Habit((0.7, 0.6, 0.6), (7, 5, 4)),
    "mailbox": Habit((0.4, 0.15, 0.0), (12, 6, 1)),
    "name": Habit((0.3, 0.15, 0.05), (1e9, 1e9, 1e9)),
}
ROTATE: Final[Playbook] = {
    **PLAIN,
    "device": Habit((0.0, 0.0, 0.0), (1, 1, 1)),
    "address": Habit((0.0, 0.0, 0.0), (1, 1, 1)),
    "payment": Habit((0.0, 0.0, 0.0), (1, 1, 1)),
    "mailbox": Habit((0.3, 0.1, 0.0), (4, 3, 1)),
    "domain": Habit((0.5, 0.4, 0.3), (40, 20, 10)),
    "phone": Habit((0.25, 0.1, 0.0), (3, 2, 1)),
    "referral": Habit((0.5, 0.45, 0.4), (6, 5, 4), 0.1),
    "name": Habit((0.8, 0.6, 0.4), (1e9, 1e9, 1e9)),
    "range": Habit((0.8, 0.7, 0.6), (1e9, 1e9, 1e9)),
    "bin": Habit((0.95, 0.9, 0.8), (1e9, 1e9, 1e9)),
}
SERIAL: Final[Playbook] = {
    **PLAIN,
    "device": Habit((0.7, 0.4, 0.15), (6, 4, 2), 0.2),
    "address": Habit((0.2, 0.1, 0.0), (3, 2, 1), 0.1),
    "payment": Habit((0.8, 0.6, 0.4), (6, 4, 3), 0.3),
    "mailbox": Habit((0.5, 0.3, 0.1), (8, 5, 3), 0.3),
    "domain": Habit((0.4, 0.4, 0.4), (30, 30, 30)),
    "phone": Habit((0.6, 0.5, 0.3), (5, 4, 3), 0.3),
    "referral": Habit((0.1, 0.1, 0.1), (2, 2, 2), 0.1),
    "name": Habit((0.6, 0.4, 0.2), (1e9, 1e9, 1e9)),
}
PLAYBOOKS: Final[dict[Difficulty, Playbook]] = {
    "plain": PLAIN,
    "mimic": MIMIC,
    "rotate": ROTATE,
    "adaptive": PLAIN,
    "serial": SERIAL,
}


@dataclass(frozen=True)
class Operation:
    """Members of a chunk of rings with their profiles, and what is needed to alter them."""

    p: Profile
    m: Members
    world: World
    difficulty: Difficulty
    rng: np.random.Generator

    def leveled(self, by_level: tuple[float, float, float]) -> Floats:
        """Return, member by member, the value for the member's level of care."""
        return np.array(by_level)[self.m.level]

    def chance(self, by_level: tuple[float, float, float]) -> Bools:
        """Return a random mask of the given shares by level."""
        return self.rng.random(len(self.m.ring)) < self.leveled(by_level)

    def careless(self, habit: Habit) -> Bools:
        """Return which members share: by level, and the more the larger the ring, for industry automates."""
        share = self.leveled(habit.share)
        industry = np.clip(np.log10(self.m.size / 40), 0, 1)
        return self.rng.random(len(share)) < np.where(share > 0, share + (1 - share) * 0.6 * industry, 0)

    def pooled(self, habit: Habit) -> Int64:
        """Assign each member a value of its ring's pool; return dense numbers of values through the chunk.

        Neighbours in time mostly have neighbouring values, and larger rings, which are industry, have more members to
        a value, so that pools overlap and a ring holds together.
        """
        scale = np.sqrt(np.clip(self.m.size / 40, 1, 30))
        per_value = np.minimum(self.leveled(habit.members) * scale, self.m.size)
        pool = np.ceil(self.m.size / per_value)
        jitter = (self.rng.random(len(pool)) - 0.5) * (1 + habit.mixing * pool)
        pick = np.clip(np.floor(self.m.place / per_value + jitter), 0, pool - 1).astype(np.int64)
        wide = self.m.ring * (int(pool.max()) + 1) + pick
        return np.unique(wide, return_inverse=True)[1].astype(np.int64)

    def per_ring(self, values: Int64) -> Int64:
        """Spread one value for each ring over its members."""
        return values[self.m.ring]

    @property
    def rings(self) -> int:
        """How many rings there are."""
        return int(self.m.ring[-1]) + 1


def conspire(o: Operation) -> None:
    """Turn drawn profiles into members of rings."""
    book = PLAYBOOKS[o.difficulty]
    on = _epochs(o) if o.difficulty == "adaptive" else {}
    _behave(o)
    _share_device(o, book["device"], on)
    _share_address(o, book["address"], on)
    _share_payment(o, book["payment"], book["bin"], on)
    _share_mailbox(o, book["mailbox"], book["domain"], on)
    _share_phone(o, book["phone"], book["range"], on)
    _share_name(o, book["name"])
    _refer(o, book["referral"], on)
    _resell(o)
    _obfuscate(o)


def _epochs(o: Operation) -> dict[str, Bools]:
    """By day and after each action a ring changes which identifiers it shares: three sorts of six at a time."""
    restricted = np.where(o.p.restricted_after != NEVER, 1, 0)
    seen = np.cumsum(restricted) - restricted
    seen -= seen[o.m.ring.searchsorted(o.m.ring)]
    epoch = (o.m.created - o.world.start) // DAY + seen // 4
    sorts = ("device", "address", "payment", "mailbox", "phone", "referral")
    keys = np.unique(o.m.ring * 100_000 + epoch, return_inverse=True)[1]
    ranks = np.argsort(np.argsort(o.rng.random((int(keys.max()) + 1, len(sorts))), axis=1), axis=1)
    return {sort: ranks[keys, index] < 3 for index, sort in enumerate(sorts)}


def _behave(o: Operation) -> None:
    """Carelessly: machines that burn a trial in hours without the client. Imitating: as the public does, but thrifty."""
    p, n = o.p, len(o.m.ring)
    p.created[:] = o.m.created
    p.paying[:] = False
    p.trial[:] = o.rng.random(n) < 0.97
    p.burn[:] = o.chance((0.95, 0.9, 0.8)) & (o.m.kind != _REFERRAL)
    p.restricted_after[:] = np.where(o.rng.random(n) < 0.05, exponential(8 * HOUR, n, o.rng), NEVER)
    rotates = (p.restricted_after != NEVER) & (o.rng.random(n) < 0.8)
    p.second_key[:] = np.where(rotates, o.world.identifiers.tokens("key", n), NULL)
    p.probes[:] = np.where(o.chance((0.5, 0.35, 0.2)), o.rng.integers(1, 4, size=n), 0)
    promo = o.m.kind == _PROMO
    p.promo[promo] = o.per_ring((2 << 30) + o.m.kind[np.searchsorted(o.m.ring, np.arange(o.rings))])[promo]
    p.cancel_after[promo] = exponential(8 * HOUR, int(promo.sum()), o.rng)
    if o.difficulty in {"mimic", "serial"}:
        p.calls[:] = p.calls + 2
        return
    p.machine[:] = True
    p.pace[:] = (o.leveled((12, 20, 45)) * MINUTE).astype(np.int64)
    p.sessions[:] = 1 + o.rng.integers(0, 3, size=n)
    p.calls[:] = p.calls // 2 + o.rng.integers(4, 12, size=n)
    sends = o.chance((0.0, 0.08, 0.3) if o.difficulty == "plain" else (0.05, 0.2, 0.5))
    p.telemetry[:] = np.where(sends, np.minimum(p.telemetry, 3), 0)
    p.email_verified[:] = o.rng.random(n) < 0.95


def _mask(o: Operation, habit: Habit, on: dict[str, Bools], sort: str) -> Bools:
    """Return which members share a sort of identifier; an adaptive ring, only in the epochs in which it does."""
    return o.careless(habit) & on[sort] if sort in on else o.careless(habit)


def _share_device(o: Operation, habit: Habit, on: dict[str, Bools]) -> None:
    values = o.pooled(habit)
    devices = o.world.identifiers.tokens("device", int(values.max()) + 1)[values]
    shares = _mask(o, habit, on, "device")
    o.p.device[shares] = devices[shares, None]
    o.p.attested[:] = 0


def _share_address(o: Operation, habit: Habit, on: dict[str, Bools]) -> None:
    """A ring's own exits, data-centre or residential by care; beside them rented proxies and VPN exits of strangers."""
    n, rng, make = len(o.m.ring), o.rng, o.world.identifiers
    first, second = o.pooled(habit), o.pooled(habit)
    count = int(max(first.max(), second.max())) + 1
    home, rack = make.addresses("residential", count, rng), make.addresses("datacenter", count, rng)
    housed = o.chance((0.3, 0.7, 0.95))
    shares = _mask(o, habit, on, "address")
    fresh = make.addresses("residential", n * SLOTS, rng).reshape(n, SLOTS)
    o.p.address[:] = fresh
    o.p.address[shares, 0] = np.where(housed, home[first], rack[first])[shares]
    o.p.address[shares, 1] = np.where(housed, home[second], rack[second])[shares]
    strangers = o.chance((0.15, 0.15, 0.15))
    o.p.address[strangers, 3] = rng.choice(o.world.proxies, size=int(strangers.sum()))
    through_vpn = o.chance((0.2, 0.1, 0.05)) & ~strangers
    o.p.address[through_vpn, 3] = rng.choice(o.world.vpn, size=int(through_vpn.sum()))
    o.p.churn[:] = True if o.difficulty == "rotate" else o.chance((0.2, 0.5, 0.8))


def _share_payment(o: Operation, habit: Habit, bins: Habit, on: dict[str, Bools]) -> None:
    """Virtual and prepaid cards, several organizations on one; or new ones each, of the ring's few issuers."""
    values = o.pooled(habit)
    cards = o.world.identifiers.tokens("payment", int(values.max()) + 1)[values]
    shares = _mask(o, habit, on, "payment")
    own = o.world.identifiers.tokens("payment", len(values))
    given = shares | (o.rng.random(len(values)) < 0.35)
    o.p.payment[:] = np.where(given, np.where(shares, cards, own), NULL)
    issuers = o.rng.choice(o.world.prepaid_bins, size=(o.rings, 2))
    pick = issuers[o.m.ring, np.where(shares, values, own) % 2]
    o.p.payment_bin[:] = np.where(o.chance(bins.share) | shares, pick, o.p.payment_bin)
    kind = o.rng.integers(1, 3, size=(o.rings, 2))[o.m.ring, np.where(shares, values, own) % 2]
    o.p.payment_kind[:] = np.where(o.p.payment_bin == pick, kind, o.p.payment_kind)
    o.p.pay_after[:] = exponential(2 * HOUR, len(values), o.rng)


def _share_mailbox(o: Operation, tags: Habit, domain: Habit, on: dict[str, Bools]) -> None:
    """One mailbox under many tags, or many mailboxes on a domain of the ring's own; else a provider's, like anybody."""
    make, n = o.world.identifiers, len(o.m.ring)
    values = o.pooled(domain)
    domains = make.domains(int(values.max()) + 1)[values]
    persons = make.persons(n)
    caught = o.chance(domain.share)
    email = np.where(caught, own_mailboxes(persons, domains), o.p.email)
    values = o.pooled(tags)
    base = make.provider_mailboxes(make.persons(int(values.max()) + 1), o.rng)[values]
    variants = np.where(o.rng.random(n) < 0.8, o.rng.integers(TAGS, DOTS, size=n), o.rng.integers(DOTS, DOTS + 8, size=n))
    o.p.email[:] = np.where(_mask(o, tags, on, "mailbox"), with_variant(base, variants), email)


def _share_phone(o: Operation, habit: Habit, ranges: Habit, on: dict[str, Bools]) -> None:
    """Numbers rented by the ring, some rented from services that other rings and shy people use too."""
    n = len(o.m.ring)
    values = o.pooled(habit)
    country = o.per_ring(o.rng.choice([2, 6, 9, 0], size=o.rings).astype(np.int64))
    rented = o.world.identifiers.phones(country[np.unique(values, return_index=True)[1]])[values]
    stranger = o.rng.choice(o.world.rented_phones, size=n)
    own = np.where(o.chance(ranges.share), o.world.identifiers.phones(country), o.p.phone)
    shared = _mask(o, habit, on, "phone")
    o.p.phone[:] = np.where(shared, np.where(o.rng.random(n) < 0.06, stranger, rented), own)
    o.p.phone_verified[:] = o.rng.random(n) < 0.95


def _share_name(o: Operation, habit: Habit) -> None:
    """Names made from one pattern: the same template and words, another number."""
    first = np.searchsorted(o.m.ring, np.arange(o.rings))
    model = o.per_ring(o.p.name[first] & _NAME_FIELDS)
    number = o.rng.integers(1, 9999, size=len(model)).astype(np.int64)
    alike = o.chance(habit.share)
    o.p.name[:] = np.where(alike, model | (number << 28), o.p.name)


def _refer(o: Operation, habit: Habit, on: dict[str, Bools]) -> None:
    """Members sign up on the code of an earlier member, and earn the reward for one another."""
    values = o.pooled(habit)
    first = np.unique(values, return_index=True)[1][values]
    sponsor = np.maximum(first - 1, o.m.ring.searchsorted(o.m.ring))
    wants = _mask(o, habit, on, "referral") | (o.m.kind == _REFERRAL)
    used = wants & (sponsor < np.arange(len(values)))
    o.p.referral_owned[sponsor[used]] = o.p.org[sponsor[used]]
    o.p.referral_used[:] = np.where(used, o.p.org[sponsor], NULL)
    o.p.referrer[:] = np.where(used, o.p.org[sponsor], NULL)


def _resell(o: Operation) -> None:
    """A ring's controller probes its keys; resold keys are used by a few downstream consumers, each with many."""
    controllers = o.world.identifiers.addresses("datacenter", o.rings, o.rng)
    library = o.world.libraries(o.rings, o.rng)
    tls = o.world.tls(library, o.rng)
    o.p.server_address[:] = o.per_ring(controllers)[:, None]
    o.p.server_agent[:], o.p.server_tls[:] = o.per_ring(library), o.per_ring(tls)
    o.p.server_share[:] = 0.0
    selling = np.flatnonzero(o.m.kind == _RESALE)
    values = o.pooled(Habit((1, 1, 1), (40, 25, 15), 1.0))
    count = int(values.max()) + 1
    buyers = o.world.identifiers.addresses("datacenter", count * 2, o.rng).reshape(count, 2)[values]
    agents = o.world.libraries(count, o.rng)
    o.p.server_address[selling] = buyers[selling][:, [0, 1, 0, 1]]
    o.p.server_agent[selling] = agents[values][selling]
    o.p.server_tls[selling] = o.world.tls(agents, o.rng)[values][selling]
    o.p.server_share[selling] = 0.9


def _obfuscate(o: Operation) -> None:
    """Hide invisible and look-alike characters in some names, mailboxes and event types."""
    n = len(o.m.ring)
    obscured = o.per_ring(np.where(o.rng.random(o.rings) < 0.15, 1, 0)) == 1
    named = obscured & (o.rng.random(n) < 0.4)
    o.p.name[named] |= o.rng.integers(1, 8, size=int(named.sum())) << 50
    mailed = obscured & (o.rng.random(n) < 0.3) & (o.p.email < (1 << 55))
    o.p.email[mailed] = with_variant(o.p.email[mailed], o.rng.integers(HIDDEN, 128, size=int(mailed.sum())))
    o.p.hidden_type[:] = obscured & o.chance((0.5, 0.3, 0.1))
    o.p.credit[:] = np.where(o.p.credit > 5 * MICRO, 5 * MICRO, o.p.credit)
