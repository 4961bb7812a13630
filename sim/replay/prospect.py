"""A replay beside a list of past bans: what would have been caught, when, how much saved, and whom it would have hit.

The list is never an input: it is laid beside what was found, and what the facts say of it (labels, and the bans
themselves) is withheld from detection.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graph.facts import FactsReader
from graph.home import Home
from sim.baselines import positions
from sim.metrics import Flags, Floats, Integers
from sim.replay import enforcement
from sim.replay.enforcement import NEVER, Usage
from sim.replay.feed import LeaveOut, moment
from sim.replay.history import Decision, History
from sim.replay.judge import DELAYS
from sim.replay.past_bans import Ban, PastBans
from sim.replay.report import (
    Covered,
    Curve,
    cover,
    covered_rows,
    curve,
    decided,
    duration,
    percent,
    share,
    state_rows,
    usd,
    without_infinities,
)
from sim.report import Row, to_plain

LABELS = ("organization_labelled", "entity_labelled")
BANS = ("organization_restricted", "organization_restored")


@dataclass(frozen=True)
class Case:
    """A listed organization: when it was banned, when it would have been stopped (None: never), and what is between.

    `lead_s` is how much earlier than the ban in seconds, negative when later; `spent` its consumption until the ban in
    USD, `saved` the part of it after the stop.
    """

    ban: Ban
    decision: Decision | None
    stopped_at: int | None
    lead_s: float | None
    spent: float
    saved: float


@dataclass(frozen=True)
class Beyond:
    """An organization that would have been stopped and is not on the list.

    `listed_in_cluster` says how many of its cluster's stopped organizations are; `after` is what it consumed after
    its stop, in USD.
    """

    decision: Decision
    stopped_at: int
    listed_in_cluster: int
    after: float


@dataclass(frozen=True)
class Caught:
    """The list after one delay: stopped before the ban, later, or never; how much earlier; how much saved (USD)."""

    name: str
    delay_s: float
    before: int
    later: int
    missed: int
    lead_p50_s: float
    lead_p90_s: float
    saved: float


@dataclass(frozen=True)
class ProspectReport:
    """What acting on this system would have meant, beside a list of past bans. Cases and figures beyond are those
    of the first delay."""

    covered: Covered
    organizations: int
    listed: int
    unknown: int
    spent: float
    caught: tuple[Caught, ...]
    cases: tuple[Case, ...]
    beyond: tuple[Beyond, ...]
    curve: Curve
    states: tuple[Mapping[str, Any], ...]
    warnings: tuple[str, ...]

    @property
    def reasons(self) -> list[tuple[str, int, int]]:
        """Reasons of bans as written, how many listed, and how many of those would have been stopped before."""
        listed = Counter(case.ban.reason for case in self.cases)
        before = Counter(
            case.ban.reason for case in self.cases if case.lead_s is not None and case.lead_s > 0
        )
        return [(reason, count, before[reason]) for reason, count in listed.most_common()]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; null where nothing could be measured."""
        plain = {
            name: to_plain(getattr(self, name))
            for name in (
                "covered",
                "organizations",
                "listed",
                "unknown",
                "spent",
                "caught",
                "curve",
                "states",
            )
        }
        plain["cases"] = [
            {
                "org_id": case.ban.org_id,
                "banned_at": moment(case.ban.at).isoformat(),
                "reason": case.ban.reason,
                "lead_s": case.lead_s,
                "spent": case.spent,
                "saved": case.saved,
                "found": None if case.decision is None else decided(case.decision, case.stopped_at or NEVER),
            }
            for case in self.cases
        ]
        plain["beyond"] = [
            {
                **decided(one.decision, one.stopped_at),
                "listed_in_cluster": one.listed_in_cluster,
                "consumed_after": one.after,
            }
            for one in self.beyond
        ]
        plain["warnings"] = list(self.warnings)
        answer: dict[str, Any] = without_infinities(plain)
        return answer

    @property
    def rows(self) -> list[Row]:
        """The same as lines of a table, in the order in which they are read."""
        return [*covered_rows(self.covered), *self._list_rows(), *self._caught_rows(), *self._beyond_rows()]

    def _list_rows(self) -> Iterator[Row]:
        note = f"of {self.organizations:,} organizations"
        yield Row("the list", "banned, and here", f"{len(self.cases):,}", note)
        if self.unknown:
            yield Row("the list", "not in this home", f"{self.unknown:,}", "or nothing of them in this time")
        yield Row("the list", "consumed before their bans", usd(self.spent), "in the time replayed")

    def _caught_rows(self) -> Iterator[Row]:
        total = len(self.cases)
        for one in self.caught:
            section = f"{one.name}: stopped {duration(one.delay_s)} after a step"
            yield Row(
                section, "stopped before the ban", percent(one.before / total), f"{one.before:,} of {total:,}"
            )
            yield Row(section, "stopped later", percent(one.later / total), f"{one.later:,}")
            yield Row(section, "never", percent(one.missed / total), f"{one.missed:,}")
            lead = f"half at least so much; a tenth at least {duration(one.lead_p90_s)}"
            yield Row(section, "earlier than the ban by", duration(one.lead_p50_s), lead)
            yield Row(section, "consumption saved", share(one.saved, self.spent), f"{usd(one.saved)}")

    def _beyond_rows(self) -> Iterator[Row]:
        section = "beyond the list"
        kin = sum(one.listed_in_cluster > 0 for one in self.beyond)
        yield Row(
            section,
            "stopped, not on the list",
            f"{len(self.beyond):,}",
            f"{kin:,} in clusters with listed ones",
        )
        after = sum(one.after for one in self.beyond)
        yield Row(section, "their consumption afterwards", usd(after), "prevented, or business lost")


def withheld(home: Home, bans: PastBans) -> LeaveOut:
    """Which events detection must not see: all labels, and what the platform did to those on the list."""
    keys = _keys(home, list(bans.bans))

    def leave_out(events: pa.Table) -> Flags:
        kind = events.column("event_type").cast(pa.string())
        listed = pc.is_in(_storage(events.column("organization")), value_set=keys)
        hidden = pc.or_(
            pc.is_in(kind, value_set=pa.array(LABELS)),
            pc.and_(pc.is_in(kind, value_set=pa.array(BANS)), listed),
        )
        return np.asarray(pc.fill_null(hidden, False).to_numpy(zero_copy_only=False), dtype=np.bool_)

    return leave_out


def compare(
    history: History,
    bans: PastBans,
    usage: Usage,
    delays: Mapping[str, int] = DELAYS,
    warnings: tuple[str, ...] = (),
) -> ProspectReport:
    """Lay a replay beside a list of bans."""
    steps = history.steps
    usage = usage.within(steps.start, steps.end)
    names = list(bans.bans)
    places = positions(history.org_ids, pa.array(names, pa.string()))
    here = {name: int(place) for name, place in zip(names, places.tolist(), strict=True) if place >= 0}
    banned = np.full(len(history.org_ids), NEVER, dtype=np.int64)
    banned[list(here.values())] = [bans.bans[name].at for name in here]
    listed = banned != NEVER
    until_ban = usage.of(listed)
    kept = until_ban.at < banned[until_ban.org]
    until_ban = Usage(until_ban.org[kept], until_ban.at[kept], until_ban.cost[kept])
    stops = enforcement.after(history.decided_at, next(iter(delays.values())))
    cases = _cases(history, bans, here, until_ban, stops)
    unknown = len(names) - len(here)
    return ProspectReport(
        covered=cover(steps, history),
        organizations=len(history.org_ids),
        listed=len(names),
        unknown=unknown,
        spent=until_ban.total / 1e6,
        caught=tuple(_caught(name, delay, history, banned, until_ban) for name, delay in delays.items()),
        cases=cases,
        beyond=_beyond(history, listed, usage, stops),
        curve=curve(until_ban, steps, stops, None),
        states=state_rows(history),
        warnings=(*bans.warnings, *warnings),
    )


def _cases(
    history: History, bans: PastBans, here: dict[str, int], until_ban: Usage, stops: Integers
) -> tuple[Case, ...]:
    spent, saved = (_by_org(until_ban, len(history.org_ids), at) for at in (None, stops))
    cases = []
    for name, place in here.items():
        stop = int(stops[place])
        ban = bans.bans[name]
        caught = stop != NEVER
        cases.append(
            Case(
                ban=ban,
                decision=history.decisions.get(name),
                stopped_at=stop if caught else None,
                lead_s=(ban.at - stop) / 1e6 if caught else None,
                spent=float(spent[place]),
                saved=float(saved[place]),
            )
        )
    return tuple(sorted(cases, key=lambda case: (-case.saved, case.ban.at, case.ban.org_id)))


def _caught(name: str, delay: int, history: History, banned: Integers, until_ban: Usage) -> Caught:
    stops = enforcement.after(history.decided_at, delay)
    listed = banned != NEVER
    lead = (banned[listed] - np.where(stops[listed] == NEVER, 0, stops[listed])) / 1e6
    stopped = stops[listed] != NEVER
    before = stopped & (lead > 0)
    return Caught(
        name=name,
        delay_s=delay / 1e6,
        before=int(before.sum()),
        later=int((stopped & ~before).sum()),
        missed=int((~stopped).sum()),
        lead_p50_s=-enforcement.quantile(-lead[before], 0.5),
        lead_p90_s=-enforcement.quantile(-lead[before], 0.1),
        saved=int(until_ban.cost[enforcement.stopped(until_ban, stops)].sum()) / 1e6,
    )


def _beyond(history: History, listed: Flags, usage: Usage, stops: Integers) -> tuple[Beyond, ...]:
    after = _by_org(usage, len(history.org_ids), stops)
    place = {name: number for number, name in enumerate(history.org_ids)}
    kin = Counter(one.cluster_id for one in history.decisions.values() if listed[place[one.org_id]])
    found = [
        Beyond(one, int(stops[place[name]]), kin[one.cluster_id], float(after[place[name]]))
        for name, one in history.decisions.items()
        if not listed[place[name]]
    ]
    return tuple(
        sorted(found, key=lambda one: (-one.decision.member_risk, one.stopped_at, one.decision.org_id))
    )


def _by_org(usage: Usage, count: int, stops: Integers | None) -> Floats:
    """Consumption by organization in USD: all, or what stops prevent."""
    cost = usage.cost if stops is None else usage.cost * enforcement.stopped(usage, stops)
    return np.bincount(usage.org, weights=cost, minlength=count) / 1e6


def _keys(home: Home, org_ids: list[str]) -> pa.Array:
    """The keys under which the facts know organizations."""
    wanted = pa.array(org_ids, pa.string())
    found = [pa.array([], pa.binary(16))]
    for path in FactsReader(home).value_files():
        table = pa.parquet.read_table(path, columns=["kind", "key", "canonical"])
        rows = pc.and_(
            pc.equal(table.column("kind").cast(pa.string()), "organization"),
            pc.is_in(table.column("canonical"), value_set=wanted),
        )
        found.append(_storage(table.filter(rows).column("key")))
    return pa.concat_arrays(found)


def _storage(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    flat = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return flat.storage if isinstance(flat, pa.ExtensionArray) else flat
