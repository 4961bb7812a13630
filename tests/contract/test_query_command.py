"""`ringfence query` on a small graph in SQLite."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from query_view import RING, QueryView

from api.cli import invoke
from graph.home import Home
from graph.stores.sqlite.store import SqliteStore
from queries.named import catalogue

Ask = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("home"))
    store = SqliteStore(home.graph)
    store.publish(QueryView())
    store.close()
    return home


@pytest.fixture
def ask(home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ask:
    monkeypatch.delenv("RINGFENCE_STORE", raising=False)

    def asking(*words: str) -> tuple[int, str, str]:
        code = invoke(["query", *words, "--home", str(home.path)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return asking


def test_list_names_every_query(ask: Ask) -> None:
    code, out, _ = ask("list")
    lines = out.splitlines()
    assert code == 0
    assert [line.split()[0] for line in lines[1:]] == [query.name for query in catalogue()]
    assert any(line.split()[:3] == ["paths_between", "a,", "b"] for line in lines)
    listed = json.loads(ask("list", "--json")[1])["queries"]
    assert listed[0] == {"name": catalogue()[0].name, "title": catalogue()[0].title}


def test_show_explains_one(ask: Ask) -> None:
    code, out, _ = ask("show", "members_of_cluster")
    assert code == 0
    assert "Members of a cluster and what they share" in out
    assert "cluster_id  text                   required" in out
    assert "ringfence query run members_of_cluster -p cluster_id=cl_4t6hq2mzxa" in out
    assert "MATCH (c:Cluster {run: $run" in out
    assert "CROSS JOIN MEMBER_OF" in ask("show", "members_of_cluster", "--sql")[1]
    shown = json.loads(ask("show", "members_of_cluster", "--json")[1])
    assert shown["parameters"][0] == {
        "name": "cluster_id",
        "type": "text",
        "required": True,
        "default": None,
        "meaning": "A cluster's id.",
    }
    assert set(shown["texts"]) == {"cypher", "sql"}


def test_run_prints_a_table_and_says_when_it_is_cut(ask: Ask) -> None:
    code, out, err = ask("run", "members_of_cluster", "-p", f"cluster_id={RING}", "--limit", "2")
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0].split()[:3] == ["org", "id", "member"]
    assert lines[1].split()[:5] == ["ann", "99", "2025-10-01", "00:00:00", "0"]
    assert lines[-1] == "The first 2; there are more, --limit shows them"
    assert "The first" not in ask("run", "members_of_cluster", "-p", f"cluster_id={RING}")[1]


def test_run_without_rows_says_so(ask: Ask) -> None:
    assert ask("run", "members_of_cluster", "-p", "cluster_id=cl_none") == (0, "No rows.\n", "")


def test_run_as_json_is_one_object(ask: Ask) -> None:
    code, out, _ = ask("run", "shared_addresses", "-p", "min_clusters=2", "--json")
    answer = json.loads(out)
    assert code == 0
    assert answer["query"] == "shared_addresses"
    assert answer["parameters"] == {"min_clusters": 2, "min_risk": 0.0, "limit": 50}
    assert answer["rows"][0]["address"] == "203.0.113.7"
    assert answer["rows"][0]["first_at"] == "2025-10-01T00:00:00Z"
    assert answer["cut"] is False


def test_formats_for_other_programs(ask: Ask) -> None:
    words = ["run", "members_not_acted_on", "-p", "min_risk=85", "--limit", "1"]
    code, out, err = ask(*words, "--format", "csv")
    (row,) = csv.DictReader(out.splitlines())
    assert code == 0
    assert (row["org_id"], row["actionable"], row["last_at"]) == (
        "ann",
        "false",
        "2025-10-01T12:00:00.000000Z",
    )
    assert "only the first 1 row; there are more" in err
    rows: list[dict[str, Any]] = json.loads(ask(*words, "--format", "json")[1])
    assert rows[0]["org_id"] == "ann"
    assert rows[0]["actionable"] is False


@pytest.mark.parametrize("name", ["rows.csv", "rows.json", "rows.txt"])
def test_a_file_is_written_in_the_format_of_its_name(name: str, ask: Ask, tmp_path: Path) -> None:
    target = tmp_path / name
    code, out, err = ask("run", "referral_loops", "-o", str(target))
    assert (code, out, err) == (0, f"2 rows written to {target}\n", "")
    text = target.read_text(encoding="utf-8")
    assert "dan → eve → dan" in text
    assert text.startswith("[" if name == "rows.json" else "length,organizations")
    written = json.loads(ask("run", "referral_loops", "-o", str(target), "--json")[1])
    assert written == {"query": "referral_loops", "file": str(target), "rows": 2, "cut": False}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "refferal_loops"], "Did you mean referral_loops?"),
        (["show", "refferal_loops"], "Did you mean referral_loops?"),
        (["run", "members_of_cluster"], "members_of_cluster needs cluster_id"),
        (["run", "referral_loops", "-p", "max_length=nine"], "which is not a whole number"),
        (["run", "referral_loops", "-p", "max_length=9"], "which is not 1 to 8"),
        (["run", "referral_loops", "-p", "depth=3"], "no parameter 'depth'"),
        (["run", "referral_loops", "-p", "max_length"], "is not NAME=VALUE"),
        (["run", "referral_loops", "-p", "limit=3", "-p", "limit=4"], "is given twice"),
        (["run", "referral_loops", "-p", "limit=3", "--limit", "4"], "the limit is given twice"),
        (["run", "referral_loops", "--format", "yaml"], "'yaml' is not a format"),
        (["run", "referral_loops", "--format", "table", "-o", "x"], "'table' is not a format of a file"),
        (["run"], "give the name of a query or --cypher TEXT"),
        (["run", "referral_loops", "--cypher", "RETURN 1"], "not both"),
        (["run", "--cypher", "RETURN 1"], "does not understand Cypher"),
        (["run", "--cypher", "RETURN $n", "-p", "n=[1]"], "is a list or a map"),
        (["run", "referral_loops", "--store", "mongo"], "no graph store 'mongo'"),
    ],
)
def test_misuse_is_exit_2_and_says_what_to_do(words: list[str], said: str, ask: Ask) -> None:
    code, out, err = ask(*words)
    assert (code, out) == (2, "")
    assert said in err


def test_without_a_graph_it_is_exit_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["query", "run", "referral_loops", "--home", str(tmp_path)]) == 3
    assert "ringfence run" in capsys.readouterr().err
