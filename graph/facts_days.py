"""Event files being written: one open file a UTC day, with a bounded number of rows in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from graph.facts_schema import EVENTS, KEY, WORD

GROUP_ROWS = 65_536
MOST_BUFFERED = 400_000
MOST_OPEN = 256
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_US = 86_400_000_000
# What repeats. A dictionary of ids, times or numbers is given up again after it was built.
_REPEATING = [entry.name for entry in EVENTS if entry.type in (KEY, WORD)]


@dataclass
class DayFile:
    """A file of one day in the staging folder."""

    path: Path
    day: date
    rows: int = 0
    first_us: int = 0
    last_us: int = 0
    buffered: int = 0
    parts: list[pa.Table] = field(default_factory=list)
    writer: pq.ParquetWriter | None = None

    @property
    def first(self) -> datetime:
        """The earliest `occurred_at`."""
        return _EPOCH + timedelta(microseconds=self.first_us)

    @property
    def last(self) -> datetime:
        """The latest `occurred_at`."""
        return _EPOCH + timedelta(microseconds=self.last_us)

    def take(self, part: pa.Table, first_us: int, last_us: int) -> None:
        """Buffer some rows of the day."""
        self.first_us = min(self.first_us, first_us) if self.rows else first_us
        self.last_us = max(self.last_us, last_us) if self.rows else last_us
        self.rows += part.num_rows
        self.buffered += part.num_rows
        self.parts.append(part)

    def flush(self) -> int:
        """Write what is buffered as one row group; returns its rows."""
        written = self.buffered
        if self.writer is None:
            self.writer = pq.ParquetWriter(
                self.path,
                EVENTS,
                compression="zstd",
                compression_level=1,
                use_dictionary=_REPEATING,
                # Statistics of random keys tell nothing and cost more than half of the writing.
                write_statistics=["occurred_at"],
            )
        if written:
            self.writer.write_table(pa.concat_tables(self.parts).unify_dictionaries(), row_group_size=written)
        self.parts, self.buffered = [], 0
        return written


class DayFiles:
    """Splits events by UTC day into files of large row groups."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[int, DayFile] = {}
        self._done: list[DayFile] = []
        self._buffered = 0

    def add(self, events: pa.Table) -> None:
        """Buffer events, and write what exceeds the bounds on memory and open files."""
        if not events.num_rows:
            return
        times = events["occurred_at"].cast(pa.int64()).to_numpy()
        days = times // _DAY_US
        for number in np.unique(days):
            mask = days == number
            # A copy of its own: a slice would keep the whole batch in memory until its last day is written.
            part = events if mask.all() else events.take(pa.array(np.flatnonzero(mask)))
            here = times[mask]
            file = self._file(int(number))
            file.take(part, int(here.min()), int(here.max()))
            self._buffered += part.num_rows
            if file.buffered >= GROUP_ROWS:
                self._buffered -= file.flush()
        while self._buffered > MOST_BUFFERED:
            self._buffered -= max(self._open.values(), key=lambda file: file.buffered).flush()
        writing = [number for number, file in self._open.items() if file.writer is not None]
        for number in writing[: max(0, len(writing) - MOST_OPEN)]:
            self._close(number)

    def _file(self, number: int) -> DayFile:
        file = self._open.pop(number, None)
        if file is None:
            name = f"events-{len(self._open) + len(self._done)}-{number}.parquet"
            file = DayFile(self._folder / name, (_EPOCH + timedelta(days=number)).date())
        # Last in the order of use: the first ones of the dictionary are closed when too many are open.
        self._open[number] = file
        return file

    def _close(self, number: int) -> None:
        file = self._open.pop(number)
        self._buffered -= file.flush()
        if file.writer is not None:
            file.writer.close()
            file.writer = None
        self._done.append(file)

    def finish(self) -> list[DayFile]:
        """Write and close everything; the files in order of day."""
        for number in list(self._open):
            self._close(number)
        return sorted(self._done, key=lambda file: (file.day, file.path.name))

    def discard(self) -> None:
        """Close everything without caring what becomes of it."""
        for file in self._open.values():
            file.parts = []
            if file.writer is not None:
                try:
                    file.writer.close()
                except OSError:
                    continue
        self._open, self._done, self._buffered = {}, [], 0
