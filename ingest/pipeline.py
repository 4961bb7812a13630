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
from ingest.sources.rows import Task
from ingest.work import Outcome, Plan, process

SMALL = 50_000
"""Rows that are done in this process first: starting workers takes longer than these."""
_AHEAD = 1


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

    def run(self, plan: Plan, tasks: Iterable[Task]) -> Iterator[tuple[Task, Outcome]]:
        """Each task with its outcome. One input has one epoch unit, that of its first piece which has any."""
        unit = plan.unit()
        # At every input: what was laid down for one that was given up may be gone, with the folder.
        self._folder.mkdir(parents=True, exist_ok=True)
        flying: deque[tuple[Task, Future[Parcel] | None]] = deque()
        for task in tasks:
            flying.append((task, self._submit(plan, task, unit)))
            # What runs in this process runs when its turn comes, so it may not wait for others to be read.
            while flying and (flying[0][1] is None or len(flying) > self._workers + _AHEAD):
                done, outcome, unit = self._next(plan, flying, unit)
                yield done, outcome
        while flying:
            done, outcome, unit = self._next(plan, flying, unit)
            yield done, outcome

    def _submit(self, plan: Plan, task: Task, unit: str | None) -> Future[Parcel] | None:
        if not self._workers or self._seen < SMALL:
            return None
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._workers, multiprocessing.get_context("spawn"), initializer=_begin_work
            )
        try:
            return self._pool.submit(_work, plan, task, unit, self._folder)
        except BrokenProcessPool as error:
            raise _ended() from error

    def _next(
        self, plan: Plan, flying: deque[tuple[Task, Future[Parcel] | None]], unit: str | None
    ) -> tuple[Task, Outcome, str | None]:
        task, future = flying.popleft()
        try:
            outcome = process(plan, task, unit, {}) if future is None else _unpack(future.result())
        except BrokenProcessPool as error:
            raise _ended() from error
        if unit is not None and outcome.epoch_unit not in (None, unit):
            outcome = process(plan, task, unit, {})
        self._seen += outcome.records
        return task, outcome, unit or outcome.epoch_unit

    def close(self) -> None:
        """End the workers; what is on its way is given up."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
        shutil.rmtree(self._folder, ignore_errors=True)


@dataclass(frozen=True)
class Parcel:
    """An outcome whose tables, the bulk of it, lie in a file: through a pipe they would take as long as the work."""

    outcome: Outcome
    tables: Path


def _work(plan: Plan, task: Task, unit: str | None, folder: Path) -> Parcel:
    outcome = process(plan, task, unit, {})
    path = folder / f"{os.getpid()}-{secrets.token_hex(8)}.arrows"
    with pa.OSFile(str(path), "wb") as file:
        for table in (outcome.events, outcome.values):
            with pa.ipc.new_stream(file, table.schema) as stream:
                stream.write_table(table.unify_dictionaries())
    return Parcel(replace(outcome, events=EVENTS.empty_table(), values=VALUES.empty_table()), path)


def _unpack(parcel: Parcel) -> Outcome:
    # Read, not mapped: a few rows that wait for more of their day would keep the whole mapping.
    with pa.OSFile(str(parcel.tables)) as file:
        events, values = (pa.ipc.open_stream(file).read_all() for _ in range(2))
    parcel.tables.unlink()
    return replace(parcel.outcome, events=events, values=values)


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
