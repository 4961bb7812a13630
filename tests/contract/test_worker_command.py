"""`ringfence worker`: all there is to do now, or until it is told to stop; and what it says of its own health."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from actions import waves, webhooks, worker
from actions.ledger import Ledger, plans
from actions.model import Action, Effect, PlanState
from actions.refusals import Refusal
from actions.sinks import Receipt, Sink
from api.cli import invoke
from api.deciding import desk as desks
from api.deciding.sinks import newcomers
from graph.home import Home
from tests.contract.desk import ADMIN, ALICE, Desk, MemorySink, request
from tests.contract.receivers import local_rules
from tests.unit.campaign_ring import ACTIONABLE, RING

pytest_plugins = ("tests.contract.ledgers", "tests.unit.campaigns")
RINGFENCE = [sys.executable, "-c", "from api.cli import main; main()"]
ROOT = Path(__file__).parents[2]
Ask = Callable[..., tuple[int, Any, str]]

COMMAND = """#!/bin/sh
cat > got
echo begun > began
read word < go
"""


@pytest.fixture
def ask(campaign_home: Home, capsys: pytest.CaptureFixture[str]) -> Iterator[Ask]:
    """Run a command with --json: its exit code, its answer, its complaints. Signals are ours again afterwards."""
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}

    def asking(*words: str) -> tuple[int, Any, str]:
        code = invoke([*words, "--json", "--home", str(campaign_home.path)])
        said = capsys.readouterr()
        return code, json.loads(said.out) if said.out else None, said.err

    yield asking
    for one, handler in before.items():
        signal.signal(one, handler)


def contain(ask: Ask, *more: str) -> None:
    """Start a containment and leave its work to a worker."""
    ask("plan", RING, "--action", "throttle", "--for", "6h", "--reason", "they burn credit", *more)
    assert ask("apply", "latest", "--no-work")[0] == 0


@contextmanager
def working(home: Home, *more: str) -> Iterator[subprocess.Popen[str]]:
    """`ringfence worker` in a process of its own, from its first line on."""
    process = subprocess.Popen(
        [*RINGFENCE, "worker", *more, "--home", str(home.path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Working on")
        yield process
    finally:
        process.kill()
        process.communicate()


def test_once_does_what_can_be_done_now(ask: Ask) -> None:
    assert ask("worker", "--once")[0] == 3
    contain(ask)
    code, done, _ = ask("worker", "--once")
    assert code == 0
    assert done["done"] >= ACTIONABLE
    assert ask("plans", "latest")[1]["members"] == {"applied": ACTIONABLE, "spared": 1}
    _, found, _ = ask("query", "run", "members_of_cluster", "-p", f"cluster_id={RING}")
    assert [row["status"] for row in found["rows"]].count("throttle") == ACTIONABLE
    assert ask("worker", "--once")[:2] == (3, {"worker": done["worker"], "done": 0})


@pytest.mark.parametrize("polite", [signal.SIGTERM, signal.SIGINT])
def test_the_batch_at_hand_is_settled_before_it_stops(
    ask: Ask, campaign_home: Home, tmp_path: Path, polite: signal.Signals
) -> None:
    folder = tmp_path / "commands"
    folder.mkdir(mode=0o755)
    (folder / "block.sh").write_text(COMMAND)
    (folder / "block.sh").chmod(0o755)
    for name in ("began", "go"):
        os.mkfifo(folder / name)
    with campaign_home.settings_file.open("a") as settings:
        settings.write(
            f'\n[actions.commands.block]\nargv = ["block.sh"]\nfolder = {json.dumps(str(folder))}\n'
        )
    contain(ask, "--sink", "command:block")
    with working(campaign_home) as process:
        assert (folder / "began").read_text() == "begun\n"
        process.send_signal(polite)
        (folder / "go").write_text("on\n")
        assert process.wait(60) == 0
    sent = (folder / "got").read_text().splitlines()
    assert 0 < len(sent) < ACTIONABLE
    (folder / "block.sh").write_text("#!/bin/sh\ncat >> rest\n")
    assert ask("worker", "--once")[0] == 0
    rest = (folder / "rest").read_text().splitlines()
    assert len(rest) == ACTIONABLE - len(sent)
    assert not set(sent) & set(rest)
    assert ask("plans", "latest")[1]["members"] == {"applied": ACTIONABLE, "spared": 1}


def test_its_health_is_a_file_that_it_touches(
    ask: Ask, campaign_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "alive"
    assert invoke(["health", "--alive", str(file)]) == 1
    assert "ringfence worker --alive" in capsys.readouterr().err
    with working(campaign_home, "--alive", str(file)) as process:
        assert invoke(["health", "--alive", str(file), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["alive"] is True
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    os.utime(file, (0, 0))
    assert invoke(["health", "--alive", str(file)]) == 1
    assert capsys.readouterr().out.startswith("not well: silent for")
    assert ask("worker", "--alive", str(tmp_path / "nowhere" / "alive"))[0] == 2


class Watched(MemorySink):
    """A sink that says when it has had everything."""

    def __init__(self, name: str, stop: threading.Event, wanted: int) -> None:
        super().__init__(name)
        self._stop, self._wanted = stop, wanted

    def deliver(self, effects: Sequence[Effect]) -> Sequence[Receipt]:
        receipts = super().deliver(effects)
        if len(self.received) >= self._wanted:
            self._stop.set()
        return receipts


def test_a_sink_that_is_added_meanwhile_is_served(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "LOOK", 0.01)
    stop = threading.Event()
    later = Watched("webhook:new", stop, 200)
    looks = iter([[MemorySink("feed")], Refusal("ledger_unavailable", "it is away", "Wait."), [later]])
    plan = desk.plan(request(Action.THROTTLE, sinks=("webhook:new",)))
    waves.apply(desk.ledger, plan.plan_id, ALICE, desk.people)

    def sinks() -> Sequence[Sink]:
        found = next(looks, [later])
        if isinstance(found, Refusal):
            raise found
        return found

    worker.run(desk.ledger, lambda: desk.people, sinks, holder="test", stop=stop)
    assert desk.get(plan).state in {PlanState.EXECUTING, PlanState.COMPLETED}
    assert desk.tally(plan) == {"applied": 200}


def test_webhooks_that_are_added_are_found_once(campaign_home: Home) -> None:
    with desks.opened(campaign_home) as desk:
        look = newcomers(desk)
        assert [sink.name for sink in look()] == ["feed", "records", "file"]
        assert look() == []
        with desk.ledger.transaction() as tx:
            webhooks.put(tx, "crm", "http://127.0.0.1:9/", ADMIN, local_rules(9))
        assert [sink.name for sink in look()] == ["webhook:crm"]
        assert look() == []


def test_it_says_that_it_lives_while_no_loop_is_stuck(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "LOOK", 0.01)
    now = [1_000.0]
    stop, entered, go = threading.Event(), threading.Event(), threading.Event()
    said: list[float] = []

    class Stuck(MemorySink):
        def deliver(self, effects: Sequence[Effect]) -> Sequence[Receipt]:
            entered.set()
            assert go.wait(30)
            return super().deliver(effects)

    plan = desk.plan(request(Action.THROTTLE))
    waves.apply(desk.ledger, plan.plan_id, ALICE, desk.people)
    arguments = (desk.ledger, lambda: desk.people, [Stuck()])
    more = {"holder": "test", "stop": stop, "monotonic": lambda: now[0], "alive": lambda: said.append(now[0])}
    thread = threading.Thread(target=worker.run, args=arguments, kwargs=more)
    thread.start()
    try:
        assert entered.wait(30)
        now[0] += worker.STUCK
        sent = _looked(said)
        go.set()
        while said[-1] == sent:  # it lives again
            stop.wait(0.01)
    finally:
        go.set()
        stop.set()
        thread.join()
    assert said[-1] == now[0]


def _looked(said: list[float]) -> float:
    """The last moment at which it said that it lives, after it had time to say so wrongly."""
    threading.Event().wait(0.1)
    return said[-1]


def test_a_loop_that_fails_ends_the_whole_worker(where: str) -> None:
    ledger = Ledger.open(where)

    class Broken(MemorySink):
        def __init__(self) -> None:
            self.name = "feed"

        @property
        def promise(self) -> str:  # type: ignore[override]
            raise ZeroDivisionError

    try:
        with pytest.raises(ZeroDivisionError):
            worker.run(ledger, lambda: None, [Broken()], holder="test", stop=threading.Event())  # type: ignore[arg-type, return-value]
        with ledger.reading() as reading:
            assert plans.listed(reading) == []
    finally:
        ledger.close()
