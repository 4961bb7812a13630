"""Exports are whole, ordered, and read back as what they were."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import networkx as nx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_files import MEMBERS, ORGS, PAIR, RING, key, write_run, write_values

from graph.errors import RingfenceError
from graph.export import MEMBER_COLUMNS, Exported, export_clusters, export_members
from graph.export_graph import GRAPH_FORMATS, export_graph
from graph.graphml import graphml, legal

SORTED = sorted((cluster, org) for cluster, orgs in MEMBERS.items() for org in orgs)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run")


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _graph(run: Path, out: Path, form: str, cluster: str | None = None, min_risk: float = 0) -> Exported:
    values = [write_values(run / "values.parquet")]
    return export_graph(run, values, out, form, cluster_id=cluster, min_risk=min_risk)


def test_members_as_csv_have_the_columns_of_the_contract_and_ids_as_they_came(
    run: Path, tmp_path: Path
) -> None:
    done = export_members(run, tmp_path / "m.csv", "csv")
    rows = _rows(tmp_path / "m.csv")
    assert done == Exported((tmp_path / "m.csv",), {"members": 5})
    assert tuple(rows[0]) == MEMBER_COLUMNS
    assert [(row["cluster_id"], row["org_id"]) for row in rows] == SORTED
    assert {row["actionable"] for row in rows} == {"false"}
    assert {float(row["cluster_risk"]) for row in rows} == {90.5, 20.0}
    assert rows[0]["top_evidence"] == "shared_device;hit_and_run"
    assert rows[0]["first_at"].endswith("Z")


def test_every_format_holds_the_same_members(run: Path, tmp_path: Path) -> None:
    export_members(run, tmp_path / "m.parquet", "parquet")
    export_members(run, tmp_path / "m.json", "json")
    table = pq.read_table(tmp_path / "m.parquet")
    objects = json.loads((tmp_path / "m.json").read_bytes())
    assert list(zip(table["cluster_id"].to_pylist(), table["org_id"].to_pylist(), strict=True)) == SORTED
    assert [(row["cluster_id"], row["org_id"]) for row in objects] == SORTED
    assert objects[0]["actionable"] is False
    assert list(objects[0]) == table.column_names == list(MEMBER_COLUMNS)


def test_a_risk_or_a_cluster_selects(run: Path, tmp_path: Path) -> None:
    assert export_members(run, tmp_path / "m.csv", "csv", min_risk=50).counts == {"members": 3}
    assert export_members(run, tmp_path / "m.csv", "csv", cluster_id=PAIR).counts == {"members": 2}
    assert export_members(run, tmp_path / "m.json", "json", min_risk=100).counts == {"members": 0}
    assert json.loads((tmp_path / "m.json").read_bytes()) == []
    export_members(run, tmp_path / "m.csv", "csv", min_risk=100)
    assert (tmp_path / "m.csv").read_text() == ",".join(MEMBER_COLUMNS) + "\n"


def test_cells_that_a_spreadsheet_would_run_are_disarmed_but_for_ids(run: Path, tmp_path: Path) -> None:
    export_clusters(run, tmp_path / "c.csv", "csv")
    rows = _rows(tmp_path / "c.csv")
    assert [row["name"] for row in rows] == ["pair", "'=ring"]
    assert [row["founder"] for row in rows] == [ORGS[3], ORGS[0]]
    assert [row["points"] for row in rows] == ["-1", "2"]  # numbers are no texts
    export_clusters(run, tmp_path / "c.json", "json")
    assert json.loads((tmp_path / "c.json").read_bytes())[1]["name"] == "=ring"


def test_graphml_loads_with_networkx(run: Path, tmp_path: Path) -> None:
    _graph(run, tmp_path / "g.graphml", "graphml")
    graph = nx.read_graphml(tmp_path / "g.graphml")
    organizations = {name: data for name, data in graph.nodes(data=True) if data["type"] == "Organization"}
    assert {data["label"] for data in organizations.values()} == {legal(org) for org in ORGS[:5]}
    node = organizations[f"Organization:{key('organization', ORGS[0]).hex()}"]
    assert (node["cluster_id"], node["cluster_risk"], node["label"]) == (RING, 90.5, ORGS[0])
    assert isinstance(node["risk"], float)
    address = graph.nodes[f"Ip:{key('ip', '192.0.2.7').hex()}"]
    assert address == {"type": "Ip", "label": "192.0.2.7", "organizations": 6}
    assert graph.nodes[f"ApiKey:{key('api_key', 'hmac-of-a-key').hex()}"]["label"] == "…1234"
    assert (
        graph.nodes[f"Name:{key('name', 'acme & sons <#>' + chr(7)).hex()}"]["label"]
        == "acme & sons <#><U+0007>"
    )
    assert not graph.is_directed()
    assert {data["type"] for *_, data in graph.edges(data=True)} >= {"USED_IP", "USED_DEVICE", "HAS_NAME"}
    assert all(data["uses"] == 3 and data["first_at"].endswith("Z") for *_, data in graph.edges(data=True))


def test_of_one_cluster_only_what_it_shares_within_is_shown(run: Path, tmp_path: Path) -> None:
    done = _graph(run, tmp_path / "g.graphml", "graphml", cluster=RING)
    graph = nx.read_graphml(tmp_path / "g.graphml")
    assert {data["type"] for _, data in graph.nodes(data=True)} == {"Organization", "Ip", "Device", "Email"}
    assert done.counts == {"nodes": 6, "relationships": 8}
    assert _graph(run, tmp_path / "g.json", "json", min_risk=50).counts == done.counts


def test_every_format_holds_the_same_graph(run: Path, tmp_path: Path) -> None:
    for form in GRAPH_FORMATS:
        done = _graph(run, tmp_path / f"g.{form}", form)
        assert all(file.exists() for file in done.files)
    expected = nx.read_graphml(tmp_path / "g.graphml")
    linked = nx.node_link_graph(json.loads((tmp_path / "g.json").read_bytes()), edges="edges")
    assert set(linked) == set(expected)
    assert nx.utils.edges_equal(linked.edges, expected.edges)
    for rows in (
        (_rows(tmp_path / "g.nodes.csv"), _rows(tmp_path / "g.csv")),
        tuple(pq.read_table(tmp_path / name).to_pylist() for name in ("g.nodes.parquet", "g.parquet")),
    ):
        assert {row["id"] for row in rows[0]} == set(expected)
        assert nx.utils.edges_equal([(row["source"], row["target"]) for row in rows[1]], expected.edges)


def test_an_unknown_format_or_cluster_and_a_place_that_is_none_are_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RingfenceError, match="cannot be exported as graphml") as refused:
        export_members(run, tmp_path / "m", "graphml")
    assert refused.value.exit_code == 2
    with pytest.raises(RingfenceError, match="no cluster cl_nothing"):
        _graph(run, tmp_path / "g.graphml", "graphml", cluster="cl_nothing")
    with pytest.raises(RingfenceError, match="cannot write"):
        export_members(run, tmp_path / "absent" / "m.csv", "csv")
    with pytest.raises(RingfenceError, match="cannot read"):
        export_members(tmp_path, tmp_path / "m.csv", "csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_a_failed_export_leaves_the_file_before(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m.json").write_text("before")

    def full(table: pa.Table) -> list[bytes]:
        del table
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("graph.export.json_array", full)
    with pytest.raises(RingfenceError, match="No space left"):
        export_members(run, tmp_path / "m.json", "json")
    assert (tmp_path / "m.json").read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.json", "run"]


@given(st.lists(st.text(), min_size=1, max_size=5, unique=True))
def test_any_text_survives_graphml(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    texts = [text for text in texts if not any("\ud800" <= one <= "\udfff" for one in text)]
    nodes = pa.table(
        {"id": [f"n{number}" for number in range(len(texts))], "label": pa.array(texts, pa.string())}
    )
    edges = pa.table({"source": pa.array([], pa.string()), "target": pa.array([], pa.string())})
    path = tmp_path_factory.mktemp("g") / "g.graphml"
    path.write_bytes(b"".join(graphml(nodes, edges)))
    read = nx.read_graphml(path)
    # networkx reads an empty element as no text at all
    assert [read.nodes[f"n{number}"].get("label") or "" for number in range(len(texts))] == [
        legal(t) for t in texts
    ]
