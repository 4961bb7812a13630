"""The commands with which people decide: labels, protections, pairs, audits, scorecards."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.cli import invoke
from detection.runs import Runs
from detection.samples import Samples
from graph.home import Home
from tests.unit.test_samples import audited
from tests.unit.worlds import PEPPER, event, home_of, numbered

Ask = Callable[..., tuple[int, str, str]]

RING = [
    event(org, hour, device_id="dev-one", ip="198.51.100.7") for hour in range(2) for org in ("a", "b", "c")
]


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RINGFENCE_PEPPER_FILE", str(tmp_path / "pepper"))
    (tmp_path / "pepper").write_bytes(PEPPER)
    home_of(tmp_path, numbered(RING))


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    def asking(*words: str) -> tuple[int, str, str]:
        code = invoke([*words, "--home", "home"])
        said = capsys.readouterr()
        return code, said.out, said.err

    return asking


def _json(ask: Ask, *words: str) -> dict[str, Any]:
    code, out, err = ask(*words, "--json")
    assert code == 0, err
    answer: dict[str, Any] = json.loads(out)
    return answer


def test_decisions_are_events(ask: Ask) -> None:
    protected = _json(ask, "protect", "a", "--reason", "our own")
    assert (protected["event_type"], protected["org_id"]) == ("organization_protected", "a")
    assert _json(ask, "protect", "a", "--end", "--reason", "sold")["action"] == "end"
    pair = _json(ask, "not-linked", "a", "b", "--reason", "two customers of one agency")
    assert (pair["event_type"], pair["other_org_id"]) == ("organizations_not_linked", "b")
    assert (
        _json(ask, "label", "c", "abusive", "--reason", "r", "--label-source", "Feed")["label_source"]
        == "Feed"
    )
    assert "a and b are not linked, for ever" in ask("not-linked", "a", "b", "--reason", "x")[1]
    assert "a is no longer protected" in ask("protect", "a", "--end", "--reason", "x")[1]


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_many_come_from_a_file(ask: Ask, form: str) -> None:
    rows = [
        {"org_id": "a", "label": "abusive", "reason": "one, two"},
        {"org_id": "b", "label": "legitimate", "reason": "r"},
    ]
    if form == "csv":
        lines = [
            "reason,org_id,label,unasked",
            *(f'"{row["reason"]}",{row["org_id"]},{row["label"]},x' for row in rows),
        ]
        Path("labels").write_text("\r\n".join(lines), encoding="utf-8-sig")
    else:
        Path("labels").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    stored = _json(ask, "label", "--from", "labels")
    assert stored["recorded"] == 2
    assert [(one["org_id"], one["label"], one["reason"]) for one in stored["events"]] == [
        (row["org_id"], row["label"], row["reason"]) for row in rows
    ]
    assert "2 decisions are recorded" in ask("label", "--from", "labels")[1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("org_id,label\na,abusive\n", "has no column reason"),
        ("org_id,label,reason\na,guilty,r\n", "row 1: 'guilty' is not a label"),
        ("org_id,label,reason\na,abusive,\n", "row 1: reason is missing"),
        ("org_id,label,reason\na,abusive,r\na,legitimate,r\n", "row 2: a is abusive in an earlier row"),
        ("org_id,label,reason\nnobody,abusive,r\n", "1 organization has no events in this home: nobody"),
        ("org_id,label,reason\na,abusive,r,too,many\n", "line 2: 3 columns are named"),
        ('org_id,label,reason\na,abusive,"open\n', "unexpected end of data"),
        ('{"org_id": "a"\n', "line 1 is not JSON"),
        ('{"org_id": 7}\n', "line 1 is no object of texts"),
        ("org_id,label,reason\n", "no decision to record"),
    ],
)
def test_a_wrong_file_records_nothing(ask: Ask, content: str, said: str) -> None:
    Path("labels").write_text(content, encoding="utf-8")
    code, out, err = ask("label", "--from", "labels")
    assert code in (1, 2)
    assert out == ""
    assert said in err
    assert len(err.splitlines()) == 2
    assert len(list(Path("home/facts/commits").iterdir())) == 1


@pytest.mark.parametrize(
    "words",
    [
        ("label",),
        ("label", "a", "abusive"),
        ("label", "a", "abusive", "--reason", "r", "--from", "f"),
        ("label", "--from", "nowhere.csv"),
        ("protect", "a"),
        ("not-linked", "a", "--reason", "r"),
        ("not-linked", "a", "a", "--reason", "r"),
        ("sample", "decide", "smp_x", "a", "abusive"),
        ("sample", "show", "smp_x"),
        ("train", "--force", "--list"),
        ("train", "--revert", "v0007"),
    ],
)
def test_what_is_missing_or_unknown_is_misuse(ask: Ask, words: tuple[str, ...]) -> None:
    code, out, err = ask(*words)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 2


def test_a_pair_that_is_not_linked_is_parted_and_the_old_id_leads_on(ask: Ask) -> None:
    first = _json(ask, "run", "--store", "none")
    (cluster,) = _json(ask, "clusters")["clusters"]
    assert ask("not-linked", "a", "c", "--reason", "r")[0] == 0
    assert ask("protect", "b", "--reason", "r")[0] == 0
    _json(ask, "run", "--store", "none")
    assert len({row["cluster_id"] for row in _json(ask, "clusters")["clusters"]}) == 1
    found = _json(ask, "cluster", cluster["cluster_id"])
    assert found["cluster"]["size"] == 2
    assert _json(ask, "cluster", cluster["cluster_id"], "--run", first["run_id"])["cluster"]["size"] == 3


def test_a_cluster_that_ended_says_so_and_can_be_opened_as_it_was(ask: Ask) -> None:
    first = _json(ask, "run", "--store", "none")
    (cluster,) = _json(ask, "clusters")["clusters"]
    for pair in (("a", "b"), ("a", "c"), ("b", "c")):
        assert ask("not-linked", *pair, "--reason", "r")[0] == 0
    last = _json(ask, "run", "--store", "none")
    code, _, err = ask("cluster", cluster["cluster_id"])
    assert code == 1
    assert f"is no more: it ended by 2026-03-01 01:00 UTC, in run {last['run_id']}" in err
    assert f"--run {first['run_id']}" in err
    assert "No clusters." in ask("clusters")[1]
    code, _, err = ask("cluster", "cl_unknown")
    assert "nor in one before it" in err


def test_a_sample_is_drawn_reviewed_and_graded(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audited(tmp_path / "audited")
    monkeypatch.chdir(tmp_path / "audited")
    drawn = _json(ask, "sample", "draw", "--size", "3", "--seed", "5")
    sample = drawn["sample_id"]
    assert len(drawn["members"]) == 3
    assert [row["reviews"] for row in _json(ask, "sample", "show", sample)["order"]] == [0, 0, 0]
    org = drawn["members"][0]["org_id"]
    words = ("sample", "decide", sample, org, "abusive", "--reviewer", "amy", "--reason", "same card")
    assert _json(ask, *words)["missing"] == 5
    assert len(_json(ask, "sample", "show", sample, "--reviewer", "Amy")["order"]) == 2
    for name in ("amy", "bob"):
        assert ask("sample", "show", sample, "--reviewer", name, "-o", "form.csv")[0] == 0
        rows = list(csv.DictReader(Path("form.csv").read_text(encoding="utf-8").splitlines()))
        assert {row["reviewer"] for row in rows} == {name}
        with Path("form.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(row | {"verdict": "abusive", "reason": "same phone"} for row in rows)
        assert ask("sample", "decide", sample, "--from", "form.csv")[0] == 0
    assert _json(ask, "sample", "show", "latest")["sample_id"] == sample
    assert _json(ask, "sample", "list")["samples"][0]["missing"] == 0
    graded = _json(ask, "sample", "grade")
    assert (graded["grade"], graded["tally"]["members"]) == ("unproven", 3)
    said = ask("sample", "grade")[1]
    assert "3 of 3 reviewed members" in said
    assert "are too few" in said
    assert _json(ask, "clusters")["grade"] == "unproven"
    assert Samples(Home(Path("home"))).open(sample).run_id == Runs(Home(Path("home"))).current()


def test_there_may_be_nobody_to_review_and_too_few_labels(ask: Ask) -> None:
    assert ask("run", "--store", "none")[0] == 0
    assert ask("sample", "draw")[0] == 3
    assert ask("train")[0] == 3
    assert "No samples" in ask("sample", "list")[1]
    assert _json(ask, "train", "--list") == {"active": "shipped", "versions": []}
    assert "shipped is in use" in ask("train", "--revert", "shipped")[1]
    assert "unproven" in ask("runs")[1]
