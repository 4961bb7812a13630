"""What only the Neo4j store can get wrong: its server, its transactions, its query language."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from graph_views import NASTY, HandChanges, HandView, ref
from graph_views import org_ref as org
from neo4j_server import Database, Server

from graph.copying import copy
from graph.errors import RingfenceError
from graph.schema import NODES, SCHEMA_VERSION
from graph.store import GraphStore, NodeRef
from graph.stores.neo4j import expand as neo4j_expand
from graph.stores.neo4j import load as neo4j_load
from graph.stores.neo4j import publish as neo4j_publish
from graph.stores.neo4j import schema as neo4j_schema
from graph.stores.neo4j.store import Neo4jStore
from graph.stores.sqlite.store import SqliteStore

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
HUB = ref("ip", "192.0.2.7")


@pytest.fixture
def database(neo4j_database: Database) -> Database:
    return neo4j_database


@pytest.fixture
def server(database: Database) -> Iterator[Server]:
    if database.server is None:
        pytest.skip("the server that NEO4J_URI names is not ours to stop")
    yield database.server
    database.server.start()


@pytest.fixture
def store(database: Database) -> Iterator[Neo4jStore]:  # noqa: ARG001  # needs the server
    opened = Neo4jStore.from_environment()
    yield opened
    opened.close()


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Publications write in many transactions, as those of large graphs do."""
    monkeypatch.setattr(neo4j_publish, "SMALL", 0)
    monkeypatch.setattr(neo4j_load, "ROWS", 40)
    monkeypatch.setattr(neo4j_schema, "ROWS", 40)


def crowd(run_id: str, count: int = 100) -> HandView:
    """Organizations on one address, all in one cluster."""
    names = [f"{run_id} {number}" for number in range(count)]
    return HandView(names, [("ip", "192.0.2.7", name) for name in names], {"cl_a": names}, run_id=run_id)


def check_whole(store: GraphStore, view: HandView) -> None:
    """The store shows exactly that view."""
    assert store.run_id() == view.run_id
    assert [item.name for item in store.find("run_", labels=["Organization"], limit=1000).items] == sorted(
        view.organizations
    )
    found = store.expand([HUB], types=["USED_IP"], degree_cap=None, limit=1000)
    assert {rel.source for rel in found.items} == {org(name) for name in view.organizations}
    assert found.total == len(view.organizations)
    assert {rel.properties["uses"] for rel in found.items} == {2}


def check_only(database: Database, view: HandView) -> None:
    """Nothing of any other run is left in the database."""
    expected = sum(len(view.node_rows(label)) for label in NODES)
    assert database.run("MATCH (n) WHERE n.run IS NOT NULL AND NOT n:Ringfence RETURN count(n)") == [
        [expected]
    ]
    assert database.run("MATCH ()-[r:USED_IP]->() RETURN count(r)") == [[len(view.uses)]]


def test_without_an_address_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEO4J_URI", raising=False)
    with pytest.raises(RingfenceError, match="NEO4J_URI is not set") as caught:
        Neo4jStore.from_environment()
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"uri": "bolt://127.0.0.1:1"}, "bolt://127.0.0.1:1 does not answer"),
        ({"uri": "mongodb://127.0.0.1"}, "not the address of a Neo4j server"),
        ({"password": "wrong-secret"}, "does not accept the password of neo4j"),
        ({"database": "elsewhere"}, "has no database 'elsewhere'"),
    ],
)
def test_what_is_misconfigured_is_said_in_one_line_without_the_password(
    database: Database, change: dict[str, str], said: str
) -> None:
    given = {
        "uri": database.uri,
        "user": database.variables["NEO4J_USER"],
        "password": database.variables["NEO4J_PASSWORD"],
        "database": "neo4j",
    }
    store = Neo4jStore(**{**given, **change})
    with pytest.raises(RingfenceError) as caught:
        store.publish(HandView(["a"]))
    assert said in caught.value.message
    assert "\n" not in caught.value.message
    assert "NEO4J_" in caught.value.remedy
    assert given["password"] not in str(caught.value)
    assert "wrong-secret" not in str(caught.value)
    store.close()


def test_a_newer_schema_is_refused_and_an_older_one_becomes_empty(
    database: Database, store: Neo4jStore
) -> None:
    store.publish(HandView(["a"]))
    database.run("MATCH (g:Ringfence {key: 'graph'}) SET g.schema = $schema", schema=SCHEMA_VERSION + 1)
    for action in (
        store.run_id,
        store.migrate,
        lambda: store.find("a"),
        lambda: store.publish(HandView(["b"])),
    ):
        with pytest.raises(RingfenceError, match="Upgrade Ringfence"):
            action()
    database.run("MATCH (g:Ringfence {key: 'graph'}) SET g.schema = 1")
    with pytest.raises(RingfenceError, match="older schema"):
        store.find("a")
    store.migrate()
    assert (store.run_id(), store.find("a").total) == (None, 0)
    store.publish(HandView(["b"]))
    assert store.find("b").total == 1


def test_statuses_outlive_whole_publications_changes_and_absence(store: Neo4jStore) -> None:
    one, two = HandView(["a", "b"]), HandView(["b", "c"], run_id="run_two")
    store.publish(one)
    assert store.set_status([org("a"), org("b"), org("nobody"), HUB], "banned", AT) == 2
    store.publish(two)
    node = store.get_node("Organization", org("b").key)
    assert node is not None
    assert (node.properties["status"], node.properties["status_at"]) == ("banned", AT)
    assert store.statuses().column("key").to_pylist() == [bytes.fromhex(org("b").key)]
    store.apply(HandChanges(two, HandView(["a", "b", "c"], run_id="run_three")))
    assert sorted(row["key"].hex() for row in store.statuses().to_pylist()) == sorted(
        [org("a").key, org("b").key]
    )
    assert store.set_status([org("a"), org("b")], None, AT) == 2
    assert store.statuses().num_rows == 0
    store.publish(one)
    assert store.statuses().num_rows == 0


@pytest.mark.parametrize(
    "text",
    [
        "CREATE (n:Organization)",
        "MATCH (n) SET n.x = 1 RETURN n",
        "MATCH (n) DETACH DELETE n",
        "MATCH (n) CALL (n) { DELETE n } IN TRANSACTIONS",
        "CALL db.createLabel('X')",
        "CREATE INDEX x FOR (n:X) ON (n.x)",
        "DROP CONSTRAINT ringfence_Organization_key",
        "LOAD CSV FROM 'file:///etc/hostname' AS row RETURN row",
        "PROFILE CREATE (n:X)",
        "EXPLAIN CREATE (n:X)",
        "CALL dbms.listConfig() YIELD name RETURN name",
        "RETURN 1; MATCH (n) DELETE n",
        "RETURN $missing",
        "no query",
        "",
    ],
)
def test_a_query_can_only_read_the_graph(database: Database, store: Neo4jStore, text: str) -> None:
    store.publish(HandView(["a"]))
    before = database.run("MATCH (n) RETURN count(n)"), database.run("SHOW INDEXES YIELD name")
    with pytest.raises(RingfenceError):
        store.query(text, {})
    assert (database.run("MATCH (n) RETURN count(n)"), database.run("SHOW INDEXES YIELD name")) == before


def test_a_query_is_cut_and_stopped(store: Neo4jStore) -> None:
    store.publish(HandView(["a"]))
    endless = "UNWIND range(1, 100000000) AS number RETURN number"
    found = store.query(endless, {}, limit=3)
    assert (found.columns, found.rows, found.cut) == (("number",), ((1,), (2,), (3,)), True)
    whole = store.query("UNWIND range(1, 3) AS number RETURN number", {}, limit=3)
    assert (len(whole.rows), whole.cut) == (3, False)
    with pytest.raises(RingfenceError, match="longer than it may"):
        store.query(f"{endless} ORDER BY number % 7 LIMIT 1", {}, timeout_s=0.5)


def test_a_query_answers_in_plain_values(store: Neo4jStore) -> None:
    store.publish(HandView(["a", "b"], [("ip", "192.0.2.7", "a")], {"cl_a": ["a"]}))
    store.set_status([org("a")], "banned", AT)
    found = store.query(
        "MATCH (o:Organization {run: $run, org_id: $name})-[r:USED_IP]->(i) "
        "RETURN o, o.status_at, r, i.key, [i.degree, $when], {x: o.missing}, date('2026-01-02'), $when",
        {"name": "a", "when": AT},
    )
    moment = AT.isoformat().replace("T", " ")
    assert found.rows == (
        (
            org("a").key,
            AT,
            "USED_IP",
            HUB.key,
            f'[1, "{moment}"]',
            '{"x": null}',
            "2026-01-02",
            AT,
        ),
    )


def test_parameters_are_never_interpreted(store: Neo4jStore) -> None:
    store.publish(HandView(NASTY))
    text = "MATCH (o:Organization {run: $run, org_id: $name}) RETURN o.org_id"
    assert [store.query(text, {"name": name}).rows for name in NASTY] == [((name,),) for name in NASTY]


@pytest.mark.usefixtures("in_parts")
def test_while_a_run_is_written_readers_see_the_one_before(database: Database, store: Neo4jStore) -> None:
    one, two = crowd("run_one"), crowd("run_two", 90)
    store.publish(one)
    reader = Neo4jStore.from_environment()
    seen = 0
    every = "MATCH (o:Organization) RETURN count(o)"

    def look(stage: str, done: int, total: int | None) -> None:
        nonlocal seen
        del stage, done, total
        seen += 1
        check_whole(reader, one)
        assert reader.query("MATCH (o:Organization {run: $run}) RETURN count(o)", {}).rows == ((100,),)
        with pytest.raises(RingfenceError, match="another run is being written"):
            reader.query(every, {})

    store.publish(two, look)
    assert seen > 4
    check_whole(reader, two)
    assert reader.query(every, {}).rows == ((90,),)
    check_only(database, two)
    reader.close()


def test_a_question_is_asked_again_when_the_run_changes_in_its_middle(store: Neo4jStore) -> None:
    store.publish(HandView(["old one", "old two"], clusters={"old": ["old one"]}))
    other = Neo4jStore.from_environment()
    published = []

    def publishing(text: str) -> Iterator[tuple[str, bytes]]:
        if not published:
            published.append(text)
            other.publish(HandView(["old three", "other"], clusters={"old cluster": ["other"]}, run_id="two"))
        yield from ()

    found = store.find("old", keys_of=publishing)
    assert [item.name for item in found.items] == ["Ring old cluster", "old three"] or [
        item.ref.key for item in found.items
    ] == ["old cluster", org("old three").key]
    assert found.total == 2
    other.close()


def test_a_scan_fails_when_the_run_changes_in_its_middle(store: Neo4jStore) -> None:
    store.publish(HandView(["a", "b"]))
    reader = store.scan("Organization")
    other = Neo4jStore.from_environment()
    other.publish(HandView(["c"], run_id="run_two"))
    other.close()
    with pytest.raises(RingfenceError, match="changed while it was read"):
        reader.read_all()


def test_a_gate_that_was_left_closed_opens_by_itself(database: Database, store: Neo4jStore) -> None:
    store.publish(HandView(["a"]))
    database.run("MATCH (b:Ringfence {key: 'gate'}) SET b.closed = timestamp() - 3600000")
    assert store.find("a").total == 1


@pytest.mark.usefixtures("in_parts")
def test_work_that_is_repeated_is_done_once(
    database: Database, store: Neo4jStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a commit succeeds and the server dies before it says so."""
    once: Callable[..., Any] = Neo4jStore._write

    def twice(self: Neo4jStore, work: Callable[..., Any]) -> Any:
        first, _ = once(self, work), once(self, work)
        return first

    one, two = crowd("run_one"), crowd("run_two")
    monkeypatch.setattr(Neo4jStore, "_write", twice)
    store.publish(one)
    check_whole(store, one)
    monkeypatch.setattr(neo4j_publish, "SMALL", 5_000)
    two.before = one
    store.publish(two)
    store.publish(crowd("run_three", 7))
    check_only(database, crowd("run_three", 7))
    check_whole(store, crowd("run_three", 7))


CHILD = """
import sys
sys.path.insert(0, {tests!r})
from graph.errors import RingfenceError
from graph.stores.neo4j import load as neo4j_load
from graph.stores.neo4j import publish as neo4j_publish
from graph.stores.neo4j import schema as neo4j_schema
from graph.stores.neo4j.store import Neo4jStore
from test_graph_store_neo4j import crowd

neo4j_publish.SMALL, neo4j_load.ROWS, neo4j_schema.ROWS = 0, 40, 40

def pause(stage, done, total):
    if done >= {done}:
        print("paused", flush=True)
        sys.stdin.read()

Neo4jStore.from_environment().publish(crowd("run_two", 200), pause)
"""


@pytest.mark.usefixtures("in_parts")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_killed_publication_leaves_the_old_run_and_the_next_removes_what_it_wrote(
    database: Database, store: Neo4jStore, seed: int
) -> None:
    one, three = crowd("run_one"), crowd("run_three", 60)
    store.publish(one)
    script = CHILD.format(tests=str(Path(__file__).parent), done=random.Random(seed).randrange(40, 600))
    child = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "paused\n"
        check_whole(store, one)
        with pytest.raises(RingfenceError, match="another process is publishing"):
            store.publish(three)
        child.kill()
    check_whole(store, one)
    assert database.run("MATCH (o:Organization) RETURN count(o) > 100") == [[True]]
    store.publish(three)
    check_whole(store, three)
    check_only(database, three)


def test_a_publisher_who_lost_the_right_writes_no_more(
    database: Database, store: Neo4jStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neo4j_publish, "SMALL", 0)
    store.publish(crowd("run_one"))

    def usurp(stage: str, done: int, total: int | None) -> None:
        del stage, done, total
        database.run("MATCH (p:Ringfence {key: 'publisher'}) SET p.token = 'another'")

    with pytest.raises(RingfenceError, match="another process has begun to publish"):
        store.publish(crowd("run_two"), usurp)
    check_whole(store, crowd("run_one"))


@pytest.mark.usefixtures("in_parts")
def test_a_server_that_is_gone_is_said_and_nothing_is_half(
    database: Database, store: Neo4jStore, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = crowd("run_one")
    store.publish(one)
    reader = store.scan("USED_IP")
    monkeypatch.setattr("graph.stores.neo4j.connection.RETRY_S", 0.5)
    publisher = Neo4jStore.from_environment()

    def stop(stage: str, done: int, total: int | None) -> None:
        del stage, total
        if done > 120:
            server.stop()

    with pytest.raises(RingfenceError, match="does not answer"):
        publisher.publish(crowd("run_two"), stop)
    with pytest.raises(RingfenceError, match="does not answer"):
        reader.read_all()
    with pytest.raises(RingfenceError, match="does not answer"):
        Neo4jStore.from_environment().run_id()
    server.start()
    check_whole(store, one)
    publisher.publish(crowd("run_three", 50))
    check_whole(store, crowd("run_three", 50))
    check_only(database, crowd("run_three", 50))
    publisher.close()


@pytest.mark.usefixtures("in_parts")
def test_a_server_that_restarts_is_waited_for_and_the_copy_is_whole(
    database: Database, store: Neo4jStore, server: Server, tmp_path: Path
) -> None:
    source, one, two = SqliteStore(tmp_path / "graph.sqlite"), crowd("run_one", 50), crowd("run_two")
    source.publish(two)
    source.set_status([org("run_two 7")], "banned", AT)
    store.publish(one)
    restarts = iter([True])

    def restart(stage: str, done: int, total: int | None) -> None:
        del stage, total
        if done > 120 and next(restarts, False):
            server.stop()
            server.start()
            check_whole(store, one)

    assert copy(source, store, restart) == "run_two"
    check_whole(store, two)
    check_only(database, two)
    assert store.statuses() == source.statuses()
    source.close()


def test_a_copy_from_a_server_that_stops_fails_clearly_and_is_never_half(
    store: Neo4jStore, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, one, two = SqliteStore(tmp_path / "graph.sqlite"), crowd("run_one", 50), crowd("run_two")
    target.publish(one)
    store.publish(two)
    monkeypatch.setattr("graph.stores.neo4j.connection.RETRY_S", 0.5)
    hasty = Neo4jStore.from_environment()

    def stop(stage: str, done: int, total: int | None) -> None:
        del stage, total
        if done > 120:
            server.stop()

    with pytest.raises(RingfenceError, match="does not answer"):
        copy(hasty, target, stop)
    check_whole(target, one)
    server.start()
    assert copy(hasty, target) == "run_two"
    check_whole(target, two)
    hasty.close()
    target.close()


@pytest.mark.parametrize("walk", [1, 1000])
@pytest.mark.parametrize("limit", [1, 7, 39, 40, 50])
def test_the_first_of_a_hub_are_found_either_way(
    store: Neo4jStore, monkeypatch: pytest.MonkeyPatch, walk: int, limit: int
) -> None:
    monkeypatch.setattr(neo4j_expand, "_WALK", walk)
    names = [f"org {number}" for number in range(60)]
    store.publish(HandView(names, [("ip", "192.0.2.7", name) for name in names[:40]]))
    found = store.expand([HUB], degree_cap=None, limit=limit)
    assert [rel.source for rel in found.items] == sorted(org(name) for name in names[:40])[:limit]
    assert found.total == 40


def test_every_definition_is_there_by_its_name(database: Database, store: Neo4jStore) -> None:
    store.migrate()
    there = {row[0] for row in database.run("SHOW INDEXES YIELD name")}
    assert set(neo4j_schema.definitions()) <= there
    assert {f"ringfence_{label}_key" for label in NODES} <= there


def test_the_threads_of_a_process_may_share_a_store(store: Neo4jStore) -> None:
    from concurrent.futures import ThreadPoolExecutor

    store.publish(crowd("run_one"))
    with ThreadPoolExecutor(4) as pool:
        totals = list(pool.map(lambda number: store.find(f"run_one {number}").total, range(20)))
    assert totals == [1 + 10 * (0 < number < 10) for number in range(20)]


def test_keys_that_no_text_can_be_are_not_there(store: Neo4jStore) -> None:
    store.publish(HandView(["a"]))
    odd = [NodeRef("Organization", "\ud800"), NodeRef("Cluster", "x" * 100_000), NodeRef("Nothing", "x")]
    assert store.get_nodes(odd) == {}
    assert store.expand(odd).items == ()
    assert store.set_status(odd, "banned", AT) == 0
    assert store.cluster_subgraph("cl_none") is None


def test_compose_runs_the_same_neo4j_with_its_password_from_a_file() -> None:
    root = Path(__file__).parents[2]
    composed = yaml.safe_load((root / "docker" / "compose.yaml").read_text())
    service = composed["services"]["neo4j"]
    assert service["image"].startswith("neo4j:5.26")
    assert service["healthcheck"]["test"]
    assert service["environment"]["NEO4J_AUTH_FILE"] == "/run/secrets/neo4j_auth"
    assert service["secrets"] == ["neo4j_auth"]
    assert "file" in composed["secrets"]["neo4j_auth"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    volumes = [volume.split(":")[0] for volume in service["volumes"]]
    assert set(volumes) <= set(composed["volumes"])
