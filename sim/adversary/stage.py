"""The events of rings as a stream that can still change: what has not happened yet may be cancelled, moved or added."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sim.baselines import positions
from sim.metrics import LEGITIMATE, Flags, Floats, Integers
from sim.replay.consumption import millionths
from sim.replay.enforcement import NEVER, Usage
from sim.replay.feed import micros

OPENING = "organization_created"


class Stage:
    """Organizations with their events, `at` (µs) each; a cancelled event has the time `NEVER`.

    `org_ids`, `rings` and `signed_up` have an entry for every organization, in the order in which they joined.
    """

    def __init__(self) -> None:
        self.org_ids: list[str] = []
        self.rings: Integers = np.empty(0, dtype=np.int64)
        self._events: pa.Table | None = None
        self.org: Integers = np.empty(0, dtype=np.int64)
        self.at: Integers = np.empty(0, dtype=np.int64)
        self._cost: Integers = np.empty(0, dtype=np.int64)
        self._opens: Flags = np.empty(0, dtype=np.bool_)

    def join(self, org_ids: list[str], ring: Integers, events: pa.Table, org: Integers, at: Integers) -> None:
        """Add organizations and their events; `org` counts within `org_ids`."""
        first = len(self.org_ids)
        self.org_ids += org_ids
        self.rings = np.concatenate([self.rings, ring])
        self._events = events if self._events is None else pa.concat_tables([self._events, events])
        self.org = np.concatenate([self.org, org + first])
        self.at = np.concatenate([self.at, at])
        kind = events.column("event_type").cast(pa.string())
        used = np.asarray(pc.equal(kind, "inference").to_numpy(), dtype=np.bool_)
        self._cost = np.concatenate([self._cost, millionths(events.column("cost_usd")) * used])
        self._opens = np.concatenate(
            [self._opens, np.asarray(pc.equal(kind, OPENING).to_numpy(), dtype=np.bool_)]
        )

    @property
    def signed_up(self) -> Integers:
        """When each organization signs up; `NEVER` for those who will not."""
        at = np.full(len(self.org_ids), NEVER, dtype=np.int64)
        np.minimum.at(at, self.org[self._opens], self.at[self._opens])
        return at

    def between(self, start: int, end: int) -> pa.Table:
        """The events after `start`, up to and with `end`, as the simulator writes them, by time."""
        if self._events is None:
            raise ValueError("nobody is on stage")
        rows = np.flatnonzero((self.at > start) & (self.at <= end))
        rows = rows[np.argsort(self.at[rows], kind="stable")]
        taken = self._events.take(pa.array(rows))
        moved = pa.array(self.at[rows]).cast(pa.timestamp("us", "UTC"))
        return taken.set_column(taken.column_names.index("occurred_at"), "occurred_at", moved)

    def usage(self) -> Usage:
        """Consumption as it is now: what was, and what is still to come."""
        counted = (self._cost > 0) & (self.at != NEVER)
        return Usage(self.org[counted], self.at[counted], self._cost[counted])

    def left_to_use(self, orgs: Integers, since: int) -> Floats:
        """The share of each organization's consumption that is still to come at a moment; 0 where there is none."""
        used = self.usage()
        count = len(self.org_ids)
        total = np.bincount(used.org, weights=used.cost, minlength=count)[orgs]
        later = np.bincount(used.org, weights=used.cost * (used.at >= since), minlength=count)[orgs]
        return np.divide(later, total, out=np.zeros(len(orgs)), where=total > 0)

    def values(self, column: str, organizations: Integers) -> list[str]:
        """The distinct values that organizations have, or would have had, in a column."""
        if self._events is None:
            return []
        rows = self._events.filter(pa.array(np.isin(self.org, organizations)))
        return sorted(pc.unique(rows.column(column).cast(pa.string()).drop_null()).to_pylist())


@dataclass(frozen=True)
class Cast:
    """Organizations of rings with their events, as they were written: to be put on a stage, or kept in reserve."""

    org_ids: list[str]
    rings: Integers
    levels: list[str]
    events: pa.Table
    org: Integers
    at: Integers


def read_cast(folder: Path) -> Cast:
    """The members of rings of a simulated world, those of a ring in a row, by sign-up."""
    truth = pq.read_table(folder / "truth.parquet", columns=["org_id", "campaign", "level"])
    truth = truth.filter(pc.not_equal(truth.column("campaign"), LEGITIMATE))
    ids = truth.column("org_id").to_pylist()
    events = pq.read_table(folder / "events.parquet")
    place = positions(ids, events.column("org_id"))
    events = events.filter(pa.array(place >= 0))
    place = place[place >= 0]
    at = micros(events, "occurred_at")
    first = np.full(len(ids), NEVER, dtype=np.int64)
    np.minimum.at(first, place, at)
    rings = truth.column("campaign").to_numpy().astype(np.int64)
    order = np.lexsort((first, rings))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    levels = [str(level) for level in truth.column("level").to_pylist()]
    return Cast(
        [ids[one] for one in order],
        rings[order],
        [levels[one] for one in order],
        events,
        rank[place],
        at,
    )
