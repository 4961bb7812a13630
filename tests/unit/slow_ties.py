"""Ties by the definition (detection.md, "What an identifier is worth"), one step after another in plain Python.

Knows nothing of tables, partial aggregates or keys: events in, weights out.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from worlds import Event

from detection.settings import WEIGHT_UNIT, DetectionSettings, TieKind

Pair = tuple[str, str]
Identifier = tuple[str, str]
Use = tuple[int, str]

EXACT = {
    "ip": "ip",
    "device_id": "device",
    "user_id": "user",
    "api_key": "api_key",
    "payment_method": "payment_method",
    "email": "mailbox",
    "phone": "phone",
    "org_name": "name",
}
PROVIDERS = {"gmail.com"}
FEW = 1_000


def slow_ties(events: Sequence[Event], settings: DetectionSettings) -> dict[Pair, int]:
    """The weight of each tied pair of organizations, in millionths."""
    total: dict[Pair, int] = defaultdict(int)
    for weights in slow_reasons(events, settings).values():
        for pair, weight in weights.items():
            total[pair] += weight
    least = round(settings.min_weight * WEIGHT_UNIT)
    return {pair: weight for pair, weight in total.items() if weight >= least}


def slow_reasons(events: Sequence[Event], settings: DetectionSettings) -> dict[Identifier, dict[Pair, int]]:
    """For each identifier the weight that it gives each pair: its greatest, of all sessions and degrees of proof."""
    uses: dict[Identifier, set[Use]] = defaultdict(set)
    for one in events:
        for org, kind, value in _uses_of(one):
            uses[kind, value].add((_micros(one["occurred_at"]), org))
    population = max(FEW, len({one["org_id"] for one in events}))
    found: dict[Identifier, dict[Pair, int]] = defaultdict(dict)
    for (kind, value), timeline in uses.items():
        recipe = settings.tie_kinds.get(kind)
        if recipe is not None:
            best = found[recipe.base or kind, value]
            for pair, weight in _weights(sorted(timeline), recipe, settings, population):
                best[pair] = max(best.get(pair, 0), weight)
    return found


def _uses_of(one: Event) -> Iterator[tuple[str, str, str]]:
    org = one["org_id"]
    for field, kind in EXACT.items():
        if field in one:
            yield org, kind, one[field]
    if "email" in one and (domain := one["email"].partition("@")[2]) not in PROVIDERS:
        yield org, "email_domain", domain
    if "device_id" in one and one.get("attested"):
        yield org, "device_attested", one["device_id"]
    if "phone" in one and one["event_type"] == "phone_verified":
        yield org, "phone_verified", one["phone"]
    referrer = one.get("referrer_org_id")
    code = one.get("referral_code", referrer)
    for side in (org, referrer):
        if code is not None and side is not None:
            yield side, "referral_code", code


def _weights(
    timeline: Sequence[Use], recipe: TieKind, settings: DetectionSettings, population: int
) -> Iterator[tuple[Pair, int]]:
    for session in [timeline] if recipe.strong else _sessions(timeline, recipe.gap_s * 1_000_000):
        firsts = _firsts(session)
        if not 2 <= len(firsts) <= recipe.cap:
            continue
        for place, (later, org) in enumerate(firsts):
            for earlier, other in firsts[max(0, place - settings.predecessors) : place]:
                weight = _weight(later - earlier, len(firsts), recipe, settings, population)
                if weight > 0:
                    yield (min(org, other), max(org, other)), weight


def _sessions(timeline: Iterable[Use], gap: int) -> Iterator[list[Use]]:
    session: list[Use] = []
    for use in timeline:
        if session and use[0] - session[-1][0] > gap:
            yield session
            session = []
        session.append(use)
    yield session


def _firsts(session: Iterable[Use]) -> list[Use]:
    first: dict[str, int] = {}
    for moment, org in session:
        first[org] = min(moment, first.get(org, moment))
    return sorted((moment, org) for org, moment in first.items())


def _weight(gap: int, users: int, recipe: TieKind, settings: DetectionSettings, population: int) -> int:
    if recipe.strong and gap > settings.strong_memory_s * 1_000_000:
        return 0
    floor = settings.strong_floor if recipe.strong else 0
    rarity = math.log(population / users) / math.log(population)
    decay = max(floor, math.exp(-gap / (recipe.tau_s * 1_000_000)))
    return round(WEIGHT_UNIT * recipe.prior * rarity * decay / math.sqrt(users - 1))


def _micros(text: str) -> int:
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def by_pair(rows: Iterable[Mapping[str, object]]) -> dict[Pair, int]:
    """The ties of a run's table, as `slow_ties` gives them."""
    return {(str(row["a"]), str(row["b"])): int(str(row["weight"])) for row in rows}
