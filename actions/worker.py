"""The process that turns decisions into effects: one loop for plans, one for each sink.

Loops poll with backoff. Each works under a lease; a loop that lost it stands by, watching its successor's heartbeat on
its own monotonic clock, and takes over when that stands still.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from actions import expiry, idempotency, outbox, waves
from actions.audit import Signer, checkpoint, unsigned
from actions.ledger import Ledger, deliveries, plans, releases
from actions.ledger.deliveries import Lease
from actions.model import Kind, PlanState
from actions.population import Population, UnknownPopulation
from actions.refusals import Refusal
from actions.sinks import Sink
from graph.errors import RingfenceError

log = logging.getLogger(__name__)
PLANS = "plans"
SYSTEM = "system:worker"
HOUR = 3_600
LOOK = 5.0
"""Seconds after which the worker looks for new sinks, and says that it lives."""
STUCK = 120.0
"""Seconds without the end of a turn after which a loop is stuck: several attempts of a sink that does not answer."""
Monotonic = Callable[[], float]


def run(
    ledger: Ledger,
    population: Callable[[], Population],
    sinks: Sequence[Sink] | Callable[[], Sequence[Sink]],
    *,
    holder: str,
    stop: threading.Event,
    signer: Signer | None = None,
    monotonic: Monotonic = time.monotonic,
    alive: Callable[[], None] = lambda: None,
) -> None:
    """Work until `stop` is set; what is being sent then is settled first. Raises what a loop could not get over.

    `population` returns the run that serves now; `holder` names this process in leases. `sinks` may be asked for over
    and over: one whose name was not there before gets a loop of its own. `alive` is called every few seconds while no
    loop is stuck.
    """
    found = sinks() if callable(sinks) else sinks
    crew = Crew(stop)
    crew.start(PlanLoop(ledger, population, holder, signer, monotonic))
    try:
        while True:
            for sink in found:
                crew.start(SinkLoop(ledger, sink, holder, monotonic))
            if crew.moves(monotonic()):
                alive()
            if stop.wait(LOOK):
                return
            found = _new(sinks) if callable(sinks) else ()
    finally:
        crew.end()


def _new(sinks: Callable[[], Sequence[Sink]]) -> Sequence[Sink]:
    try:
        return sinks()
    except Refusal as refusal:
        log.warning("sinks: %s", refusal.message)
        return ()


class Crew:
    """Loops, each in a thread of its own; when one fails, all stop."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._loops: dict[str, tuple[Loop, threading.Thread]] = {}
        self._failures: list[BaseException] = []

    def start(self, loop: Loop) -> None:
        """Begin, unless a loop of that name runs."""
        if loop.name in self._loops:
            return
        thread = threading.Thread(target=self._body, args=(loop,), name=loop.name)
        self._loops[loop.name] = loop, thread
        thread.start()

    def moves(self, now: float) -> bool:
        """Whether every loop ended a turn lately."""
        return all(now - loop.turned_at < STUCK for loop, _ in self._loops.values())

    def end(self) -> None:
        """Stop all, wait until what they are at is settled, and raise what one could not get over."""
        self._stop.set()
        for _, thread in self._loops.values():
            thread.join()
        if self._failures:
            raise self._failures[0]

    def _body(self, loop: Loop) -> None:
        try:
            loop.run(self._stop)
        except BaseException as error:  # whatever it is, the whole process has to know
            self._failures.append(error)
            self._stop.set()


class Loop:
    """Something done over and over under a lease."""

    def __init__(self, ledger: Ledger, name: str, holder: str, monotonic: Monotonic) -> None:
        self.name = name
        self.ledger = ledger
        self.holder = holder
        self.monotonic = monotonic
        self.lease: Lease | None = None
        self._takeover = ledger.settings.outbox.takeover.total_seconds()
        self._beat_at = 0.0
        self._watched = (-1, -1)
        self._watched_at = self.turned_at = monotonic()
        self._wanted = True

    def run(self, stop: threading.Event) -> None:
        """Step until `stop`, waiting longer the longer there is nothing to do."""
        rules = self.ledger.settings.outbox
        wait = rules.poll.total_seconds()
        while not stop.is_set():
            try:
                done = self.turn()
            except Refusal as refusal:
                log.warning("%s: %s", self.name, refusal.message)
                done, wait = 0, rules.poll_max.total_seconds()
            self.turned_at = self.monotonic()
            if done:
                wait = rules.poll.total_seconds()
            else:
                stop.wait(wait)
                wait = min(wait * 2, rules.poll_max.total_seconds())

    def turn(self) -> int:
        """One step under the lease, or one look at whoever has it; how much was done."""
        if self.lease is None:
            if not self._wanted and not self._abandoned():
                return 0
            self.lease = self.take()
            self._wanted = False
        try:
            self._heartbeat(self.lease)
            return self.step(self.lease)
        except Refusal as refusal:
            if refusal.code != "lease_lost":
                raise
            self.lease = None
            self._watched, self._watched_at = (-1, -1), self.monotonic()
            return 0

    def take(self) -> Lease:
        """Begin a new epoch under the loop's name."""
        with self.ledger.transaction() as tx:
            return deliveries.take_lease(tx, self.name, self.holder)

    def step(self, lease: Lease) -> int:
        """Do what there is to do; how much it was."""
        raise NotImplementedError

    def _heartbeat(self, lease: Lease) -> None:
        now = self.monotonic()
        if now - self._beat_at >= self._takeover / 3:
            with self.ledger.transaction() as tx:
                deliveries.hold(tx, lease)
            self._beat_at = now

    def _abandoned(self) -> bool:
        """Whether the holder's heartbeat stood still for long enough."""
        with self.ledger.reading() as reading:
            seen = deliveries.beats(reading, self.name)
        now = self.monotonic()
        if seen != self._watched:
            self._watched, self._watched_at = seen, now
        return now - self._watched_at >= self._takeover


class SinkLoop(Loop):
    """Effects to one sink. Its failures hold up no other."""

    def __init__(self, ledger: Ledger, sink: Sink, holder: str, monotonic: Monotonic) -> None:
        super().__init__(ledger, outbox.lease_name(sink), holder, monotonic)
        self.sink = sink

    def take(self) -> Lease:
        """Take over the sink, with what was being sent."""
        return outbox.begin(self.ledger, self.sink, self.holder)

    def step(self, lease: Lease) -> int:
        """One batch."""
        return outbox.work(self.ledger, self.sink, lease)


class PlanLoop(Loop):
    """Waves, expiry, checkpoints."""

    def __init__(
        self,
        ledger: Ledger,
        population: Callable[[], Population],
        holder: str,
        signer: Signer | None,
        monotonic: Monotonic,
    ) -> None:
        super().__init__(ledger, PLANS, holder, monotonic)
        self.population = population
        self.signer = signer
        self._clocks: tuple[datetime, float] | None = None
        self._unwritten: set[str] = set()
        self._jumped: timedelta | None = None
        self._swept_at = 0.0

    def step(self, lease: Lease) -> int:
        """One round over everything that may have something to do."""
        self._watch_clock()
        done = self._pause_what_must(lease) + self._end(lease)
        with self.ledger.reading() as reading:
            running = plans.at_work(reading)
        population = self._people() if running else UnknownPopulation()
        for plan in running:
            try:
                with self.ledger.transaction() as tx:
                    deliveries.check(tx, lease)
                    done += waves.advance(tx, plan, population)
            except Refusal as refusal:
                if refusal.code == "ledger_unavailable":
                    self._unwritten.add(plan.plan_id)
                raise
        return done + self._sign() + self._sweep()

    def _people(self) -> Population:
        """The run that serves; restores must go on without one."""
        try:
            return self.population()
        except RingfenceError as error:
            log.warning("%s: %s", self.name, error.message)
            return UnknownPopulation()

    def _watch_clock(self) -> None:
        """A wall clock that was set proves nothing about holds."""
        wall, steady = self.ledger.clock(), self.monotonic()
        if self._clocks is not None:
            jump = (wall - self._clocks[0]) - timedelta(seconds=steady - self._clocks[1])
            if abs(jump) > self.ledger.settings.outbox.jump:
                self._jumped = jump
        self._clocks = wall, steady

    def _pause_what_must(self, lease: Lease) -> int:
        """Pause what could not be audited, and lasting plans when the clock jumped."""
        if not self._unwritten and self._jumped is None:
            return 0
        count = 0
        with self.ledger.transaction() as tx:
            deliveries.check(tx, lease)
            for plan in plans.running(tx):
                why = None
                if plan.plan_id in self._unwritten:
                    why = "the audit could not be written"
                elif self._jumped is not None and plan.kind is Kind.LASTING:
                    why = f"the clock jumped by {self._jumped}"
                if why is not None and plan.state is PlanState.EXECUTING and plan.kind is not Kind.RESTORE:
                    waves.pause(tx, plan.plan_id, SYSTEM, why)
                    count += 1
        self._unwritten.clear()
        self._jumped = None
        return count

    def _end(self, lease: Lease) -> int:
        with self.ledger.reading() as reading:
            due = releases.any_expired(reading) or bool(plans.overdue(reading))
        if not due:
            return 0
        with self.ledger.transaction() as tx:
            deliveries.check(tx, lease)
            return expiry.expire_plans(tx) + expiry.end_restrictions(tx)

    def _sign(self) -> int:
        if self.signer is None:
            return 0
        with self.ledger.reading() as reading:
            due = unsigned(reading) >= self.ledger.settings.outbox.checkpoint_every
        if due:
            with self.ledger.transaction() as tx:
                checkpoint(tx, self.signer)
        return 0

    def _sweep(self) -> int:
        """Once an hour: forget old answers, sign what is unsigned."""
        now = self.monotonic()
        if now - self._swept_at < HOUR:
            return 0
        self._swept_at = now
        with self.ledger.transaction() as tx:
            idempotency.forget_old(tx)
            if self.signer is not None:
                checkpoint(tx, self.signer)
        return 0
