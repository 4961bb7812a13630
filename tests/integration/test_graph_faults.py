"""A publisher that is killed at any moment: what is served stays whole, and the next publication succeeds."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from graph.schema import NODES, RELATIONSHIPS
from graph.stores.sqlite.store import SqliteStore
from tests.contract.graph_views import HandChanges, HandView

ROOT = Path(__file__).resolve().parents[2]
KILLED = """
import os, signal, sys
from pathlib import Path

import graph.stores.sqlite.files as files
from graph.stores.sqlite.store import SqliteStore
from tests.integration.test_graph_faults import views

left = int(sys.argv[3])
calls = 0

def step(*_):
    global calls
    calls += 1
    if calls > left >= 0:
        os.kill(os.getpid(), signal.SIGKILL)

def stepping(function):
    def before_and_after(*given):
        step()
        function(*given)
        step()
    return before_and_after

files.sync = stepping(files.sync)
old, new = views(apply=sys.argv[2] == "apply")
store = SqliteStore(Path(sys.argv[1]))
store.publish(new, step)
print(calls)
"""


def views(*, apply: bool) -> tuple[HandView, HandView]:
    """Two runs; `apply`: the second one knows its changes since the first."""
    old = _view("run_old", range(20))
    new = _view("run_new", range(5, 30))
    new.before = old if apply else None
    return old, new


def _view(run_id: str, numbers: range) -> HandView:
    names = [f"org {number}" for number in numbers]
    return HandView(
        names,
        uses=[("ip", f"192.0.2.{number % 4}", f"org {number}") for number in numbers],
        clusters={"cl_one": names[:5], f"cl_{run_id}": names[5:9]},
        run_id=run_id,
        referrals=[(name, names[0]) for name in names[1:4]],
        shows={"cl_one": {"base": float(len(names))}},
    )


def everything(path: Path) -> dict[str, pa.Table]:
    """All that a new reader sees."""
    store = SqliteStore(path)
    found = {name: store.scan(name).read_all() for name in (*NODES, *RELATIONSHIPS)}
    assert found["Run"]["run_id"].to_pylist() == [store.run_id()]
    store.close()
    return found


def publish(path: Path, how: str, left: int) -> subprocess.CompletedProcess[str]:
    """Publish the second run in a process of its own, which ends itself after so many steps (-1: never)."""
    return subprocess.run(
        [sys.executable, "-c", KILLED, str(path), how, str(left)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture(scope="module", params=["publish", "apply"])
def steps(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, int]:
    """How the second run is published, and in how many steps where nothing happens."""
    path = tmp_path_factory.mktemp("whole") / "graph.sqlite"
    SqliteStore(path).publish(views(apply=False)[0])
    done = publish(path, request.param, -1)
    assert done.returncode == 0, done.stderr
    return request.param, int(done.stdout)


@pytest.mark.parametrize("seed", [1, 2, 3, "last but one"])
def test_a_killed_publisher_leaves_a_whole_run_and_the_next_one_cleans_up(
    steps: tuple[str, int], tmp_path: Path, seed: int | str
) -> None:
    how, most = steps
    old, new = views(apply=how == "apply")
    path = tmp_path / "graph.sqlite"
    store, fresh = SqliteStore(path), SqliteStore(tmp_path / "fresh" / "graph.sqlite")
    store.publish(old)
    fresh.publish(new)
    before, after = everything(path), everything(tmp_path / "fresh" / "graph.sqlite")
    point = random.Random(seed).randrange(most) if isinstance(seed, int) else most - 2
    done = publish(path, how, point)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert everything(path) in (before, after)
    assert store.run_id() in (old.run_id, new.run_id)  # also for who had it open
    store.publish(new)
    assert everything(path) == after
    assert not list(tmp_path.glob("*.new-*"))
    store.close()
    fresh.close()


def test_changes_applied_to_a_graph_that_others_read_are_seen_whole(tmp_path: Path) -> None:
    old, new = views(apply=True)
    path = tmp_path / "graph.sqlite"
    store = SqliteStore(path)
    store.publish(old)
    before = everything(path)
    seen: list[bool] = []
    store.apply(HandChanges(old, new), lambda *_: seen.append(everything(path) == before))
    assert seen
    assert all(seen)
    fresh = SqliteStore(tmp_path / "fresh.sqlite")
    fresh.publish(new)
    assert everything(path) == everything(tmp_path / "fresh.sqlite")
    store.close()
    fresh.close()
