"""What one organization alone has is shown as if the graph had it, and is not in the graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from graph_properties import Opened, for_every, views
from graph_views import NASTY, PEPPER, START, HandView, org_ref, ref
from hypothesis import strategies as st

from graph.errors import RingfenceError
from graph.facts_schema import VALUES
from graph.identifiers import SECRET_KINDS
from graph.leaf_store import WithLeaves
from graph.lookup import keys_of
from graph.paths import evidence_paths
from graph.run_index import LEAF_KEYS, LEAVES, LeafIndex
from graph.schema import EVIDENCE, NODES, RELATIONSHIPS
from graph.store import GraphStore, Match, NodeRef
from graph.walks import neighbourhood, shortest_path

Use = tuple[str, str, str]
TIMES = pa.timestamp("us", tz="UTC")


def parted(view: HandView) -> tuple[HandView, list[Use]]:
    """The view of what is shared, and the uses of all else."""
    users = Counter(use[:2] for use in dict.fromkeys(view.uses))
    alone = [use for use in view.uses if users[use[:2]] == 1]
    return replace(view, uses=[use for use in view.uses if use not in alone]), alone


def write_index(folder: Path, uses: Sequence[Use], rows: int = 2) -> Path:
    """The files of a run's index, in row groups of few rows."""
    found = sorted(
        (bytes.fromhex(org_ref(org).key), kind, bytes.fromhex(ref(kind, text).key))
        for kind, text, org in uses
    )
    table = pa.table(
        {
            "organization": uuids([org for org, _, _ in found]),
            "kind": pa.array([kind for _, kind, _ in found], pa.string()),
            "key": uuids([key for _, _, key in found]),
            "first_at": pa.array([START] * len(found), TIMES),
            "last_at": pa.array([START + timedelta(hours=1)] * len(found), TIMES),
            "uses": pa.array([2] * len(found), pa.int64()),
        }
    )
    pq.write_table(table, folder / f"{LEAVES}.parquet", row_group_size=rows)
    owners = sorted((key, org) for org, _, key in found)
    columns = {"key": uuids([key for key, _ in owners]), "organization": uuids([org for _, org in owners])}
    pq.write_table(pa.table(columns), folder / f"{LEAF_KEYS}.parquet", row_group_size=rows)
    return folder


def uuids(keys: list[bytes]) -> pa.Array:
    return pa.ExtensionArray.from_storage(pa.uuid(), pa.array(keys, pa.binary(16)))


def write_values(path: Path, uses: Sequence[Use], hidden: bool = False) -> Path:
    """A value file of the facts."""
    texts = [(kind, None if kind in SECRET_KINDS else text, f"…{text[-4:]}") for kind, text, _ in uses]
    table = pa.table(
        {
            "kind": [kind for kind, _, _ in texts],
            "key": uuids([bytes.fromhex(ref(kind, text).key) for kind, text, _ in uses]),
            "organization": uuids([bytes.fromhex(org_ref(org).key) for _, _, org in uses]),
            "raw": pa.array([canonical for _, canonical, _ in texts], pa.string()),
            "canonical": pa.array([canonical for _, canonical, _ in texts], pa.string()),
            "display": [display for _, _, display in texts],
            "hidden": [hidden] * len(texts),
        }
    )
    pq.write_table(table.cast(VALUES), path, row_group_size=3)
    return path


@for_every(
    120,
    view=views(),
    picks=st.sets(st.integers(0, 30), max_size=5),
    types=st.none() | st.sets(st.sampled_from(sorted(RELATIONSHIPS))),
    cap=st.none() | st.integers(0, 4),
    limit=st.integers(0, 12) | st.just(1000),
)
def test_a_store_with_leaves_expands_as_if_it_had_everything(
    filled: Opened, view: HandView, picks: set[int], types: set[str] | None, cap: int | None, limit: int
) -> None:
    shared, alone = parted(view)
    nodes = sorted(view.oracle().nodes)
    frontier = {nodes[pick % len(nodes)] for pick in picks}
    touching = [edge for edge in view.edges(types) if {edge.source, edge.target} & frontier]
    expected = [edge for edge in touching if cap is None or edge.degree <= cap]
    with TemporaryDirectory() as folder:
        index = LeafIndex(write_index(Path(folder), alone))
        store = WithLeaves(filled(shared), index)
        found = store.expand(frontier, types=types, degree_cap=cap, limit=limit)
        nodes_found = store.get_nodes([*frontier, NodeRef("Ip", "0" * 32), NodeRef("Ip", "?")])
        again = neighbourhood(store, org_ref(view.organizations[0]), degree_cap=None)
    assert [(rel.type, rel.target, rel.source, rel.degree) for rel in found.items] == expected[:limit]
    assert (found.total, found.cut) == (len(expected), len(expected) > limit)
    assert found.hubs == len({edge.target for edge in touching} - {edge.target for edge in expected})
    assert nodes_found.keys() == frontier
    start = org_ref(view.organizations[0])
    own = {edge.target for edge in view.edges(EVIDENCE) if edge.source == start}
    assert own <= {node.ref for node in again.nodes}


def test_a_leaf_is_a_node_with_texts(store: GraphStore, tmp_path: Path) -> None:
    uses = [*(("user", text, "one") for text in NASTY), ("api_key", "sk-live-0123456789", "two")]
    store.publish(HandView(["one", "two"]))
    values = [
        write_values(tmp_path / "1.parquet", uses[:9]),
        write_values(tmp_path / "2.parquet", uses, hidden=True),
    ]
    with_leaves = WithLeaves(store, LeafIndex(write_index(tmp_path, uses), values))
    for kind, text, org in uses:
        leaf = ref(kind, text)
        node = with_leaves.get_node(leaf.label, leaf.key)
        assert node is not None
        assert (node.name, node.degree) == (f"…{text[-4:]}", 1)
        assert node.properties.keys() == {column.name for column in NODES[leaf.label].columns}
        assert node.properties["canonical"] == (None if kind == "api_key" else text)
        assert node.properties["hidden"] is True
        assert node.properties["last_at"] == START + timedelta(hours=1)
        assert [rel.source for rel in with_leaves.expand([leaf]).items] == [org_ref(org)]
        (found,) = with_leaves.find(text, keys_of=keys_of(PEPPER), labels=[leaf.label]).items
        assert (found.ref, found.degree) == (leaf, 1)
        assert found.match is (Match.SPELLING if kind == "api_key" else Match.EXACT)
        assert [item.ref for item in with_leaves.find(leaf.key).items] == [leaf]
    assert with_leaves.find("one").total == store.find("one").total == 1
    assert with_leaves.get_node("Device", ref("user", NASTY[0]).key) is None


def test_leaves_lead_nowhere_and_end_everywhere(store: GraphStore, tmp_path: Path) -> None:
    shared = [("device", "d", org) for org in ("a", "b")]
    alone = [("ip", "192.0.2.7", "a"), ("ip", "192.0.2.8", "b")]
    store.publish(HandView(["a", "b"], shared))
    with_leaves = WithLeaves(store, LeafIndex(write_index(tmp_path, alone)))
    path = shortest_path(with_leaves, ref("ip", "192.0.2.7"), ref("ip", "192.0.2.8"))
    assert path.nodes == (
        ref("ip", "192.0.2.7"),
        org_ref("a"),
        ref("device", "d"),
        org_ref("b"),
        ref("ip", "192.0.2.8"),
    )
    assert evidence_paths(with_leaves, org_ref("a"), org_ref("b")) == evidence_paths(
        store, org_ref("a"), org_ref("b")
    )
    around = neighbourhood(with_leaves, ref("ip", "192.0.2.7"))
    assert {node.ref for node in around.nodes} == {
        ref("ip", "192.0.2.7"),
        org_ref("a"),
        ref("device", "d"),
    }


def test_a_run_without_an_index_has_no_leaves_and_a_damaged_one_is_said(
    store: GraphStore, tmp_path: Path
) -> None:
    store.publish(HandView(["a", "b"], [("ip", "192.0.2.7", "a"), ("ip", "192.0.2.7", "b")]))
    bare = WithLeaves(store, LeafIndex(tmp_path))
    assert bare.expand([org_ref("a")]) == store.expand([org_ref("a")])
    (tmp_path / f"{LEAVES}.parquet").write_bytes(b"nothing")
    with pytest.raises(RingfenceError, match="cannot read"):
        WithLeaves(store, LeafIndex(tmp_path)).expand([org_ref("a")])


def test_what_passes_through_is_the_store_s_own(store: GraphStore, tmp_path: Path) -> None:
    view = HandView(["a", "b"], [("ip", "192.0.2.7", org) for org in "ab"], {"cl_a": ["a", "b"]})
    outer = WithLeaves(store, LeafIndex(tmp_path))
    outer.migrate()
    outer.publish(view)
    assert (outer.run_id(), outer.language) == ("run_one", store.language)
    assert outer.clusters() == store.clusters()
    assert outer.set_status([org_ref("a")], "banned", START) == 1
    assert outer.statuses().to_pylist() == store.statuses().to_pylist()
    graph = outer.cluster_subgraph("cl_a")
    assert graph is not None
    assert graph.total == 1
    assert outer.shared_identifiers(org_ref("a"), org_ref("b")).total == 1
    assert outer.scan("Ip").read_all().num_rows == 1
    outer.close()
