"""Doing what was decided: until one plan rests, or for as long as a process runs."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from actions import worker
from actions.ledger import plans
from actions.model import ItemState, Part, Plan, PlanState
from actions.refusals import Refusal
from actions.worker import Loop, PlanLoop, SinkLoop
from api.deciding.desk import Desk, population_of
from api.deciding.records import Records
from api.deciding.sinks import newcomers, open_sinks
from api.progress import Progress, silent
from graph.errors import RingfenceError

if TYPE_CHECKING:
    from actions.population import Population

log = logging.getLogger(__name__)
PATIENCE = 30.0
"""Seconds without anything to do after which a command leaves what is on its way to a worker."""
PAUSE = 0.2
ENDED = {ItemState.APPLIED, ItemState.FAILED, ItemState.SKIPPED, ItemState.UNKNOWN, Part.SPARED, "control"}
"""States in which a member needs nothing more now."""


@dataclass(frozen=True)
class Rest:
    """Where a plan came to rest: its members by state. `on_its_way` of them still wait for a sink."""

    plan: Plan
    tally: dict[str, int]

    @property
    def on_its_way(self) -> int:
        """Members whose effects no sink has settled yet."""
        return self.tally.get(ItemState.SENDING, 0)

    @property
    def holding(self) -> bool:
        """Whether it waits for its next wave."""
        return self.plan.state is PlanState.EXECUTING and self.plan.hold_until is not None


def work(
    desk: Desk,
    plan_id: str,
    progress: Progress = silent,
    *,
    patience: float = PATIENCE,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Rest:
    """Be the worker until a plan has ended, paused, or begun to hold; what was applied is then recorded, too.

    A sink that does not answer for `patience` seconds is left to the next worker.
    """
    loops, records = _loops(desk, monotonic), Records(desk)
    idle_since = monotonic()
    while True:
        done = sum(loop.turn() for loop in loops)
        rest = at_rest(desk, plan_id)
        total = sum(rest.tally.values())
        progress("apply", sum(count for state, count in rest.tally.items() if state in ENDED), total)
        if done:
            idle_since = monotonic()
            continue
        if _rests(desk, rest) or monotonic() - idle_since >= patience:
            break
        sleep(PAUSE)
    progress("record", 0, None)
    while records.turn():
        pass
    return at_rest(desk, plan_id)


def once(desk: Desk, stop: threading.Event) -> int:
    """Do all that can be done now, of every plan, or until `stop`; how much it was.

    What holds, or is to be tried again later, is left to the next time.
    """
    loops, records = _loops(desk, time.monotonic), Records(desk)
    total = 0
    while not stop.is_set():
        done = sum(loop.turn() for loop in loops) + records.turn()
        if not done:
            break
        total += done
    return total


def _loops(desk: Desk, monotonic: Callable[[], float]) -> list[Loop]:
    loops: list[Loop] = [PlanLoop(desk.ledger, populations(desk), holder(), desk.signer, monotonic)]
    return loops + [SinkLoop(desk.ledger, sink, holder(), monotonic) for sink in open_sinks(desk)]


def at_rest(desk: Desk, plan_id: str) -> Rest:
    """A plan and its members by state, as they are now."""
    with desk.ledger.reading() as reading:
        return Rest(plans.get(reading, plan_id), plans.tally(reading, plan_id))


def _rests(desk: Desk, rest: Rest) -> bool:
    plan = rest.plan
    if plan.state is not PlanState.EXECUTING:
        return not rest.on_its_way
    return plan.hold_until is not None and desk.ledger.clock() < plan.hold_until


def run(desk: Desk, stop: threading.Event, alive: Callable[[], None] = lambda: None) -> None:
    """Be a worker until `stop`: plans, every sink, and the records. Raises what a loop could not get over.

    `alive` is called every few seconds while none is stuck.
    """
    records = Records(desk)
    failures: list[BaseException] = []

    def record() -> None:
        try:
            while not stop.is_set():
                if not _recorded(records):
                    stop.wait(desk.ledger.settings.outbox.poll_max.total_seconds())
        except BaseException as error:  # whatever it is, the whole process has to know
            failures.append(error)
            stop.set()

    recording = threading.Thread(target=record, name=RECORDING)
    recording.start()
    try:
        worker.run(
            desk.ledger,
            populations(desk),
            newcomers(desk),
            holder=holder(),
            stop=stop,
            signer=desk.signer,
            alive=alive,
        )
    finally:
        stop.set()
        recording.join()
    if failures:
        raise failures[0]


def _recorded(records: Records) -> int:
    try:
        return records.turn()
    except Refusal as refusal:  # the ledger cannot be reached: later
        log.warning("%s: %s", RECORDING, refusal.message)
        return 0


RECORDING = "records"


def holder() -> str:
    """This process, as leases name it."""
    return f"{socket.gethostname()}:{os.getpid()}"


def populations(desk: Desk) -> Callable[[], Population]:
    """The population of whichever run serves when it is asked for; each run is opened once."""
    from detection.runs import Runs

    runs = Runs(desk.home)

    @lru_cache(maxsize=1)
    def of_run(run_id: str) -> Population:
        return population_of(desk.home, runs.open(run_id))

    def current() -> Population:
        run_id = runs.current()
        if run_id is None:
            raise RingfenceError("there is no run yet", "Ingest events, then run: ringfence run", exit_code=3)
        return of_run(run_id)

    return current
