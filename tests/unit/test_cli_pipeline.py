"""The commands that write: events in, a run, and what can be asked of it then."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.cli import invoke
from api.stores import open_store
from graph.home import Home

Ask = Callable[..., tuple[int, str, str]]

MOMENT = "2026-03-04T09:12:44Z"


def _row(org: str, event: str = "organization_created", **more: str) -> dict[str, str]:
    return {"event_type": event, "occurred_at": MOMENT, "org_id": org, **more}


ROWS = [
    _row("org_1", device_id="d-4711", ip="198.51.100.7", payment_method="card-4111-9999"),
    _row("org_2", device_id="d-4711", ip="198.51.100.7", payment_method="card-4111-9999"),
    _row("org_3", device_id="d-1"),
    _row("org_4") | {"occurred_at": "tomorrow"},
]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RINGFENCE_PEPPER_FILE", str(tmp_path / "pepper"))
    monkeypatch.setenv("RINGFENCE_HOME", str(tmp_path / "home"))


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    def asking(*words: str) -> tuple[int, str, str]:
        code = invoke(words)
        said = capsys.readouterr()
        return code, said.out, said.err

    return asking


def _json(ask: Ask, *words: str, code: int = 0) -> dict[str, Any]:
    got, out, _ = ask(*words, "--json")
    assert got == code
    answer: dict[str, Any] = json.loads(out)
    return answer


def _events(name: str = "events.ndjson", rows: list[dict[str, str]] = ROWS) -> str:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return name


@pytest.fixture
def home(ask: Ask) -> None:
    assert ask("ingest", _events())[0] == 0
    assert ask("run")[0] == 0


def test_ingest_counts_and_warns(ask: Ask) -> None:
    code, out, err = ask("ingest", _events())
    assert code == 0
    assert out.splitlines()[1].split() == ["4", "3", "0", "1", "events.ndjson"]
    assert "warning: in quarantine: 1 row" in err
    assert _json(ask, "ingest", "events.ndjson")["totals"]["stored"] == 0


def test_strict_ingest_fails_for_a_bad_row(ask: Ask) -> None:
    assert ask("ingest", _events(), "--strict")[0] == 1
    assert ask("ingest", _events("good.ndjson", ROWS[:2]), "--strict")[0] == 0


def test_ingest_of_nothing_says_so(ask: Ask) -> None:
    code, _, err = ask("ingest", _events("empty.ndjson", []))
    assert code == 3
    assert "no row" in err
    code, _, err = ask("ingest", "missing.ndjson")
    assert code == 1
    assert "missing.ndjson does not exist" in err
    assert ask("ingest", "x", "--format", "xml")[0] == 2


def test_quarantine_is_listed_exported_and_retried(ask: Ask) -> None:
    assert ask("quarantine", "list")[:2] == (3, "Quarantine is empty.\n")
    assert ask("quarantine", "export", "-o", "q.ndjson")[0] == 3
    assert ask("quarantine", "retry")[0] == 3
    ask("ingest", _events())
    listed = _json(ask, "quarantine", "list")
    assert [(one["reason"], one["rows"]) for one in listed["counts"]] == [("bad_timestamp", 1)]
    assert listed["rows"][0]["line"] == 4
    code, out, _ = ask("quarantine", "list")
    assert code == 0
    assert "events.ndjson" in out
    assert ask("quarantine", "export", "-o", "q.ndjson")[0] == 0
    assert json.loads(Path("q.ndjson").read_text())["reason"] == "bad_timestamp"
    assert _json(ask, "quarantine", "retry")["totals"]["quarantined"] == 1


def test_a_mapping_fixes_what_was_quarantined(ask: Ask) -> None:
    ask("ingest", _events("local.ndjson", [_row("org_5") | {"occurred_at": "2026-03-04 10:12:44"}]))
    Path("m.yaml").write_text('inputs:\n  - match: "*"\n    timezone: Europe/Berlin\n', encoding="utf-8")
    assert _json(ask, "quarantine", "retry", "--mapping", "m.yaml")["totals"]["stored"] == 1
    assert ask("quarantine", "list")[0] == 3


@pytest.mark.usefixtures("home")
def test_run_finds_and_explains_a_pair(ask: Ask) -> None:
    clusters = _json(ask, "clusters")["clusters"]
    assert [each["size"] for each in clusters] == [2]
    out = ask("why", "org_1", "org_2")[1]
    assert "device d-4711" in out
    assert "payment method …9999" in out
    assert "4111" not in out


@pytest.mark.usefixtures("home")
def test_search_finds_ids_values_and_whole_secrets(ask: Ask) -> None:
    assert _json(ask, "search", "org_1")["matches"][0]["organizations"] == ["org_1"]
    assert set(_json(ask, "search", "198.51.100.7")["matches"][0]["organizations"]) == {"org_1", "org_2"}
    found = _json(ask, "search", "card-4111-9999")["matches"][0]
    assert (found["kind"], found["display"], found["count"]) == ("payment method", "…9999", 2)
    assert ask("search", "198.51")[0] == 0
    assert _json(ask, "search", "nowhere", code=3) == {"total": 0, "matches": []}


@pytest.mark.usefixtures("home")
def test_labels_are_events_of_people(ask: Ask) -> None:
    event = _json(ask, "label", "org_1", "abusive", "--reason", "confirmed")
    assert event["event_type"] == "organization_labelled"
    assert event["occurred_at"].startswith("2026-03-04T09:12:44")
    assert ask("label", "ORG_1", "abusive", "--reason", "typo")[0] == 1
    assert ask("label", "org_1", "guilty", "--reason", "x")[0] == 2
    states = {one["name"]: one for one in json.loads(ask("doctor", "--json")[1])["checks"]}
    assert states["current run"]["state"] == "warn"
    assert "lacks 1 ingest" in states["current run"]["found"]
    assert ask("run")[0] == 0
    healthy = json.loads(ask("doctor", "--json")[1])
    assert healthy["healthy"]
    assert {one["state"] for one in healthy["checks"]} <= {"ok", "warn"}


@pytest.mark.usefixtures("home")
def test_the_run_before_stays_readable(ask: Ask) -> None:
    before = _json(ask, "runs")["current"]
    ask("ingest", _events("more.ndjson", [_row("org_3", device_id="d-4711")]))
    ask("run", "--store", "none")
    assert _json(ask, "clusters")["run"] != before
    old = _json(ask, "clusters", "--run", before)
    assert [each["size"] for each in old["clusters"]] == [2]


def test_run_wants_sensible_words(ask: Ask) -> None:
    ask("ingest", _events())
    assert ask("run", "--as-of", "yesterday")[0] == 2
    assert ask("run", "--store", "papyrus")[0] == 2
    assert ask("run", "--as-of", "2026-03-04T10:00:00+01:00", "--store", "none")[0] == 3


def test_a_pepper_that_others_can_read_is_a_warning(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "pepper").write_bytes(b"x" * 32)
    (tmp_path / "pepper").chmod(0o644)
    states = {one["name"]: one for one in _json(ask, "doctor")["checks"]}
    assert states["pepper"]["state"] == "warn"
    assert "chmod 600" in states["pepper"]["remedy"]


def test_wrong_settings_fail_the_doctor(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "ringfence.toml").write_text("[ingest]\ncurency = 'EUR'\n")
    answer = _json(ask, "doctor", code=1)
    assert not answer["healthy"]
    assert [one["name"] for one in answer["checks"] if one["state"] == "fail"] == ["settings"]
    assert ask("run")[0] in (2, 3)
    assert ask("ingest", _events())[0] == 2


def test_demo_is_whole_and_leaves_other_folders_alone(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("mine")
    code, _, err = ask("demo", "--home", "precious", "--organizations", "1000")
    assert code == 1
    assert "is no demo" in err
    assert (tmp_path / "precious" / "file").exists()
    for _ in range(2):
        answer = _json(ask, "demo", "--home", "demo", "--organizations", "1000", "--seed", "3")
        assert answer["evaluation"]["abusive"] == 200
        assert answer["clusters"]
    assert json.loads(ask("runs", "--home", "demo", "--json")[1])["runs"][1:] == []


def test_simulate_and_evaluate(ask: Ask) -> None:
    written = _json(ask, "simulate", "--organizations", "500", "-o", "campaign")
    assert written["organizations"] == 500
    ask("ingest", "campaign/events.parquet")
    ask("run", "--store", "none")
    code, out, _ = ask("evaluate", "--truth", "campaign/truth.parquet")
    assert code == 0
    assert "B³ F" in out
    assert ask("evaluate", "--truth", "missing.parquet")[0] == 1
    assert ask("simulate", "--difficulty", "absurd", "-o", "x")[0] == 2


@pytest.mark.usefixtures("home")
def test_a_lost_graph_is_made_again(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "home" / "graph.sqlite").unlink()
    assert ask("search", "org_1")[0] == 3
    shown = _json(ask, "rebuild")
    assert shown == {"run_id": _json(ask, "runs")["current"], "store": "sqlite"}
    assert _json(ask, "search", "org_1")["total"] == 1


@pytest.mark.usefixtures("home")
def test_the_store_is_named_by_an_option_or_a_variable(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, err = ask("search", "org_1", "--store", "oracle")
    assert code == 2
    assert "sqlite, neo4j" in err
    code, _, err = ask("graph", "copy", "--to", "sqlite")
    assert code == 2
    assert "already" in err
    monkeypatch.setenv("RINGFENCE_STORE", "oracle")
    code, _, err = ask("run")
    assert code == 2
    assert "RINGFENCE_STORE" in err


@pytest.mark.usefixtures("home")
def test_what_only_one_organization_has_is_found_too(ask: Ask, tmp_path: Path) -> None:
    def leads_to() -> list[str]:
        (found,) = _json(ask, "search", "d-1")["matches"]
        assert (found["kind"], found["count"]) == ("device", 1)
        organizations: list[str] = found["organizations"]
        return organizations

    assert leads_to() == ["org_3"]
    for file in (tmp_path / "home" / "runs").glob("run_*/lea*.parquet"):
        file.unlink()
    assert _json(ask, "search", "d-1", code=3)["matches"] == []
    _json(ask, "rebuild")
    assert leads_to() == ["org_3"]


@pytest.mark.usefixtures("home")
def test_a_published_cluster_comes_with_its_coordinates(ask: Ask, tmp_path: Path) -> None:
    (cluster,) = _json(ask, "clusters")["clusters"]
    store = open_store(Home(tmp_path / "home"))
    found = store.cluster_subgraph(cluster["cluster_id"])
    store.close()
    assert found is not None
    assert found.cells is not None
    assert found.cells["organizations"].to_pylist() == [2]
    for nodes in (found.organizations, found.identifiers):
        assert nodes.num_rows > 0
        assert nodes["x"].null_count == nodes["y"].null_count == nodes["cell"].null_count == 0
    assert len({(row["x"], row["y"]) for row in found.organizations.to_pylist()}) == 2
