"""The tables of the run that is shown, in memory and indexed, so that a question reads only its own rows.

A run of a million organizations has some 10^5 members and 10^6 reasons: a few hundred megabytes at most, read once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from api.answers.reading import Row, RunReader

Integers = npt.NDArray[np.int64]
SCALE = 1_000_000
"""Weights are stored in millionths."""


class Vocabulary:
    """Distinct texts in order; each has a place."""

    def __init__(self, texts: pa.ChunkedArray) -> None:
        distinct = pc.unique(texts).drop_null()
        self._texts: pa.Array = distinct.take(pc.sort_indices(distinct))

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, place: int) -> str:
        return str(self._texts[place].as_py())

    def place(self, text: str) -> int | None:
        """Where a text is, or None."""
        at = bisect_left(self, text)
        return at if at < len(self) and self[at] == text else None

    def places(self, texts: pa.ChunkedArray) -> Integers:
        """The places of many texts; -1 for null and for what is not in it."""
        found = pc.index_in(texts, value_set=self._texts)
        return np.asarray(pc.fill_null(found, -1).to_numpy()).astype(np.int64)


class Grouped:
    """A table by the text of one column: the rows of a group lie together, in a given order."""

    def __init__(self, table: pa.Table, by: str, order: Sequence[tuple[str, str]] = ()) -> None:
        self._names = Vocabulary(table[by])
        self._table = table.sort_by([(by, "ascending"), *order]) if table.num_rows else table
        places = self._names.places(self._table[by])
        self._ends = np.searchsorted(places, np.arange(len(self._names) + 1))

    def rows(self, name: str) -> pa.Table:
        """The rows of a group; none for an unknown one."""
        at = self._names.place(name)
        if at is None:
            return self._table.slice(0, 0)
        first, last = int(self._ends[at]), int(self._ends[at + 1])
        return self._table.slice(first, last - first)


@dataclass(frozen=True)
class Step:
    """A tie as a step from one organization to another; `weight` 1 is a fresh private card."""

    source: str
    target: str
    weight: float


class TieIndex:
    """All ties of a run by organization, the strongest first, and the reasons of each."""

    def __init__(self, ties: pa.Table, reasons: pa.Table) -> None:
        self.names = Vocabulary(pa.chunked_array([*ties["a"].chunks, *ties["b"].chunks], pa.string()))
        self._clusters = Vocabulary(ties["cluster_id"])
        a, b = self.names.places(ties["a"]), self.names.places(ties["b"])
        weight = np.asarray(ties["weight"].to_numpy()).astype(np.int64)
        cluster = self._clusters.places(ties["cluster_id"])
        source, target = np.concatenate([a, b]), np.concatenate([b, a])
        weights = np.concatenate([weight, weight])
        order = np.lexsort((target, -weights, source))
        self._target, self._weight = target[order], weights[order]
        self._cluster = np.concatenate([cluster, cluster])[order]
        self._ends = np.searchsorted(source[order], np.arange(len(self.names) + 1))
        self._index_reasons(reasons)

    def _index_reasons(self, reasons: pa.Table) -> None:
        a, b = self.names.places(reasons["a"]), self.names.places(reasons["b"])
        pairs = self._pairs(np.minimum(a, b), np.maximum(a, b))
        order = np.argsort(pairs, kind="stable")
        self._pair = pairs[order]
        self._reasons = reasons.drop_columns(["a", "b"]).take(pa.array(order)) if len(order) else reasons
        self._flipped = (a > b)[order]

    def of(self, organization: str, limit: int) -> tuple[list[Step], int]:
        """The strongest ties of an organization, and how many it has."""
        at = self.names.place(organization)
        if at is None:
            return [], 0
        first, last = int(self._ends[at]), int(self._ends[at + 1])
        shown = range(first, min(last, first + limit))
        return [self._step(at, place) for place in shown], last - first

    def reasons(self, a: str, b: str) -> list[Row]:
        """Why two are tied: rows of the run's `reasons`, `a_at` and `b_at` of the two as they are asked for."""
        one, other = self.names.place(a), self.names.place(b)
        if one is None or other is None:
            return []
        pair = int(self._pairs(np.int64(min(one, other)), np.int64(max(one, other))))
        first, last = (int(np.searchsorted(self._pair, pair, side)) for side in ("left", "right"))
        rows: list[Row] = self._reasons.slice(first, last - first).to_pylist()
        stored = self._flipped[first:last]
        return [
            row | {"a_at": row["b_at"], "b_at": row["a_at"]} if bool(flipped) != (one > other) else row
            for row, flipped in zip(rows, stored, strict=True)
        ]

    def path(self, start: str, goal: str, cluster_id: str | None, farthest: int) -> list[Step]:
        """The shortest way of at most `farthest` ties, through one cluster only if one is named; else empty."""
        first, last = self.names.place(start), self.names.place(goal)
        scope = None if cluster_id is None else self._clusters.place(cluster_id)
        if first is None or last is None or (cluster_id is not None and scope is None):
            return []
        came = np.full(len(self.names), -1, np.int64)
        came[first] = len(self._target)  # a mark that no tie has
        frontier = np.array([first], np.int64)
        for _ in range(farthest):
            frontier = self._reach(frontier, came, scope)
            if came[last] >= 0:
                return self._walk_back(came, first, last)
            if not len(frontier):
                break
        return []

    def _reach(self, frontier: Integers, came: Integers, scope: int | None) -> Integers:
        """The organizations one tie away that nothing led to before; `came` gets the tie that leads to each."""
        begin, end = self._ends[frontier], self._ends[frontier + 1]
        ties = _ranges(begin, end)
        if scope is not None:
            ties = ties[self._cluster[ties] == scope]
        ties = ties[came[self._target[ties]] < 0]
        ties = ties[np.argsort(-self._weight[ties], kind="stable")]
        fresh, where = np.unique(self._target[ties], return_index=True)
        came[fresh] = ties[where]
        return fresh

    def _walk_back(self, came: Integers, first: int, last: int) -> list[Step]:
        steps: list[Step] = []
        here = last
        while here != first:
            tie = int(came[here])
            before = int(np.searchsorted(self._ends, tie, "right")) - 1
            steps.append(self._step(before, tie))
            here = before
        return steps[::-1]

    def _step(self, source: int, tie: int) -> Step:
        target = int(self._target[tie])
        return Step(self.names[source], self.names[target], float(self._weight[tie]) / SCALE)

    def _pairs(self, low: Integers | np.int64, high: Integers | np.int64) -> Integers:
        return np.asarray(low * np.int64(len(self.names) + 1) + high)


def _ranges(begin: Integers, end: Integers) -> Integers:
    """All whole numbers of several half-open ranges."""
    sizes = end - begin
    starts = np.repeat(begin - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes)
    return np.asarray(starts + np.arange(int(sizes.sum())))


_MEMBER_ORDER = (("member_risk", "descending"), ("org_id", "ascending"))
_ROW_COLUMNS = ["cluster_id", "signal", "org_id", "kind", "key", "happened_at", "count"]


@dataclass(frozen=True)
class Resident:
    """The current run in memory."""

    run_id: str
    as_of: datetime
    organizations: int
    members: Grouped
    evidence_rows: Grouped
    ties: TieIndex

    @classmethod
    def load(cls, run: RunReader) -> Resident:
        """Read and index a run's tables. Raises RingfenceError where one cannot be read."""
        manifest = run.files.manifest
        rows = run.table("evidence_rows")
        if not set(_ROW_COLUMNS) <= set(rows.column_names):  # a run that kept no rows behind its evidence
            rows = _no_rows()
        return cls(
            run_id=manifest.run_id,
            as_of=manifest.as_of,
            organizations=run.count("organizations"),
            members=Grouped(run.table("members"), "cluster_id", _MEMBER_ORDER),
            evidence_rows=Grouped(rows.select(_ROW_COLUMNS), "cluster_id", (("happened_at", "ascending"),)),
            ties=TieIndex(run.table("ties"), run.table("reasons")),
        )


def _no_rows() -> pa.Table:
    moment = pa.timestamp("us", tz="UTC")
    types = [*[pa.string()] * 4, pa.binary(16), moment, pa.int64()]
    return pa.table({name: pa.array([], kind) for name, kind in zip(_ROW_COLUMNS, types, strict=True)})
