"""Where the nodes of clusters go: nothing overlaps, what belongs together is near, and the same is always the same."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detection import placing
from detection.layout import lay_out, lay_out_cluster, lay_out_subgraph
from graph.errors import RingfenceError
from graph.layouts import CELL_COLUMNS, NODE_COLUMNS, Layout, read_layout
from graph.store import Node, NodeRef, Subgraph

KINDS = ("ip", "device", "payment_method", "phone")
SLACK = 1e-3
Use = tuple[int, str, int]
"""Number of a member, kind and number of an identifier."""


def key(what: str, number: int) -> bytes:
    return random.Random(f"{what} {number}").randbytes(16)


def write_run(folder: Path, clusters: dict[str, Sequence[Use]], *, seed: int = 0, risk: float = 90.0) -> Path:
    """Tables `members` and `links` of clusters that are given as who uses what, in an order that `seed` shuffles."""
    folder.mkdir(exist_ok=True)
    members = [
        (name, number)
        for name, uses in clusters.items()
        for number in sorted({member for member, *_ in uses})
    ]
    links = [(name, *use) for name, uses in clusters.items() for use in uses]
    shuffled = random.Random(seed)
    shuffled.shuffle(members)
    shuffled.shuffle(links)
    table: dict[str, Any] = {
        "organization": _uuids([key(name, number) for name, number in members]),
        "cluster_id": pa.array([name for name, _ in members], pa.string()),
        "member_risk": pa.array([risk] * len(members), pa.float64()),
    }
    pq.write_table(pa.table(table), folder / "members.parquet")
    table = {
        "organization": _uuids([key(name, member) for name, member, *_ in links]),
        "kind": pa.array([kind for *_, kind, _ in links], pa.string()),
        "key": _uuids([key(f"{name} {kind}", number) for name, _, kind, number in links]),
    }
    pq.write_table(pa.table(table), folder / "links.parquet")
    return folder


def _uuids(keys: Sequence[bytes]) -> pa.Array:
    return pa.ExtensionArray.from_storage(pa.uuid(), pa.array(keys, pa.binary(16)))


def rings(seed: int, sizes: Sequence[int], bridges: int = 3) -> list[Use]:
    """A cluster of rings: members of each share many identifiers of their own, neighbours share few."""
    draw = random.Random(seed)
    uses: set[Use] = set()
    start = 0
    for number, size in enumerate(sizes):
        for member in range(start, start + size):
            for kind in KINDS:
                uses.add((member, kind, 1000 * number + draw.randrange(max(1, size // 5))))
        if number:
            for bridge in range(bridges):
                shared = ("ip", 100_000 + 100 * number + bridge)
                uses |= {(start + draw.randrange(size), *shared), (start - 1 - draw.randrange(3), *shared)}
        start += size
    return sorted(uses)


CLUSTERS = {
    "cl_pair": [(0, "ip", 1), (1, "ip", 1)],
    "cl_small": rings(1, [6]),
    "cl_middle": rings(2, [25, 18]),
    "cl_large": rings(3, [60, 45, 90, 30]),
    "cl_alone": [(0, "ip", 1), (1, "ip", 2), (2, "phone", 5)],
    "cl_hub": [(member, "device", 0) for member in range(260)],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Layout]:
    folder = write_run(tmp_path_factory.mktemp("run") / "run", CLUSTERS)
    return folder, lay_out(folder)


def check(layout: Layout) -> None:
    """No two nodes of a cell are nearer than a unit, all are inside, no two cells overlap."""
    nodes, cells = (table.to_pandas() for table in (layout.nodes, layout.cells))
    for cluster_id, own in cells.groupby("cluster_id"):
        mine = nodes[nodes.cluster_id == cluster_id]
        assert list(own.cell) == list(range(len(own)))
        assert list(own.organizations) == sorted(own.organizations, reverse=True)
        assert own.organizations.sum() == (mine.label == "Organization").sum()
        apart = _distances(own[["x", "y"]].to_numpy())
        room = own.radius.to_numpy()[:, None] + own.radius.to_numpy()[None] - SLACK * 10
        assert (apart >= room)[~np.eye(len(own), dtype=bool)].all()
        for cell in own.itertuples():
            inside = mine[mine.cell == cell.cell][["x", "y"]].to_numpy()
            assert len(inside)
            reach = np.hypot(inside[:, 0] - cell.x, inside[:, 1] - cell.y)
            assert (reach + 0.5 <= cell.radius + SLACK).all()
            near = _distances(inside)[~np.eye(len(inside), dtype=bool)]
            assert near.min(initial=1.0) >= 1 - SLACK * 10


def _distances(at: np.ndarray) -> np.ndarray:
    return np.hypot(*(at[:, None] - at[None]).transpose(2, 0, 1))


def test_nothing_overlaps_and_all_is_inside(run: tuple[Path, Layout]) -> None:
    _, layout = run
    check(layout)
    assert layout.nodes.schema == NODE_COLUMNS
    assert layout.cells.schema == CELL_COLUMNS


def test_every_member_and_shared_identifier_has_its_place(run: tuple[Path, Layout]) -> None:
    _, layout = run
    for cluster_id, uses in CLUSTERS.items():
        shared = {use[1:] for use in uses if len({other[0] for other in uses if other[1:] == use[1:]}) > 1}
        mine = layout.nodes.filter(pc.equal(layout.nodes["cluster_id"], cluster_id)).to_pylist()
        expected = {("Organization", key(cluster_id, member)) for member, *_ in uses}
        labels = {"ip": "Ip", "device": "Device", "payment_method": "PaymentMethod", "phone": "Phone"}
        expected |= {(labels[kind], key(f"{cluster_id} {kind}", number)) for kind, number in shared}
        assert [(row["label"], row["key"]) for row in mine] == sorted(expected)


def test_files_are_the_same_whatever_the_order_of_rows(run: tuple[Path, Layout], tmp_path: Path) -> None:
    folder, _ = run
    for seed in (1, 2):
        other = write_run(tmp_path / f"run-{seed}", dict(reversed(CLUSTERS.items())), seed=seed)
        lay_out(other)
        for name in ("layout.parquet", "cells.parquet"):
            assert (other / name).read_bytes() == (folder / name).read_bytes()


def test_a_cluster_alone_is_laid_out_as_among_others(run: tuple[Path, Layout], tmp_path: Path) -> None:
    folder, _ = run
    for cluster_id, uses in CLUSTERS.items():
        alone = write_run(tmp_path / cluster_id, {cluster_id: uses})
        graph, layout = lay_out_cluster(alone, cluster_id)
        written = read_layout(folder, cluster_id)
        assert layout.nodes.equals(written.nodes)
        assert layout.cells.equals(written.cells)
        assert len(graph.label) == layout.nodes.num_rows


def test_a_subgraph_of_a_store_is_laid_out_alike(run: tuple[Path, Layout]) -> None:
    folder, _ = run
    written = read_layout(folder, "cl_middle")
    layout = lay_out_subgraph(subgraph("cl_middle", CLUSTERS["cl_middle"]))
    assert layout.nodes.equals(written.nodes)
    assert layout.cells.equals(written.cells)


def subgraph(cluster_id: str, uses: Sequence[Use]) -> Subgraph:
    labels = {"ip": "Ip", "device": "Device", "payment_method": "PaymentMethod", "phone": "Phone"}
    members = sorted({key(cluster_id, member) for member, *_ in uses})
    identifiers = sorted({(labels[kind], key(f"{cluster_id} {kind}", number)) for _, kind, number in uses})
    links = [
        (
            members.index(key(cluster_id, member)),
            identifiers.index((labels[kind], key(f"{cluster_id} {kind}", n))),
        )
        for member, kind, n in uses
    ]
    ref = NodeRef("Cluster", cluster_id)
    return Subgraph(
        Node(ref, None, None, {"as_of": datetime(2026, 1, 1, tzinfo=UTC)}),
        pa.table({"key": [one.hex() for one in members], "member_risk": [90.0] * len(members)}),
        pa.table(
            {"label": [label for label, _ in identifiers], "key": [one.hex() for _, one in identifiers]}
        ),
        pa.table({"source": pa.array([a for a, _ in links], pa.int32()), "target": [b for _, b in links]}),
        len(identifiers),
    )


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_connected_organizations_are_nearer_than_others(tmp_path: Path, seed: int) -> None:
    uses = rings(seed, [40, 25, 60, 15, 35], bridges=4)
    lay_out(write_run(tmp_path / "run", {"cl_rings": uses}))
    nodes = read_layout(tmp_path / "run", "cl_rings").nodes.to_pylist()
    at = {row["key"]: (row["x"], row["y"]) for row in nodes}
    used: dict[int, set[tuple[str, int]]] = {}
    for member, kind, number in uses:
        used.setdefault(member, set()).add((kind, number))
    places = np.array([at[key("cl_rings", member)] for member in sorted(used)])
    linked = np.array([[bool(used[a] & used[b]) for b in sorted(used)] for a in sorted(used)])
    distance = _distances(places)
    pairs = np.triu(np.ones_like(linked), 1)
    near, far = distance[linked & pairs], distance[~linked & pairs]
    nearer = np.searchsorted(np.sort(far), near).sum() / (len(near) * len(far))
    assert (
        1 - nearer > 0.8
    )  # the chance that a linked pair is nearer than one that is not; 0.5 if it were random
    assert np.median(near) < 0.6 * np.median(far)


def test_rings_of_a_cluster_become_cells(tmp_path: Path) -> None:
    sizes = [40, 25, 60]
    layout = lay_out(write_run(tmp_path / "run", {"cl_rings": rings(5, sizes, bridges=1)}))
    cell = {row["key"]: row["cell"] for row in layout.nodes.to_pylist()}
    start = 0
    for size in sizes:
        of_ring = [cell[key("cl_rings", member)] for member in range(start, start + size)]
        assert max(of_ring.count(one) for one in of_ring) >= 0.5 * size
        start += size
    assert 3 <= layout.cells.num_rows <= 12


def test_what_did_not_change_keeps_its_coordinates(tmp_path: Path) -> None:
    before = write_run(tmp_path / "before", CLUSTERS)
    lay_out(before)
    moved = read_layout(before)
    place = moved.nodes.schema.get_field_index("x")
    column = pa.array(moved.nodes["x"].to_numpy() + 100, pa.float32())
    nodes = moved.nodes.set_column(place, NODE_COLUMNS.field(place), column)
    pq.write_table(nodes, before / "layout.parquet")  # as only an earlier method could have put them

    changed = {**CLUSTERS, "cl_small": rings(9, [7]), "cl_new": rings(4, [5])}
    del changed["cl_pair"]
    after = write_run(tmp_path / "after", changed, seed=4, risk=10.0)
    layout = lay_out(after, before)
    fresh = lay_out(write_run(tmp_path / "fresh", changed, risk=10.0))

    for cluster_id in changed:
        kept = cluster_id not in ("cl_small", "cl_new")
        expected = nodes if kept else fresh.nodes
        mine, theirs = (
            table.filter(pc.equal(table["cluster_id"], cluster_id)) for table in (layout.nodes, expected)
        )
        assert mine.equals(theirs)
    assert layout.nodes.drop_columns("x").equals(fresh.nodes.drop_columns("x"))
    assert layout.cells.equals(fresh.cells)
    assert set(layout.cells["high_risk_share"].to_pylist()) == {0.0}


def test_links_that_only_prove_others_and_strangers_links_do_not_count(tmp_path: Path) -> None:
    uses = [(0, "ip", 1), (1, "ip", 1), (0, "device", 2), (1, "device", 2)]
    plain = lay_out(write_run(tmp_path / "plain", {"cl_a": uses}))
    more = [*uses, (0, "device_attested", 2), (1, "device_attested", 2)]
    proven = lay_out(write_run(tmp_path / "proven", {"cl_a": more}))
    assert proven.nodes.equals(plain.nodes)


def test_a_run_without_clusters_has_an_empty_layout(tmp_path: Path) -> None:
    layout = lay_out(write_run(tmp_path / "run", {}))
    assert (layout.nodes.num_rows, layout.cells.num_rows) == (0, 0)
    again = lay_out(write_run(tmp_path / "next", {"cl_pair": CLUSTERS["cl_pair"]}), tmp_path / "run")
    assert again.nodes.num_rows == 3


def test_one_cluster_is_read_from_few_rows_of_many(tmp_path: Path) -> None:
    many = {f"cl_{number:05}": rings(number % 7, [2 + number % 5]) for number in range(2_000)}
    layout = lay_out(write_run(tmp_path / "run", many))
    assert pq.read_metadata(tmp_path / "run" / "layout.parquet").num_row_groups > 2
    for wanted in ("cl_00000", "cl_00777", "cl_01999", "cl_none"):
        one = read_layout(tmp_path / "run", wanted)
        assert one.nodes.equals(layout.nodes.filter(pc.equal(layout.nodes["cluster_id"], wanted)))
        assert one.cells.equals(layout.cells.filter(pc.equal(layout.cells["cluster_id"], wanted)))


def test_missing_or_damaged_files_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RingfenceError, match="ringfence run"):
        read_layout(tmp_path, "cl_a")
    with pytest.raises(RingfenceError, match="ringfence run"):
        lay_out(tmp_path)
    (tmp_path / "layout.parquet").write_bytes(b"nonsense")
    with pytest.raises(RingfenceError, match="ringfence run"):
        read_layout(tmp_path)


def test_a_damaged_layout_of_the_run_before_is_no_hindrance(tmp_path: Path) -> None:
    before = write_run(tmp_path / "before", CLUSTERS)
    expected = lay_out(before)
    (before / "cells.parquet").write_bytes(b"nonsense")
    after = lay_out(write_run(tmp_path / "after", CLUSTERS), before)
    assert after.nodes.equals(expected.nodes)


SOME_USES = st.lists(
    st.tuples(st.integers(0, 70), st.sampled_from(KINDS), st.integers(0, 25)),
    min_size=2,
    max_size=220,
    unique=True,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(clusters=st.lists(SOME_USES, min_size=1, max_size=3))
def test_any_clusters_have_room(tmp_path: Path, clusters: list[list[Use]]) -> None:
    named = {f"cl_{number}": each for number, each in enumerate(clusters)}
    check(lay_out(write_run(tmp_path / "run", named)))


coordinates = st.floats(-50, 50, allow_nan=False)


@given(circles=st.lists(st.tuples(coordinates, coordinates, st.floats(0.1, 30)), max_size=60))
def test_packed_circles_do_not_overlap(circles: list[tuple[float, float, float]]) -> None:
    wanted = np.array([(x, y) for x, y, _ in circles]).reshape(-1, 2)
    radii = np.array([r for *_, r in circles])
    placed = placing.pack(wanted, radii)
    apart = _distances(placed)
    room = radii[:, None] + radii[None] - 1e-6
    assert (apart >= room)[~np.eye(len(circles), dtype=bool)].all()
    if len(circles):
        assert (
            placed[np.argmax(radii)] == wanted[np.argmax(radii)]
        ).all()  # the largest is where it wants to be


@given(n=st.integers(1, 40), seed=st.integers(0, 5))
@settings(max_examples=25, deadline=None)
def test_a_graph_is_placed_alike_in_any_batch(n: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    weights = (draw.random((4, n, n)) < 3 / n).astype(np.float32)
    weights = np.maximum(weights, weights.transpose(0, 2, 1))
    together = placing.level(placing.spread(placing.evened(placing.springs(weights, seed))))
    for number in range(4):
        alone = placing.springs(weights[number : number + 1], seed)
        assert (placing.level(placing.spread(placing.evened(alone)))[0] == together[number]).all()
