"""Pieces of inputs through worker processes and back, in order, with a bounded number on their way."""

from __future__ import annotations

import multiprocessing
import multiprocessing.process
import os
import secrets
import shutil
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from graph.errors import RingfenceError
from graph.facts_schema import EVENTS, VALUES
from ingest.sources.parquet import ParquetTask
from ingest.sources.rows import Task
from ingest.work import Outcome, Plan, process

SMALL = 50_000
"""Rows that are done in this process first: starting workers takes longer than these."""
_AHEAD = 3


def _ended() -> RingfenceError:
    return RingfenceError(
        "a worker process ended before its work was done (perhaps the system ran out of memory)",
        "Run the same command again, with workers = 1 or 0 if it happens twice.",
    )


class Pipeline:
    """Runs `process` on tasks. Results come in the order of the tasks, whatever worker was faster."""

    def __init__(self, workers: int, folder: Path) -> None:
        """`folder`, which need not exist, is where workers lay their results down."""
        self._workers = workers
        self._folder = folder
        self._seen = 0
        self._pool: ProcessPoolExecutor | None = None

    def run(self, plan: Plan, tasks: Iterable[Task]) -> Iterator[Piece]:
        """What became of each task. One input has one epoch unit, that of its first piece which has any."""
        unit = plan.unit()
        # At every input: what was laid down for one that was given up may be gone, with the folder.
        self._folder.mkdir(parents=True, exist_ok=True)
        flying: deque[tuple[Task, Future[Parcel] | None]] = deque()
        for task in tasks:
            flying.append((task, self._submit(plan, task, unit)))
            # What runs in this process runs when its turn comes, so it may not wait for others to be read.
            while flying and (flying[0][1] is None or len(flying) > self._workers + _AHEAD):
                piece, unit = self._next(plan, flying, unit)
                yield piece
        while flying:
            piece, unit = self._next(plan, flying, unit)
            yield piece

    def _submit(self, plan: Plan, task: Task, unit: str | None) -> Future[Parcel] | None:
        if not self._workers or self._seen < SMALL:
            return None
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._workers, multiprocessing.get_context("spawn"), initializer=_begin_work
            )
        sent: Task = task
        if isinstance(task, ParquetTask):
            sent = task.put_down(self._folder / f"{secrets.token_hex(8)}.rows")
        try:
            return self._pool.submit(_work, plan, sent, unit, self._folder)
        except BrokenProcessPool as error:
            raise _ended() from error

    def _next(
        self, plan: Plan, flying: deque[tuple[Task, Future[Parcel] | None]], unit: str | None
    ) -> tuple[Piece, str | None]:
        task, future = flying.popleft()
        try:
            parcel = None if future is None else future.result()
        except BrokenProcessPool as error:
            raise _ended() from error
        outcome = process(plan, task, unit, {}) if parcel is None else parcel.outcome
        if unit is not None and outcome.epoch_unit not in (None, unit):
            outcome, parcel = process(plan, task, unit, {}), None
        self._seen += outcome.records
        return Piece(task, outcome, parcel), unit or outcome.epoch_unit

    def close(self) -> None:
        """End the workers; what is on its way is given up."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
        shutil.rmtree(self._folder, ignore_errors=True)


@dataclass(frozen=True)
class Parcel:
    """An outcome whose tables, the bulk of it, lie in a file: through a pipe they would take as long as the work.

    `rows` are those of its events and of its values. Columns without any value are left out of the file.
    """

    outcome: Outcome
    tables: Path
    rows: tuple[int, int]


@dataclass(frozen=True)
class Piece:
    """A task that is done. Its tables stay where they lie until `whole` asks for them, once."""

    task: Task
    outcome: Outcome
    parcel: Parcel | None

    def whole(self) -> Outcome:
        """The outcome with its tables."""
        return self.outcome if self.parcel is None else _unpack(self.parcel)


def _work(plan: Plan, task: Task, unit: str | None, folder: Path) -> Parcel:
    outcome = process(plan, task, unit, {})
    path = folder / f"{os.getpid()}-{secrets.token_hex(8)}.arrows"
    with pa.OSFile(str(path), "wb") as file:
        for table in (outcome.events, outcome.values):
            filled = table.select(
                [name for name in table.column_names if table[name].null_count < len(table)]
            )
            with pa.ipc.new_stream(file, filled.schema) as stream:
                stream.write_table(filled.unify_dictionaries())
    bare = replace(outcome, events=EVENTS.empty_table(), values=VALUES.empty_table())
    return Parcel(bare, path, (outcome.events.num_rows, outcome.values.num_rows))


def _unpack(parcel: Parcel) -> Outcome:
    # Read, not mapped: a few rows that wait for more of their day would keep the whole mapping.
    with pa.OSFile(str(parcel.tables)) as file:
        events, values = (pa.ipc.open_stream(file).read_all() for _ in range(2))
    parcel.tables.unlink()
    of_events, of_values = parcel.rows
    return replace(
        parcel.outcome,
        events=_completed(events, EVENTS, of_events),
        values=_completed(values, VALUES, of_values),
    )


def _completed(table: pa.Table, schema: pa.Schema, rows: int) -> pa.Table:
    """The table with the columns that were left out because nothing was in them."""
    given = set(table.column_names)
    columns = [table[entry.name] if entry.name in given else pa.nulls(rows, entry.type) for entry in schema]
    return pa.Table.from_arrays(columns, schema=schema)


@contextmanager
def frugal() -> Iterator[None]:
    """Let Arrow use the system's allocator meanwhile: slower than its own, but it gives back what is freed."""
    before = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(before)


def _begin_work() -> None:
    """Have this worker end when its parent is killed: nobody else would tell it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_outlive_nobody, args=(parent,), daemon=True).start()


def _outlive_nobody(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
