"""A home of its own that learns the facts of others in the order in which they arrived.

What a run at a past moment could know is what had arrived by then, and nothing else: so the facts are handed over
step by step, and detection runs as it always does. Nothing is written to the homes that are read.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from graph.durable import write_atomically
from graph.facts import EventFile, FactsReader
from graph.facts_commits import Draft, commit_name, encode
from graph.home import Home
from sim.metrics import Flags, Integers
from sim.replay.steps import DAY

LeaveOut = Callable[[pa.Table], Flags]
"""Which rows of a table of events are to be withheld from detection."""
CONFIGURATION = ("networks", "detectors")
"""What of a home shapes its runs, beside the facts and the settings."""
LEARNED = "scorecards"
"""What it learned from labels."""


def moment(at: int) -> datetime:
    """Microseconds since 1970 as a time in UTC."""
    return datetime.fromtimestamp(at // 1_000_000, UTC).replace(microsecond=at % 1_000_000)


def known_at(occurred: Integers, ingested: Integers) -> Integers:
    """When each event was known: on arrival, or, loaded more than a day late as history is, when it happened."""
    history = ingested - occurred > DAY
    return np.where(history, occurred, np.maximum(occurred, ingested))


@dataclass(frozen=True)
class _Source:
    """A file of events, and the span in which its rows became known (µs)."""

    file: EventFile
    first: int
    last: int


Entry = tuple[str, date, int, datetime, datetime]
"""A file of events as a commit names it: path, day, rows, first and last `occurred_at`."""


class Feed:
    """Hands facts over to the home `target`, which is made; `leave_out` withholds rows from it.

    The first home's network tables and detectors count, too, and, unless rows are withheld, its trained scorecard.
    """

    def __init__(self, homes: Sequence[Home], target: Home, leave_out: LeaveOut | None = None) -> None:
        self._homes = homes
        self._target = target
        self._leave_out = leave_out
        self._sources: dict[Path, _Source] = {}
        self._values: set[Path] = set()
        self._open: dict[Path, tuple[pa.Table, Integers]] = {}
        self._until = -(2**62)
        self._commits = itertools.count(1)
        self._files = itertools.count(1)
        (target.facts / "events").mkdir(parents=True)
        (target.facts / "values").mkdir()
        shaping = CONFIGURATION if leave_out else (*CONFIGURATION, LEARNED)
        for entry in (homes[0].path / name for name in shaping):
            if entry.is_dir():
                shutil.copytree(entry, target.path / entry.name)
            elif entry.exists():
                shutil.copy2(entry, target.path / entry.name)

    def advance(self, until: int) -> int:
        """Hand over everything known after the last call, up to and with `until` (µs); returns how many events."""
        number = next(self._commits)
        draft = Draft(f"replay-{number:06d}", number, moment(until), [])
        for source in self._pending(until):
            whole = self._leave_out is None and source.first > self._until and source.last <= until
            entries = self._link(source) if whole else self._cut(source, until)
            draft.events.extend(entries)
        draft.values.extend(self._new_values())
        self._until = until
        self._open = {path: held for path, held in self._open.items() if self._sources[path].last > until}
        rows = sum(entry[2] for entry in draft.events)
        if rows or draft.values:
            name = commit_name(draft.sequence, draft.ingest)
            write_atomically(self._target.facts / "commits" / name, encode(draft))
        return rows

    def _pending(self, until: int) -> Iterator[_Source]:
        for home in self._homes:
            for file in FactsReader(home).event_files():
                if file.path not in self._sources:
                    self._sources[file.path] = _source(file)
        for source in self._sources.values():
            if source.first <= until and source.last > self._until:
                yield source

    def _link(self, source: _Source) -> list[Entry]:
        file = source.file
        name = self._name(file.day)
        _link(file.path, self._target.facts / name)
        return [(name, file.day, file.rows, file.first, file.last)]

    def _cut(self, source: _Source, until: int) -> list[Entry]:
        path, day = source.file.path, source.file.day
        if path not in self._open:
            table = pq.read_table(path)
            if self._leave_out is not None:
                table = table.filter(pa.array(~self._leave_out(table)))
            known = known_at(micros(table, "occurred_at"), micros(table, "ingested_at"))
            self._open[path] = (table, known)
        table, known = self._open[path]
        rows = table.filter(pa.array((known > self._until) & (known <= until)))
        if not rows.num_rows:
            return []
        name = self._name(day)
        pq.write_table(rows, self._target.facts / name, compression="zstd", compression_level=1)
        occurred = micros(rows, "occurred_at")
        return [(name, day, rows.num_rows, moment(int(occurred.min())), moment(int(occurred.max())))]

    def _name(self, day: date) -> str:
        return f"events/{day.isoformat()}-{next(self._files):06d}.parquet"

    def _new_values(self) -> list[str]:
        names = []
        for path in (path for home in self._homes for path in FactsReader(home).value_files()):
            if path not in self._values:
                self._values.add(path)
                names.append(f"values/{len(self._values):06d}.parquet")
                _link(path, self._target.facts / names[-1])
        return names


def _source(file: EventFile) -> _Source:
    """The span in which a file's rows became known, from its footer alone where that tells."""
    first, last = epoch(file.first), epoch(file.last)
    earliest, latest = _arrivals(file.path)
    if earliest - last > DAY:
        return _Source(file, first, last)
    return _Source(file, first, max(last, min(latest, last + DAY)))


def _arrivals(path: Path) -> tuple[int, int]:
    """The earliest and the latest `ingested_at` of a file."""
    with pq.ParquetFile(path) as opened:
        place = opened.schema.names.index("ingested_at")
        groups = range(opened.metadata.num_row_groups)
        spans = [opened.metadata.row_group(group).column(place).statistics for group in groups]
        if spans and all(span is not None and span.has_min_max for span in spans):
            return min(epoch(span.min) for span in spans), max(epoch(span.max) for span in spans)
        values = micros(opened.read(columns=["ingested_at"]), "ingested_at")
    return int(values.min()), int(values.max())


def micros(table: pa.Table, name: str) -> Integers:
    """A column of times as microseconds since 1970; it must hold no nulls."""
    return np.asarray(pc.cast(table.column(name), pa.int64()).to_numpy(), dtype=np.int64)


def epoch(at: datetime) -> int:
    """A time as microseconds since 1970, exactly."""
    delta = at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def _link(source: Path, target: Path) -> None:
    """The same bytes under another name; facts are never changed in place, so a link is a copy."""
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)
