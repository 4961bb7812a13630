"""The notebook's face, on a run and a graph written by hand."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import networkx as nx
import pandas as pd
import pytest
from query_view import DUO, QueryView
from query_view import RING as GRAPH_RING

from api.notebook import Notebook, open_home
from graph.errors import RingfenceError
from graph.home import Home
from graph.stores.sqlite.store import SqliteStore
from tests.unit.handmade import PAIR, RING, write_run

EARLIER = "run_20260303T120000Z_0000abcd"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two runs, the second of which serves, and a graph of its id."""
    home = Home(tmp_path_factory.mktemp("home"))
    write_run(home, EARLIER, serve=False)
    store = SqliteStore(home.graph)
    store.publish(QueryView(run_id=write_run(home)))
    store.close()
    return home.path


@pytest.fixture
def home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Notebook:
    monkeypatch.delenv("RINGFENCE_STORE", raising=False)
    return open_home(folder)


def test_nothing_is_read_until_it_is_asked_for(tmp_path: Path) -> None:
    nowhere = open_home(tmp_path / "nowhere")
    assert repr(nowhere) == f"<Ringfence home {tmp_path / 'nowhere'}, current run>"
    assert nowhere.runs().empty
    with pytest.raises(RingfenceError, match="there is no run yet"):
        nowhere.clusters()
    nowhere.close()


def test_the_home_of_the_environment_is_the_default(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGFENCE_HOME", str(folder))
    assert not open_home().clusters().empty


def test_runs_are_listed_and_can_be_chosen(home: Notebook) -> None:
    runs = home.runs()
    assert runs.loc[runs["run_id"] == home.run_id, "current"].tolist() == [True]
    assert runs["current"].sum() == 1
    assert home.at(EARLIER).run_id == EARLIER
    assert repr(home).endswith(f"{home.run_id}>")
    with pytest.raises(RingfenceError, match="there is no run 'run_x'"):
        _ = home.at("run_x").run_id


def test_clusters_come_by_risk(home: Notebook) -> None:
    clusters = home.clusters()
    assert clusters["cluster_id"].tolist() == [RING, PAIR]
    assert str(clusters["born_at"].dtype) == "datetime64[us, UTC]"
    assert home.clusters(min_risk=50)["cluster_id"].tolist() == [RING]
    assert home.clusters(pattern="mixed")["cluster_id"].tolist() == [PAIR]


def test_members_of_one_or_of_all(home: Notebook) -> None:
    assert home.members(RING)["org_id"].tolist() == ["ring-a", "ring-b", "ring-c"]
    assert len(home.members()) == 5
    assert len(home.members(min_risk=50)) == 3
    chosen = home.members(columns=["cost", "org_id"])
    assert list(chosen.columns) == ["cost", "org_id"]
    assert len(home.members()["organization"].iloc[0]) == 32


def test_evidence_and_ties(home: Notebook) -> None:
    assert home.evidence(RING)["signal"].tolist() == ["trial_burn", "shared_device", "lockstep", "base"]
    ties = home.ties(RING)
    assert ties[["a", "b", "weight"]].to_numpy().tolist() == [
        ["ring-a", "ring-b", 0.75],
        ["ring-b", "ring-c", 0.31],
    ]


@pytest.mark.parametrize("ask", [Notebook.members, Notebook.evidence, Notebook.ties, Notebook.cluster_graph])
def test_an_unknown_cluster_is_an_error(ask: object, home: Notebook) -> None:
    assert callable(ask)
    with pytest.raises(RingfenceError, match="cluster cl_none is not in this run"):
        ask(home, "cl_none")


def test_large_tables_come_in_parts(home: Notebook) -> None:
    parts = list(home.batches("links", ["org_id", "key"], rows=3))
    assert [len(part) for part in parts] == [3, 3, 1]
    assert list(parts[0].columns) == ["org_id", "key"]
    assert pd.concat(parts)["key"].iloc[0] == "01" * 16
    with pytest.raises(RingfenceError, match="no table 'x'"):
        home.batches("x")
    with pytest.raises(RingfenceError, match="links has no column 'x'"):
        home.batches("links", ["x"])


def test_named_queries_are_data_frames(home: Notebook) -> None:
    found = home.query("left_behind", since=datetime(2025, 10, 1, 6, tzinfo=UTC), limit=3)
    assert len(found) == 3
    assert found.attrs["cut"] is True
    assert str(found["restricted_at"].dtype) == "datetime64[us, UTC]"
    assert found["signed_up_after"].dtype == bool
    nothing = home.query("members_of_cluster", cluster_id="cl_none")
    assert nothing.empty
    assert str(nothing["member_risk"].dtype) == "float64"
    assert "left_behind" in [query.name for query in home.queries()]
    with pytest.raises(RingfenceError, match="no parameter 'sinse'"):
        home.query("left_behind", sinse="2025-10-01")
    with pytest.raises(RingfenceError, match="does not understand Cypher"):
        home.cypher("RETURN 1 AS one")


def test_a_cluster_is_a_graph(home: Notebook) -> None:
    graph = home.cluster_graph(DUO)
    names = {data["name"]: data["label"] for _, data in graph.nodes(data=True)}
    assert names["jon"] == names["kim"] == "Organization"
    assert {names["device-duo"], names["solo studio"]} == {"Device", "Name"}
    assert {data["type"] for *_, data in graph.edges(data=True)} == {"USED_DEVICE", "HAS_NAME"}
    assert nx.is_connected(graph.to_undirected())
    assert (graph.graph["cluster"], graph.graph["cut"], graph.graph["risk"]) == (DUO, False, 20.0)


def test_a_neighbourhood_is_a_graph(home: Notebook) -> None:
    near = home.neighbourhood("ray", depth=2)
    assert sorted(data["name"] for _, data in near.nodes(data=True)) == ["quo", "ray", "user-9"]
    assert len(home.neighbourhood("ray", depth=4)) > len(near)
    assert "2 steps" in near.graph["note"]
    cut = home.neighbourhood("ann", depth=2, limit=3)
    assert cut.graph["cut"] is True
    with pytest.raises(RingfenceError, match="organization an is not in this run"):
        home.neighbourhood("an")


def test_the_graph_of_another_run_is_not_passed_off_as_this_one(home: Notebook) -> None:
    before = home.at(EARLIER)
    assert len(before.clusters()) == 2
    with pytest.raises(RingfenceError, match=f"the graph shows {home.run_id}, not {EARLIER}"):
        before.query("referral_loops")


def test_it_closes_and_opens_again(folder: Path) -> None:
    with open_home(folder, store="sqlite") as home:
        assert len(home.query("referral_loops")) == 2
    assert len(home.cluster_graph(GRAPH_RING)) > 6
    home.close()


@pytest.mark.parametrize(
    ("name", "ask"), [("pandas", Notebook.clusters), ("networkx", Notebook.cluster_graph)]
)
def test_what_is_not_installed_is_named(
    name: str, ask: object, home: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    assert callable(ask)
    with pytest.raises(RingfenceError, match=f"{name} is not installed") as missing:
        ask(home, **({"cluster_id": DUO} if name == "networkx" else {}))
    assert missing.value.remedy == "Install it with: pip install 'ringfence[notebook]'"


def test_it_needs_no_command_line() -> None:
    names = ("typer", "rich", "apsw", "neo4j")
    code = f"import sys, api.notebook; print([name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
