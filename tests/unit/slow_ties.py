"""Ties by the definition (docs/adr/0009-calibrated-ties.md), one step after another in plain Python.

Knows nothing of tables, partial aggregates or keys: events in, weights out.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from worlds import Event

from detection.settings import LOG_ODDS, WEIGHT_UNIT, DetectionSettings, TieKind

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
    "consumer_id": "consumer",
}
PROVIDERS = {"gmail.com"}
MANY_CARDS = {"prepaid", "virtual"}


def slow_ties(events: Sequence[Event], settings: DetectionSettings) -> dict[Pair, int]:
    """The weight of each tied pair of organizations, in millionths: the strongest of each family, less the prior."""
    strongest: dict[Pair, dict[str, int]] = defaultdict(dict)
    proper: set[Pair] = set()
    for (base, _), weights in slow_reasons(events, settings).items():
        kind = settings.tie_kinds[base]
        for pair, weight in weights.items():
            families = strongest[pair]
            families[kind.family] = max(families.get(kind.family, 0), weight)
            if kind.counts:
                proper.add(pair)
    total = {
        pair: sum(families.values()) + round(settings.tie_prior * WEIGHT_UNIT / LOG_ODDS)
        for pair, families in strongest.items()
        if pair in proper or len(families) > 1
    }
    least = round(settings.min_weight * WEIGHT_UNIT)
    return {pair: weight for pair, weight in total.items() if weight >= least}


def slow_reasons(events: Sequence[Event], settings: DetectionSettings) -> dict[Identifier, dict[Pair, int]]:
    """For each identifier what it says of each pair: the most, of all sessions and degrees of proof."""
    uses: dict[Identifier, set[Use]] = defaultdict(set)
    for one in events:
        for org, kind, value in _uses_of(one):
            uses[kind, value].add((_micros(one["occurred_at"]), org))
    found: dict[Identifier, dict[Pair, int]] = defaultdict(dict)
    for (kind, value), timeline in uses.items():
        recipe = settings.tie_kinds.get(kind)
        if recipe is not None:
            best = found[recipe.base or kind, value]
            for pair, weight in _weights(sorted(timeline), recipe, settings):
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
    if "payment_bin" in one and one.get("payment_kind") in MANY_CARDS:
        yield org, "payment_bin", f"{one['payment_bin']} {one['payment_kind']}"
    referrer = one.get("referrer_org_id")
    code = one.get("referral_code", referrer)
    for side in (org, referrer):
        if code is not None and side is not None:
            yield side, "referral_code", code


def _weights(
    timeline: Sequence[Use], recipe: TieKind, settings: DetectionSettings
) -> Iterator[tuple[Pair, int]]:
    for session in [timeline] if recipe.strong else _sessions(timeline, recipe.gap_s * 1_000_000):
        firsts = _firsts(session)
        if not 2 <= len(firsts) <= recipe.cap:
            continue
        for place, (later, org) in enumerate(firsts):
            for earlier, other in firsts[max(0, place - settings.predecessors) : place]:
                weight = _weight(later - earlier, len(firsts), recipe, settings)
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


def _weight(gap: int, users: int, recipe: TieKind, settings: DetectionSettings) -> int:
    if gap > settings.memory_s * 1_000_000:
        return 0
    hours = gap / 3_600_000_000
    said = recipe.evidence - recipe.fade * math.log(1 + hours) - recipe.crowd * math.log(users - 1)
    return round(WEIGHT_UNIT / LOG_ODDS * said)


def _micros(text: str) -> int:
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def by_pair(rows: Iterable[Mapping[str, object]]) -> dict[Pair, int]:
    """The ties of a run's table, as `slow_ties` gives them."""
    return {(str(row["a"]), str(row["b"])): int(str(row["weight"])) for row in rows}
