"""Changes of a Neo4j graph that are too many for one transaction: seen whole or not at all, whoever dies meanwhile."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from graph_properties import views
from graph_views import HandChanges, HandView
from graph_views import org_ref as org
from hypothesis import HealthCheck, given, settings
from neo4j_server import Database
from test_graph_store_neo4j import AT, HUB

from graph.errors import RingfenceError
from graph.schema import NODES, RELATIONSHIPS
from graph.store import GraphStore
from graph.stores.neo4j import load as neo4j_load
from graph.stores.neo4j import publish as neo4j_publish
from graph.stores.neo4j import schema as neo4j_schema
from graph.stores.neo4j import store as neo4j_store
from graph.stores.neo4j.steps import Phase, Step
from graph.stores.neo4j.store import Neo4jStore

NOTED = "MATCH (c:RingfenceChange) RETURN count(c)"
PENDING = "MATCH (g:Ringfence {key: 'graph'}) RETURN g.pending IS NOT NULL"


@pytest.fixture(autouse=True)
def noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes are noted first, as many are, in small steps."""
    monkeypatch.setattr(neo4j_publish, "AT_ONCE", 0)
    monkeypatch.setattr(neo4j_load, "ROWS", 40)
    monkeypatch.setattr(neo4j_schema, "ROWS", 40)
    monkeypatch.setattr(neo4j_store, "LEFT_S", 0.05)


@pytest.fixture
def database(neo4j_database: Database) -> Database:
    return neo4j_database


@pytest.fixture
def store(database: Database) -> Iterator[Neo4jStore]:  # noqa: ARG001  # needs the server
    opened = Neo4jStore.from_environment()
    yield opened
    opened.close()


def runs(count: int = 120) -> tuple[HandView, HandView]:
    """Two runs: half of the organizations of the first are in the second, too, with something new about them all."""
    return _run("run_one", 0, count), _run("run_two", count // 2, count + count // 2)


def _run(run_id: str, start: int, end: int) -> HandView:
    names = [f"org {number}" for number in range(start, end)]
    uses = [("ip", "192.0.2.7", name) for name in names]
    uses += [("device", f"device {number % 7}", f"org {number}") for number in range(start, end)]
    return HandView(
        names,
        uses,
        {"cl_a": names[:50], f"cl_{run_id}": names[50:]},
        run_id=run_id,
        referrals=[(name, names[0]) for name in names[1:20]],
        last={name: AT.replace(second=len(run_id) + start % 40) for name in names},
    )


def everything(store: GraphStore) -> dict[str, pa.Table]:
    return {name: store.scan(name).read_all() for name in (*NODES, *RELATIONSHIPS)}


def check_shows(store: GraphStore, view: HandView) -> None:
    """The store shows exactly that view."""
    assert store.run_id() == view.run_id
    for name, found in everything(store).items():
        wanted = view.nodes(name) if name in NODES else view.relationships(name)
        assert found == pa.Table.from_batches(wanted, found.schema), name


def check_only(database: Database, view: HandView) -> None:
    """Nothing else is in the database."""
    nodes = sum(len(view.node_rows(label)) for label in NODES)
    relationships = sum(len(view.relationship_rows(name)) for name in RELATIONSHIPS)
    kept = "NOT n:Ringfence AND NOT n:RingfenceKept AND NOT n:RingfenceTests"
    assert database.run(f"MATCH (n) WHERE {kept} RETURN count(n)") == [[nodes]]
    assert database.run("MATCH ()-[r]->() RETURN count(r)") == [[relationships]]


def test_they_make_one_run_out_of_the_other(database: Database, store: Neo4jStore) -> None:
    one, two = runs()
    store.publish(one)
    store.set_status([org("org 70")], "banned", AT)
    two.before = one
    store.publish(two)
    check_shows(store, two)
    check_only(database, two)
    assert database.run(NOTED) == [[0]]
    assert store.statuses().num_rows == 1
    store.apply(HandChanges(two, one))
    check_shows(store, one)


@pytest.mark.usefixtures("database")
def test_whatever_changes() -> None:
    store = Neo4jStore.from_environment()

    @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
    @given(one=views(), two=views())
    def changes(one: HandView, two: HandView) -> None:
        two.run_id, two.before = "run_two", one
        store.publish(one)
        store.publish(two)
        check_shows(store, two)

    changes()
    store.close()


def test_who_reads_meanwhile_sees_one_run_or_the_other(store: Neo4jStore) -> None:
    one, two = runs()
    two.before = one
    store.publish(one)
    published = threading.Event()
    seen: set[tuple[frozenset[str], int, int]] = set()

    def read() -> None:
        with closing(Neo4jStore.from_environment()) as reader:
            while not published.is_set() or len(seen) < 2:
                members = reader.query(
                    "MATCH (o:Organization {run: $run}) OPTIONAL MATCH (o)-[r:USED_DEVICE]->(d) "
                    "RETURN o.org_id, count(r), sum(d.degree)",
                    {},
                )
                names = frozenset(str(row[0]) for row in members.rows)
                found = reader.expand([HUB], degree_cap=None, limit=1000)
                seen.add((names, sum(int(row[1] or 0) for row in members.rows), 0))
                assert found.total in (len(one.organizations), len(two.organizations))

    thread = threading.Thread(target=read)
    thread.start()
    store.publish(two)
    published.set()
    thread.join(60)
    assert seen <= {(frozenset(view.organizations), len(view.organizations), 0) for view in (one, two)}


CHILD = """
import sys
sys.path.insert(0, {tests!r})
from graph.stores.neo4j import load as neo4j_load
from graph.stores.neo4j import publish as neo4j_publish
from graph.stores.neo4j import schema as neo4j_schema
from graph.stores.neo4j.steps import Step
from graph.stores.neo4j.store import Neo4jStore
from test_graph_changes_neo4j import runs

neo4j_publish.AT_ONCE, neo4j_load.ROWS, neo4j_schema.ROWS = 0, 40, 40
made = 0

def pause():
    print("paused", flush=True)
    sys.stdin.read()

def note(stage, done, total):
    if {noting} and done >= {at}:
        pause()

def take(step, *given):
    global made
    taken(step, *given)
    made += 1
    if not {noting} and made == {at}:
        pause()

taken, Step.take = Step.take, take
one, two = runs()
two.before = one
Neo4jStore.from_environment().publish(two, note)
"""


@pytest.mark.parametrize(("noting", "seed"), [(True, 1), (False, 1), (False, 2)])
def test_a_publisher_that_is_killed_leaves_the_old_run_or_the_new_one(
    database: Database, store: Neo4jStore, noting: bool, seed: int
) -> None:
    one, two = runs()
    store.publish(one)
    at = random.Random(seed).randrange(50, 300) if noting else random.Random(seed).randrange(1, 14)
    script = CHILD.format(tests=str(Path(__file__).parent), noting=noting, at=at)
    child = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "paused\n"
        assert database.run(PENDING) == [[not noting]]
        with pytest.raises(RingfenceError, match="another process is publishing"):
            store.publish(two)
        child.kill()
    check_shows(store, one if noting else two)
    two.before = one
    store.publish(two)
    check_shows(store, two)
    check_only(database, two)
    assert database.run(NOTED) == [[0]]


def test_the_next_publisher_makes_what_is_pending_first(
    database: Database, store: Neo4jStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = runs()
    three = _run("run_three", 100, 130)
    two.before, three.before = one, two
    store.publish(one)
    _fail_after(monkeypatch, 3)
    with pytest.raises(RingfenceError, match="no more"):
        store.publish(two)
    assert database.run(PENDING) == [[True]]
    monkeypatch.undo()
    store.publish(three)
    check_shows(store, three)
    check_only(database, three)


def _fail_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    whole, made = Step.take, iter(range(steps))

    def take(step: Step, *given: Any) -> None:
        if next(made, None) is None:
            raise RingfenceError("no more", "")
        whole(step, *given)

    monkeypatch.setattr(Step, "take", take)


def test_a_publisher_who_lost_the_right_makes_no_more(
    store: Neo4jStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = runs()
    two.before = one
    store.publish(one)
    whole, usurped = Step.take, iter([True])

    def take(step: Step, *given: Any) -> None:
        if step.phase is Phase.PUT_NODES and next(usurped, False):
            database.run("MATCH (c:RingfenceChange {phase: 3}) SET c.by = 'another'")
        whole(step, *given)

    monkeypatch.setattr(Step, "take", take)
    with pytest.raises(RingfenceError, match="another process has begun to publish"):
        store.publish(two)
    check_shows(store, two)


def test_changes_that_do_not_fit_are_refused_before_anything_is_changed(
    database: Database, store: Neo4jStore
) -> None:
    one, two = runs()
    store.publish(one)

    class Dangling(HandChanges):
        def nodes(self, label: str) -> Iterator[pa.RecordBatch]:
            return iter(()) if label == "Organization" else super().nodes(label)

    with pytest.raises(RingfenceError, match="not among the nodes"):
        store.apply(Dangling(one, two))
    assert database.run(PENDING) == [[False]]
    check_shows(store, one)
    store.apply(HandChanges(one, two))
    check_shows(store, two)


def test_changes_of_another_run_than_the_one_that_is_shown_are_not_made(store: Neo4jStore) -> None:
    one, two = runs()
    two.before = one
    store.publish(one)
    other = Neo4jStore.from_environment()
    moved = iter([True])

    def publish(stage: str, done: int, total: int | None) -> None:
        del stage, done, total
        if next(moved, False):
            with other._connection.writing() as session:
                session.run("MATCH (g:Ringfence {key: 'graph'}) SET g.stamp = g.stamp + 1").consume()

    with pytest.raises(RingfenceError, match="another process has begun to publish"):
        store.publish(two, publish)
    check_shows(store, one)
    other.close()


def test_work_that_is_repeated_is_done_once(
    database: Database, store: Neo4jStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    once: Callable[..., Any] = Neo4jStore._write

    def twice(self: Neo4jStore, work: Callable[..., Any]) -> Any:
        first, _ = once(self, work), once(self, work)
        return first

    one, two = runs()
    two.before = one
    store.publish(one)
    monkeypatch.setattr(Neo4jStore, "_write", twice)
    store.publish(two)
    check_shows(store, two)
    check_only(database, two)
