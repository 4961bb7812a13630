"""A publication is seen whole or not at all, whatever happens to the one who publishes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from graph_views import HandView

from graph.errors import RingfenceError
from graph.home import Home
from graph.schema import NODES
from graph.store import GraphStore
from graph.stores import open_store


def test_the_old_run_serves_until_the_switch(
    request: pytest.FixtureRequest, store: GraphStore, tmp_path: Path
) -> None:
    name = request.node.callspec.params["store"]
    store.publish(HandView(["a", "b"]))
    reader = open_store(name, Home(tmp_path))
    seen: list[tuple[str | None, int]] = []

    def look(stage: str, done: int, total: int | None) -> None:
        del stage, done, total
        other = open_store(name, Home(tmp_path))
        seen.extend((one.run_id(), one.find("a").total) for one in (other, reader))
        other.close()

    store.publish(HandView(["c", "d"], run_id="run_two"), look)
    assert set(seen) == {("run_one", 1)}
    for one in (store, reader):
        assert (one.run_id(), one.find("a").total, one.find("c").total) == ("run_two", 0, 1)
    reader.close()


class Broken(HandView):
    """A view that fails, or does not keep what views promise."""

    def __init__(self, how: str) -> None:
        super().__init__(["a", "b"], [("ip", "192.0.2.7", "a")], run_id="run_two")
        self._how = how

    def nodes(self, label: str) -> Iterator[pa.RecordBatch]:
        if label == "Organization" and self._how == "unsorted":
            yield from (pa.RecordBatch.from_pylist(rows[::-1], NODES[label].arrow) for rows in [self._rows()])
        elif label == "Organization" and self._how == "twice":
            yield from (pa.RecordBatch.from_pylist([row, row], NODES[label].arrow) for row in self._rows())
        elif label == "Ip" and self._how == "dangling":
            return
        elif label == "Ip" and self._how == "schema":
            yield pa.RecordBatch.from_pydict({"key": [b"x" * 16]})
        else:
            yield from super().nodes(label)

    def _rows(self) -> list[dict[str, object]]:
        return [row for batch in super().nodes("Organization") for row in batch.to_pylist()]


@pytest.mark.parametrize("how", ["unsorted", "twice", "dangling", "schema"])
def test_a_view_that_breaks_its_promises_is_refused_and_the_old_run_stays(
    store: GraphStore, how: str
) -> None:
    store.publish(HandView(["a", "b"]))
    with pytest.raises(RingfenceError):
        store.publish(Broken(how))
    assert store.run_id() == "run_one"


CHILD = """
import os, resource, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from graph.errors import RingfenceError
from graph.home import Home
from graph.stores import open_store
from graph_views import HandView

def pause(stage, done, total):
    if stage == {stage!r} and done >= {done}:
        print("paused", flush=True)
        sys.stdin.read()

if {limit}:
    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
names = [f"org{{number}}" for number in range(300)]
view = HandView(names, [("ip", "192.0.2.7", name) for name in names], run_id="run_two")
try:
    open_store({name!r}, Home(Path({home!r}))).publish(view, pause)
except RingfenceError as error:
    print(str(error).splitlines()[0])
"""


def _child(home: Path, **more: object) -> list[str]:
    values = {"stage": "", "done": 0, "limit": 0, "name": "sqlite", **more}
    script = CHILD.format(tests=str(Path(__file__).parent), home=str(home), **values)
    return [sys.executable, "-c", script]


@pytest.mark.parametrize(
    ("stage", "done"), [("publish graph", 1), ("publish graph", 600), ("index graph", 30)]
)
def test_a_killed_publication_leaves_the_old_run(tmp_path: Path, stage: str, done: int) -> None:
    store = open_store("sqlite", Home(tmp_path))
    store.publish(HandView(["a", "b"]))
    before = (tmp_path / "graph.sqlite").read_bytes()
    child = subprocess.Popen(
        _child(tmp_path, stage=stage, done=done), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "paused\n"
        with pytest.raises(RingfenceError, match="another process is publishing"):
            store.publish(HandView(["c"]))
        child.kill()
    assert (tmp_path / "graph.sqlite").read_bytes() == before
    assert store.run_id() == "run_one"
    assert list(tmp_path.glob("graph.sqlite.new-*"))
    store.publish(HandView(["c"], run_id="run_three"))
    assert store.run_id() == "run_three"
    assert not list(tmp_path.glob("graph.sqlite.new-*"))
    store.close()


def test_a_full_disk_is_said_in_one_line_and_the_old_run_stays(tmp_path: Path) -> None:
    store = open_store("sqlite", Home(tmp_path))
    store.publish(HandView(["a", "b"]))
    ended = subprocess.run(_child(tmp_path, limit=50_000), capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("cannot write the graph")
    assert ended.stderr == ""
    assert store.run_id() == "run_one"
    assert not list(tmp_path.glob("graph.sqlite.new-*"))
    store.close()
