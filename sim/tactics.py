"""What members of a ring share with one another, made true in their profiles."""

from __future__ import annotations

from typing import Final

import numpy as np

from sim.behaviour import behave
from sim.habits import PLAYBOOKS, Habit
from sim.identifiers import DOTS, HIDDEN, NULL, TAGS, own_mailboxes, with_variant
from sim.operation import Operation
from sim.profile import NEVER, SLOTS
from sim.rings import RING_KINDS
from sim.world import DAY, Bools

_RESALE, _REFERRAL = RING_KINDS.index("key_resale"), RING_KINDS.index("referral_ring")
_NAME_FIELDS: Final = ((1 << 28) - 1) | (31 << 45)
_CONSUMERS: Final = Habit((1, 1, 1), (40, 25, 15), 1.0)


def conspire(o: Operation) -> None:
    """Turn drawn profiles into members of rings."""
    book = PLAYBOOKS[o.difficulty]
    behave(o)
    on = _epochs(o) if o.difficulty == "adaptive" else {}
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
    year = 400 * DAY
    since = o.m.ring * year + o.p.created - o.world.start
    caught = o.p.restricted_after != NEVER
    actions = np.sort(since[caught] + o.p.restricted_after[caught])
    seen = np.searchsorted(actions, since) - np.searchsorted(actions, o.m.ring * year)
    epoch = (o.p.created - o.world.start) // DAY + seen
    sorts = ("device", "address", "payment", "mailbox", "phone", "referral")
    keys = np.unique(o.m.ring * 100_000 + epoch, return_inverse=True)[1]
    ranks = np.argsort(np.argsort(o.rng.random((int(keys.max()) + 1, len(sorts))), axis=1), axis=1)
    return {sort: ranks[keys, index] < 3 for index, sort in enumerate(sorts)}


def _mask(o: Operation, habit: Habit, on: dict[str, Bools], sort: str) -> Bools:
    """Return which members share a sort of identifier; an adaptive ring, only in the epochs in which it does."""
    return o.careless(habit) & on[sort] if sort in on else o.careless(habit)


def _share_device(o: Operation, habit: Habit, on: dict[str, Bools]) -> None:
    values = o.pooled(habit)
    devices = o.world.identifiers.tokens("device", int(values.max()) + 1)[values]
    shares = _mask(o, habit, on, "device")
    o.p.device[shares, 0] = devices[shares]
    if not o.imitates:
        o.p.device[shares, 1] = devices[shares]


def _share_address(o: Operation, habit: Habit, on: dict[str, Bools]) -> None:
    """A ring's own exits, beside rented proxies and VPN exits that strangers use too."""
    shares = _mask(o, habit, on, "address")
    if o.imitates:
        _move_in(o, habit, shares)
    else:
        _hire_exits(o, habit, shares)
    strangers = o.chance((0.15, 0.15, 0.15))
    o.p.address[strangers, SLOTS - 1] = o.rng.choice(o.world.proxies, size=int(strangers.sum()))
    through_vpn = o.chance((0.2, 0.1, 0.05)) & ~strangers
    o.p.address[through_vpn, SLOTS - 1] = o.rng.choice(o.world.vpn, size=int(through_vpn.sum()))


def _move_in(o: Operation, habit: Habit, shares: Bools) -> None:
    """Some members to a home, each with a telephone of its own, as families have."""
    values = o.pooled(habit)
    homes = o.world.identifiers.addresses("residential", int(values.max()) + 1, o.rng)[values]
    usual = np.where(shares, homes, o.p.address[:, 0])
    for slot in (0, 2, 3):
        o.p.address[:, slot] = usual


def _hire_exits(o: Operation, habit: Habit, shares: Bools) -> None:
    """Data-centre or residential exits by level of care, used by some members each, or by one and dropped."""
    n, make = len(o.m.ring), o.world.identifiers
    first, second = o.pooled(habit), o.pooled(habit)
    count = int(max(first.max(), second.max())) + 1
    home, rack = make.addresses("residential", count, o.rng), make.addresses("datacenter", count, o.rng)
    housed = o.chance((0.3, 0.7, 0.95))
    o.p.address[:] = make.addresses("residential", n * SLOTS, o.rng).reshape(n, SLOTS)
    o.p.address[shares, 0] = np.where(housed, home[first], rack[first])[shares]
    o.p.address[shares, 1] = np.where(housed, home[second], rack[second])[shares]
    o.p.churn[:] = True if o.difficulty == "rotate" else o.chance((0.2, 0.5, 0.8))


def _share_payment(o: Operation, habit: Habit, bins: Habit, on: dict[str, Bools]) -> None:
    """Virtual and prepaid cards, several organizations on one; or new ones each, of the ring's few issuers."""
    values = o.pooled(habit)
    cards = o.world.identifiers.tokens("payment", int(values.max()) + 1)[values]
    shares = _mask(o, habit, on, "payment")
    own = o.world.identifiers.tokens("payment", len(values))
    given = shares | (o.rng.random(len(values)) < (0.05 if o.imitates else 0.35))
    o.p.payment[:] = np.where(given, np.where(shares, cards, own), NULL)
    choice = np.where(shares, values, own) % 2
    pick = o.rng.choice(o.world.prepaid_bins, size=(o.rings, 2))[o.m.ring, choice]
    o.p.payment_bin[:] = np.where(o.chance(bins.share) | shares, pick, o.p.payment_bin)
    kinds = o.rng.integers(1, 3, size=(o.rings, 2))[o.m.ring, choice]
    o.p.payment_kind[:] = np.where(o.p.payment_bin == pick, kinds, o.p.payment_kind)


def _share_mailbox(o: Operation, tags: Habit, domain: Habit, on: dict[str, Bools]) -> None:
    """One mailbox under many tags, or many mailboxes on a domain of the ring's own; else a provider's, like anybody."""
    make, n = o.world.identifiers, len(o.m.ring)
    values = o.pooled(domain)
    domains = make.domains(int(values.max()) + 1)[values]
    persons = make.persons(n)
    persons = np.where(o.rng.random(n) < 0.8, persons & 0x3FFF, persons) if o.imitates else persons
    caught = o.chance(domain.share)
    email = np.where(caught, own_mailboxes(persons, domains), o.p.email)
    values = o.pooled(tags)
    base = make.provider_mailboxes(make.persons(int(values.max()) + 1), o.rng)[values]
    variants = np.where(
        o.rng.random(n) < 0.8, o.rng.integers(TAGS, DOTS, size=n), o.rng.integers(DOTS, DOTS + 8, size=n)
    )
    o.p.email[:] = np.where(_mask(o, tags, on, "mailbox"), with_variant(base, variants), email)


def _share_phone(o: Operation, habit: Habit, ranges: Habit, on: dict[str, Bools]) -> None:
    """Numbers rented by the ring, some rented from services that other rings and shy people use too."""
    n = len(o.m.ring)
    values = o.pooled(habit)
    country = o.per_ring(o.world.countries(o.rings, o.rng))
    rented = o.world.identifiers.phones(country[np.unique(values, return_index=True)[1]])[values]
    stranger = o.rng.choice(o.world.rented_phones, size=n)
    stated = (o.p.phone != NULL) | (not o.imitates)
    own = np.where(o.chance(ranges.share) & stated, o.world.identifiers.phones(country), o.p.phone)
    shared = _mask(o, habit, on, "phone") & stated
    o.p.phone[:] = np.where(shared, np.where(o.rng.random(n) < 0.06, stranger, rented), own)
    o.p.phone_verified[:] = o.rng.random(n) < (0.9 if o.imitates else 0.95)


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
    if not o.imitates:
        o.p.server_share[:] = 0.0
    selling = np.flatnonzero(o.m.kind == _RESALE)
    values = o.pooled(_CONSUMERS)
    count = int(values.max()) + 1
    buyers = o.world.identifiers.addresses("datacenter", count * 2, o.rng).reshape(count, 2)[values]
    agents = o.world.libraries(count, o.rng)
    o.p.server_address[selling] = buyers[selling][:, [0, 1, 0, 1]]
    o.p.server_agent[selling] = agents[values][selling]
    o.p.server_tls[selling] = o.world.tls(agents, o.rng)[values][selling]
    o.p.server_share[selling] = 0.65 if o.imitates else 0.9


def _obfuscate(o: Operation) -> None:
    """Hide invisible and look-alike characters in some names, mailboxes and event types."""
    n = len(o.m.ring)
    obscured = o.per_ring(np.where(o.rng.random(o.rings) < 0.15, 1, 0)) == 1
    named = obscured & (o.rng.random(n) < 0.4)
    o.p.name[named] |= o.rng.integers(1, 8, size=int(named.sum())) << 50
    mailed = obscured & (o.rng.random(n) < 0.3) & (o.p.email < (1 << 55))
    o.p.email[mailed] = with_variant(o.p.email[mailed], o.rng.integers(HIDDEN, 128, size=int(mailed.sum())))
    o.p.hidden_type[:] = obscured & o.chance((0.5, 0.3, 0.1))
