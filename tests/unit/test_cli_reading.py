"""The commands that read a run, on one written by hand."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import pytest

from api.cli import invoke
from graph.home import Home
from tests.unit.handmade import PAIR, RING, write_run

Ask = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    write_run(home)
    return home


@pytest.fixture
def ask(home: Home, capsys: pytest.CaptureFixture[str]) -> Ask:
    def asking(*words: str) -> tuple[int, str, str]:
        code = invoke([*words, "--home", str(home.path)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return asking


def _json(ask: Ask, *words: str) -> dict[str, Any]:
    code, out, err = ask(*words, "--json")
    assert (code, err) == (0, "")
    answer: dict[str, Any] = json.loads(out)
    return answer


def test_clusters_are_ranked_by_risk(ask: Ask) -> None:
    code, out, _ = ask("clusters")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split()[:3] == ["#", "risk", "cluster"]
    assert [line.split()[2] for line in lines[1:3]] == [RING, PAIR]
    assert lines[3].startswith("Grade: unproven for bans")
    assert "1,234.50  trial burn, shared device" in lines[1]


def test_a_cut_list_says_so(ask: Ask) -> None:
    assert ask("clusters", "--limit", "1")[1].splitlines()[-1] == "1 of 2; --limit shows more"


def test_clusters_can_be_filtered(ask: Ask) -> None:
    assert [row["cluster_id"] for row in _json(ask, "clusters", "--min-risk", "50")["clusters"]] == [RING]
    assert [row["cluster_id"] for row in _json(ask, "clusters", "--pattern", "mixed")["clusters"]] == [PAIR]
    assert ask("clusters", "--pattern", "serial")[1] == "No clusters.\n"


def test_a_cluster_explains_its_score(ask: Ask) -> None:
    code, out, _ = ask("cluster", RING)
    assert code == 0
    shown = [line for line in out.splitlines() if line.strip().startswith(("+", "-"))]
    points = [float(line.split()[0]) for line in shown]
    assert sum(points[:-1]) == pytest.approx(points[-1], abs=0.11)
    assert "3 of 3 used their credit up within hours; usual: 1%" in out
    assert "lockstep" not in out.lower()
    assert f"ringfence export members --cluster {RING}" in out
    assert "ringfence why ring-a ring-b" in out


def test_a_cluster_lists_members_and_what_they_share(ask: Ask) -> None:
    answer = _json(ask, "cluster", RING, "--members", "2")
    assert [member["org_id"] for member in answer["members"]] == ["ring-a", "ring-b"]
    assert [(one["kind"], one["members"], one["organizations"]) for one in answer["shared"]] == [
        ("device", 3, 3),
        ("ip", 2, 2),
    ]


def test_an_old_id_leads_to_its_successor(ask: Ask) -> None:
    code, out, err = ask("cluster", "cl_cccccccccc")
    assert code == 0
    assert out.startswith(f"Trial farm {RING}")
    assert f"is now part of {RING}" in err


@pytest.mark.parametrize(
    "words",
    [
        ("cluster", "cl_unknown"),
        ("why", "nobody"),
        ("why", "ring-a", "nobody"),
        ("export", "graph", "--cluster", "x", "-o", "f"),
    ],
)
def test_what_is_unknown_is_said_with_a_remedy(ask: Ask, words: tuple[str, ...]) -> None:
    code, out, err = ask(*words)
    assert (code, out) == (1, "")
    message, remedy = err.splitlines()
    assert message.startswith("error: ")
    assert "not in this run" in message
    assert "'ringfence " in remedy


def test_why_two_are_tied(ask: Ask) -> None:
    code, out, _ = ask("why", "ring-b", "ring-a")
    text = " ".join(out.split())
    assert code == 0
    assert "tied directly, weight 0.75" in text
    assert "ring-a used it at 2026-03-03 16:00:00, ring-b at 2026-03-03 16:04:00, 4 min apart" in text
    assert "3 of 6 organizations used it" in text
    assert "only these two of 6 organizations used it" in text


def test_why_two_are_connected_through_others(ask: Ask) -> None:
    code, out, _ = ask("why", "ring-a", "ring-c")
    assert code == 0
    assert "2 ties lead from one to the other" in out
    assert "Both also used what makes no tie" in out
    assert out.index("ring-a and ring-b, weight 0.75") < out.index("ring-b and ring-c, weight 0.31")


def test_why_not(ask: Ask) -> None:
    assert "Nothing ties them" in ask("why", "ring-a", "pair-d")[1]
    assert "one and the same" in ask("why", "ring-a", "ring-a")[1]
    assert "Nothing ties it to anybody" in ask("why", "alone")[1]


def test_why_one(ask: Ask) -> None:
    answer = _json(ask, "why", "ring-b")
    assert answer["total"] == 2
    assert [(tie["a"], tie["b"], tie["weight"]) for tie in answer["ties"]] == [
        ("ring-a", "ring-b", 0.75),
        ("ring-b", "ring-c", 0.31),
    ]


def test_runs_are_listed_and_can_be_named(ask: Ask, home: Home) -> None:
    other = write_run(home, "run_20260304T120000Z_ffffffff", serve=False)
    listed = _json(ask, "runs")
    assert listed["current"] == "run_20260304T120000Z_0000abcd"
    assert {one["run_id"] for one in listed["runs"]} == {listed["current"], other}
    assert _json(ask, "clusters", "--run", other)["run"] == other
    assert ask("clusters", "--run", "run_none")[0] == 2


def test_without_a_run_there_is_nothing_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["clusters"], ["cluster", "cl_x"], ["why", "a"], ["run"], ["search", "a"]):
        assert invoke([*command, "--home", str(tmp_path / "new")]) == 3
        assert "ringfence " in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_exports_write_what_was_selected(ask: Ask, tmp_path: Path) -> None:
    target = tmp_path / "members.csv"
    code, out, _ = ask("export", "members", "-o", str(target), "--min-risk", "50")
    assert (code, out) == (0, f"3 members written to {target}\n")
    rows = list(csv.DictReader(target.read_text().splitlines()))
    assert [row["org_id"] for row in rows] == ["ring-a", "ring-b", "ring-c"]
    target = tmp_path / "clusters.json"
    assert ask("export", "clusters", "--format", "json", "--cluster", PAIR, "-o", str(target))[0] == 0
    assert [row["cluster_id"] for row in json.loads(target.read_text())] == [PAIR]


def test_the_graph_is_exported_for_other_tools(ask: Ask, tmp_path: Path) -> None:
    target = tmp_path / "ring.graphml"
    answer = _json(ask, "export", "graph", "--format", "graphml", "--cluster", RING, "-o", str(target))
    loaded = nx.read_graphml(target)
    assert answer["counts"] == {
        "nodes": loaded.number_of_nodes(),
        "relationships": loaded.number_of_edges(),
    }
    assert {"ring-a", "ring-b", "ring-c"} <= {data["label"] for _, data in loaded.nodes(data=True)}


def test_exports_that_cannot_be(ask: Ask, tmp_path: Path) -> None:
    assert ask("export", "members", "--format", "graphml", "-o", str(tmp_path / "x"))[0] == 2
    assert ask("export", "everything", "-o", str(tmp_path / "x"))[0] == 2
    code, _, err = ask("export", "members", "-o", str(tmp_path / "missing" / "x"))
    assert code == 1
    assert "cannot write" in err
    assert list(tmp_path.glob("*x*")) == []


def test_doctor_reports_each_check(ask: Ask) -> None:
    answer = json.loads(ask("doctor", "--json")[1])
    states = {check["name"]: check["state"] for check in answer["checks"]}
    assert states["python"] == states["SQLite"] == states["home"] == "ok"
    assert states["graph"] == "warn"
