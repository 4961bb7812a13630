"""A run's files become the graph that the schema declares, whatever their order and size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_files import AS_OF, MEMBERS, ORGS, PAIR, RING, USES, key, write_run, write_values

from graph.confusables import skeleton
from graph.errors import RingfenceError
from graph.keys import Keys, KeySet
from graph.schema import NODES, RELATIONSHIPS
from graph.stores.sqlite.store import SqliteStore
from graph.view import RunView


@pytest.fixture
def view(tmp_path: Path) -> RunView:
    return RunView(write_run(tmp_path), "run_x", AS_OF, [write_values(tmp_path / "values.parquet")])


def _tables(view: RunView) -> dict[str, pa.Table]:
    nodes = {label: pa.Table.from_batches(view.nodes(label), node.arrow) for label, node in NODES.items()}
    links = {
        name: pa.Table.from_batches(view.relationships(name), rel.arrow)
        for name, rel in RELATIONSHIPS.items()
    }
    return nodes | links


def test_nodes_carry_what_the_run_and_the_facts_say(view: RunView) -> None:
    tables = _tables(view)
    address = tables["Ip"].to_pylist()[0]
    assert address["key"] == key("ip", "192.0.2.7")
    assert (address["canonical"], address["display"], address["degree"]) == (
        "192.0.2.7",
        "192.0.2.7",
        len(ORGS),
    )
    assert address["first_at"] < address["last_at"] == AS_OF
    assert tables["Email"].column("skeleton").to_pylist() == [skeleton("=evil@corp.example")]
    secret = tables["ApiKey"].to_pylist()[0]
    assert (secret["canonical"], secret["display"]) == (None, "…1234")
    assert sorted(tables["Organization"].column("org_id").to_pylist()) == sorted(ORGS)
    assert tables["Cluster"].column("cluster_id").to_pylist() == [PAIR, RING]
    assert tables["Cluster"].column("size").to_pylist() == [2, 3]
    assert tables["Run"].to_pylist() == [{"run_id": "run_x", "as_of": AS_OF, "clusters": 2}]
    assert tables["MEMBER_OF"].num_rows == sum(map(len, MEMBERS.values()))
    assert tables["USED_DEVICE"].num_rows == 3  # proofs of a link are no links of their own


@given(seed=st.integers(0, 2**32), part=st.integers(1, 7))
@settings(max_examples=12, deadline=None)
def test_the_order_and_the_size_of_parts_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, seed: int, part: int
) -> None:
    folder = tmp_path_factory.mktemp("run")
    values = [write_values(folder / "values.parquet")]
    expected = _tables(RunView(write_run(folder), "run_x", AS_OF, values))
    shuffled = [USES[at] for at in np.random.default_rng(seed).permutation(len(USES))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("graph.view.PART_ROWS", part)
        found = _tables(RunView(write_run(folder, shuffled), "run_x", AS_OF, values))
    assert found == expected


def test_the_first_text_of_a_key_counts_and_any_hidden_row(tmp_path: Path) -> None:
    files = [
        write_values(tmp_path / "1.parquet", display="first"),
        write_values(tmp_path / "2.parquet", display="second", hidden=True),
    ]
    table = _tables(RunView(write_run(tmp_path), "run_x", AS_OF, files))["Ip"]
    assert (table["display"].to_pylist(), table["hidden"].to_pylist()) == (["first"], [True])


def test_identifiers_without_texts_are_nodes_all_the_same(tmp_path: Path) -> None:
    table = _tables(RunView(write_run(tmp_path), "run_x", AS_OF, []))["Ip"]
    assert (table["display"].to_pylist(), table["degree"].to_pylist()) == ([None], [len(ORGS)])


def test_a_run_without_links_or_values_is_a_graph(tmp_path: Path) -> None:
    view = RunView(write_run(tmp_path, []), "run_x", AS_OF, [write_values(tmp_path / "v.parquet")])
    assert _tables(view)["Ip"].num_rows == 0


def test_a_run_can_be_published_and_asked(view: RunView, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "graph.sqlite")
    store.publish(view)
    assert store.run_id() == "run_x"
    assert [item.name for item in store.find("192.0.2").items] == ["192.0.2.7"]
    assert {found.name for found in store.find("=").items} == {ORGS[0], "=evil@corp.example", "=ring"}
    store.close()


def test_unknown_kinds_and_missing_files_are_refused(tmp_path: Path) -> None:
    folder = write_run(tmp_path, [("ip", "192.0.2.7", ORGS[0]), ("organization", ORGS[1], ORGS[0])])
    with pytest.raises(RingfenceError, match="'organization'"):
        list(RunView(folder, "run_x", AS_OF, []).nodes("Ip"))
    (folder / "clusters.parquet").unlink()
    with pytest.raises(RingfenceError, match="cannot read"):
        list(RunView(folder, "run_x", AS_OF, []).nodes("Cluster"))


_HALF = st.sampled_from([0, 1, 2**40, 2**63, 2**64 - 1])


@given(st.sets(st.tuples(_HALF, _HALF)), st.lists(st.tuples(_HALF, _HALF)))
def test_a_set_of_keys_locates_its_members_also_where_upper_halves_are_equal(
    members: set[tuple[int, int]], wanted: list[tuple[int, int]]
) -> None:
    def keys(pairs: list[tuple[int, int]]) -> Keys:
        raw = [high.to_bytes(8, "big") + low.to_bytes(8, "big") for high, low in pairs]
        return Keys.of(pa.array(raw, pa.binary(16)))

    at, place = KeySet(keys(list(members))).locate(keys(wanted))
    ordered = sorted(members)
    assert at.tolist() == [number for number, pair in enumerate(wanted) if pair in members]
    assert [ordered[number] for number in place] == [wanted[number] for number in at]
    assert keys(wanted).arrow().to_pylist() == [
        a.to_bytes(8, "big") + b.to_bytes(8, "big") for a, b in wanted
    ]
