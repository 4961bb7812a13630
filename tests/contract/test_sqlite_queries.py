"""A person's own SQL, and a hub that very many share, on the SQLite store."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from graph_views import PEPPER, START, HandView

from graph.errors import RingfenceError
from graph.lookup import organization_ref
from graph.schema import NODES, RELATIONSHIPS
from graph.store import NodeRef
from graph.stores.sqlite.store import SqliteStore
from graph.walks import neighbourhood, shortest_path

BANNED_AT = datetime(2025, 10, 5, 12, tzinfo=UTC)


def org(name: str) -> NodeRef:
    return organization_ref(name, PEPPER)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "graph.sqlite")
    yield opened
    opened.close()


WRITES = [
    'DELETE FROM "Organization"',
    "CREATE TABLE x (y)",
    "PRAGMA query_only = off",
    "PRAGMA user_version",
    "ATTACH ':memory:' AS other",
    "BEGIN",
    "VACUUM INTO 'x.sqlite'",
    "SELECT load_extension('x')",
    "INSERT INTO OrganizationKept VALUES (x'00', 'x', 1)",
]


@pytest.mark.parametrize("text", WRITES)
def test_queries_only_read(store: SqliteStore, text: str) -> None:
    store.publish(HandView(["a"]))
    store.set_status([org("a")], "banned", BANNED_AT)
    with pytest.raises(RingfenceError) as told:
        store.query(text, {})
    assert told.value.remedy
    assert store.scan("Organization").read_all().num_rows == 1
    assert store.statuses().num_rows == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SELEC 1", "the query fails"),
        ("SELECT :missing", "the query fails"),
        ("SELECT 1; SELECT 2", "more than one statement"),
        ("", "no statement"),
        ("-- nothing", "no statement"),
        ("SELECT length(zeroblob(100000000))", "the query fails"),
        ("SELECT '\ud800'", "the query fails"),
    ],
)
def test_what_is_wrong_with_a_query_is_said(store: SqliteStore, text: str, said: str) -> None:
    store.publish(HandView(["a"]))
    with pytest.raises(RingfenceError, match=said) as told:
        store.query(text, {})
    assert told.value.exit_code == 2


def test_a_query_that_takes_too_long_is_stopped(store: SqliteStore) -> None:
    store.publish(HandView(["a"]))
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
    with pytest.raises(RingfenceError, match="longer than 0"):
        store.query(endless, {}, timeout_s=0.01)


def test_a_query_answers_in_plain_values(store: SqliteStore) -> None:
    store.publish(HandView(["a", "b"], uses=[("ip", "192.0.2.7", "a")]))
    store.set_status([org("a")], "banned", BANNED_AT)
    text = (
        "SELECT o.key, i.hidden, i.first_at, max(i.last_at) AS latest_at, k.status, k.status_at AS since "
        "FROM Organization o JOIN USED_IP u ON u.source = o.id JOIN Ip i ON i.id = u.target "
        "LEFT JOIN OrganizationKept k ON k.key = o.key WHERE o.org_id = :name AND i.first_at <= :until"
    )
    found = store.query(text, {"name": "a", "until": START})
    assert found.columns == ("key", "hidden", "first_at", "latest_at", "status", "since")
    (row,) = found.rows
    assert row[:3] == (org("a").key, False, START)
    assert isinstance(row[3], datetime)
    assert row[4:] == ("banned", BANNED_AT)
    assert not found.cut
    many = store.query("SELECT org_id FROM Organization ORDER BY org_id", {}, limit=1)
    assert (many.rows, many.cut) == ((("a",),), True)
    nothing = store.query("SELECT org_id AS it FROM Organization WHERE 0; -- that is all", {})
    assert (nothing.columns, nothing.rows) == (("it",), ())


class Hub:
    """An address that very many organizations use; all may belong to one cluster, and be brought by one of them."""

    run_id = "run_hub"

    def __init__(self, size: int, types: Collection[str]) -> None:
        raw = b"".join((number << 96).to_bytes(16, "big") for number in range(1, size + 1))
        self.keys = pa.Array.from_buffers(pa.binary(16), size, [None, pa.py_buffer(raw)])
        self.size = size
        self._types = types

    def nodes(self, label: str) -> Iterator[pa.RecordBatch]:
        rows: dict[str, dict[str, Any]] = {
            "Ip": {"key": bytes(16), "canonical": "192.0.2.7", "display": "192.0.2.7", "degree": self.size},
            "Cluster": {"cluster_id": "cl_hub", "name": "Hub", "size": self.size, "risk": 1.0},
            "Run": {"run_id": self.run_id, "clusters": 1},
        }
        schema = NODES[label].arrow
        if label == "Organization":
            brought = pa.array([self.size - 1] + [0] * (self.size - 1))
            yield self._batch({"key": self.keys, "org_id": _texts(self.size), "referred": brought}, schema)
        elif label in rows:
            yield pa.RecordBatch.from_pylist([rows[label]], schema)

    def relationships(self, name: str) -> Iterator[pa.RecordBatch]:
        targets = {"USED_IP": bytes(16), "MEMBER_OF": "cl_hub", "REFERRED_BY": self.keys[0].as_py()}
        if name in targets and name in self._types:
            sources = self.keys[1:] if name == "REFERRED_BY" else self.keys
            schema = RELATIONSHIPS[name].arrow
            target = pa.array([targets[name]] * len(sources), schema.field("target").type)
            yield self._batch({"source": sources, "target": target}, schema)

    def changes_since(self, run_id: str) -> None:
        assert run_id

    @staticmethod
    def _batch(columns: dict[str, pa.Array], schema: pa.Schema) -> pa.RecordBatch:
        rows = len(next(iter(columns.values())))
        arrays = [columns.get(field.name, pa.nulls(rows, field.type)) for field in schema]
        return pa.record_batch(
            [one.cast(field.type) for one, field in zip(arrays, schema, strict=True)], schema
        )


def _texts(count: int) -> pa.Array:
    return pa.array([f"org {number:06}" for number in range(count)])


def test_a_hub_of_a_million_stalls_no_question(store: SqliteStore) -> None:
    hub = Hub(1_000_000, ["USED_IP"])
    store.publish(hub)
    address = NodeRef("Ip", "0" * 32)
    first, second = (NodeRef("Organization", hub.keys[at].as_py().hex()) for at in (0, 1))
    steps = counted(store)
    assert store.expand([first], types=["USED_IP"]).left_out == {address}
    for frontier in ([address], [address, first, second]):
        found = store.expand(frontier, degree_cap=None, limit=100)
        assert (len(found.items), found.total) == (100, hub.size)
    assert store.shared_identifiers(first, second).total == 1
    assert neighbourhood(store, second).hubs == 1
    assert neighbourhood(store, address, degree_cap=None, limit=50).total >= hub.size
    assert shortest_path(store, first, second).exhausted
    assert len(shortest_path(store, first, second, degree_cap=None).relationships) == 2
    assert len(steps) < 5_000


def test_a_cluster_of_very_many_stalls_no_question(store: SqliteStore) -> None:
    hub = Hub(100_000, ["USED_IP", "MEMBER_OF", "REFERRED_BY"])
    store.publish(hub)
    address, cluster = NodeRef("Ip", "0" * 32), NodeRef("Cluster", "cl_hub")
    first = NodeRef("Organization", hub.keys[0].as_py().hex())
    steps = counted(store)
    for frontier in ([cluster], [first], [address, cluster, first]):
        found = store.expand(frontier, degree_cap=None, limit=100)
        assert (len(found.items), found.cut) == (100, True)
    assert store.get_nodes([address, cluster, first]).keys() == {address, cluster, first}
    assert store.find("192.0.2.7").total == 1
    assert [node.ref for node in store.clusters().items] == [cluster]
    assert len(steps) < 1_000
    whole = store.cluster_subgraph("cl_hub")
    assert whole is not None
    assert (whole.organizations.num_rows, whole.relationships.num_rows) == (hub.size, hub.size)
    assert (whole.identifiers["members"].to_pylist(), whole.total) == ([hub.size], 1)


def counted(store: SqliteStore) -> list[int]:
    """One more entry for every thousand steps that SQLite takes from now on."""
    steps: list[int] = []

    def step() -> bool:
        steps.append(1)
        return False

    with store._reading() as connection:
        connection.set_progress_handler(step, 1_000)
    return steps
