"""Kills, a full disk, a clock that jumps, an outage in the middle: nothing is lost and nothing happens twice."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from actions import audit, waves
from actions.ledger import Ledger, plans
from actions.model import Action, Effect, PlanState
from actions.refusals import Refusal
from actions.settings import ActionSettings
from actions.sinks import Receipt
from actions.worker import PlanLoop, SinkLoop, run
from tests.contract.desk import ALICE, Desk, ManualClock, MemorySink, People, request, ring
from tests.contract.killing import ROOT, survive

pytest_plugins = ("tests.contract.ledgers",)


def test_a_worker_that_is_killed_loses_nothing_and_repeats_nothing(where: str, tmp_path: Path) -> None:
    outcome = survive(where, tmp_path, members=400, kills=3, seed=7)
    assert outcome.kills >= 2
    assert (outcome.lost, outcome.twice, outcome.unsettled, outcome.problems) == (0, 0, 0, ())


class Steady:
    """A monotonic clock that moves when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.seconds


def test_a_clock_that_jumps_pauses_lasting_plans(desk: Desk) -> None:
    desk.ledger.settings = ActionSettings()
    plan = desk.approve(desk.plan(request(Action.BAN, controls=False)))
    steady = Steady()
    loop = PlanLoop(desk.ledger, lambda: desk.people, "test", None, steady)
    waves.apply(desk.ledger, plan.plan_id, ALICE, desk.people)
    for _ in range(3):
        loop.turn()
        desk.run()
    assert desk.tally(plan) == {"applied": 2, "pending": 198}
    desk.clock.pass_(minutes=5)
    steady.seconds += 300
    loop.turn()
    assert desk.get(plan).state is PlanState.EXECUTING
    desk.clock.pass_(hours=9)
    loop.turn()
    assert desk.get(plan).paused_reason == "the clock jumped by 9:00:00"
    assert desk.tally(plan) == {"applied": 2, "pending": 198}


def test_a_clock_that_goes_back_repeats_nothing(desk: Desk) -> None:
    plan = desk.apply(desk.plan(request(Action.THROTTLE)))
    desk.clock.pass_(hours=12)
    desk.run()
    desk.clock.pass_(hours=-13)
    desk.run()
    again = desk.apply(desk.plan(request(Action.VERIFY)))
    assert isinstance(desk.sink, MemorySink)
    assert len(desk.sink.received) == 600
    assert set(desk.sink.generations.values()) == {3}
    assert (desk.tally(plan), desk.tally(again)) == ({"applied": 200}, {"applied": 200})
    assert audit.verify(desk.ledger).problems == []


def test_a_standby_takes_over_when_the_heartbeat_stands_still(desk: Desk) -> None:
    steady = Steady()
    first = SinkLoop(desk.ledger, MemorySink(), "first", steady)
    second = SinkLoop(desk.ledger, MemorySink(), "second", steady)
    first.turn()
    second.turn()
    steady.seconds += 10
    assert (first.turn(), first.lease) == (0, None)
    for _ in range(4):
        steady.seconds += 10
        second.turn()
        first.turn()
    assert first.lease is None
    for _ in range(4):
        steady.seconds += 10
        first.turn()
    assert first.lease is not None
    assert (second.turn(), second.lease) == (0, None)


def test_the_worker_does_it_all_by_itself_and_stops_when_told(desk: Desk) -> None:
    plan = desk.plan(request(Action.THROTTLE))
    waves.apply(desk.ledger, plan.plan_id, ALICE, desk.people)
    stop = threading.Event()

    class Counting(MemorySink):
        def deliver(self, effects: Sequence[Effect]) -> Sequence[Receipt]:
            receipts = super().deliver(effects)
            if len(self.received) == 200:
                stop.set()
            return receipts

    run(desk.ledger, lambda: desk.people, [Counting()], holder="test", stop=stop)
    assert desk.tally(plan) == {"applied": 200}


FULL = """
import resource, signal, sys
from actions import waves
from actions.ledger import Ledger, plans
from actions.refusals import Refusal
from actions.worker import PlanLoop
from tests.contract.desk import ALICE, FAST, People, ring

ledger = Ledger.open(sys.argv[1], FAST)
people = People(*ring(2000))
with ledger.reading() as reading:
    plan = plans.listed(reading)[0]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
loop = PlanLoop(ledger, lambda: people, "full", None, lambda: 1000.0)
try:
    for _ in range(10):
        loop.turn()
except Refusal as refusal:
    print(refusal.code)
"""


def test_a_full_disk_stops_everything_and_loses_nothing(tmp_path: Path, blank: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(blank.read_bytes())
    clock = ManualClock()
    desk = Desk(Ledger.open(path, None, clock), clock, People(*ring(2_000)))
    plan = desk.plan(request(Action.THROTTLE, controls=False))
    waves.apply(desk.ledger, plan.plan_id, ALICE, desk.people)
    desk.ledger.close()
    room = path.stat().st_size + 4_096 * 8
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path), str(room)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.returncode) == ("ledger_unavailable", 0), done.stderr
    desk.ledger = Ledger.open(path, None, clock)
    assert desk.tally(plan) == {"pending": 2_000}
    assert audit.verify(desk.ledger).problems == []
    desk.run()
    assert desk.tally(plan) == {"applied": 2_000}
    desk.ledger.close()


def test_a_plan_whose_audit_could_not_be_written_is_paused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = desk.plan(request(Action.THROTTLE))
    waves.apply(desk.ledger, plan.plan_id, ALICE, desk.people)
    loop = PlanLoop(desk.ledger, lambda: desk.people, "test", None, Steady())
    loop.turn()
    before = desk.tally(plan)
    desk.people = People(*ring(50, prefix="more"))
    other = desk.plan(request(Action.VERIFY))
    waves.apply(desk.ledger, other.plan_id, ALICE, desk.people)

    def fail(*_: object) -> None:
        raise Refusal("ledger_unavailable", "the disk is full", "Free some.")

    with monkeypatch.context() as patched:
        patched.setattr("actions.ledger.chain.append", fail)
        with pytest.raises(Refusal):
            loop.turn()
    assert desk.tally(other) == {"pending": 50}
    assert desk.tally(plan) == before
    loop.turn()
    assert desk.get(other).paused_reason == "the audit could not be written"
    with desk.ledger.reading() as reading:
        assert plans.get(reading, other.plan_id).state is PlanState.PAUSED
