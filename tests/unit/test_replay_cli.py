"""`ringfence replay` as people and programs call it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.dom.minidom import parseString

import pytest

from api.cli import invoke
from graph.home import Home
from tests.unit.worlds import Event, add, at, event, numbered

Ask = Callable[..., tuple[int, str, str]]
RING = [f"ring-{number}" for number in range(8)]


def world() -> list[Event]:
    events: list[Event] = []
    for number, org in enumerate(RING):
        events.append(event(org, 1 + number / 10, "organization_created", device_id="dev-ring"))
        events += [event(org, 2 + hour, "inference", cost_usd=1) for hour in range(4)]
    return numbered(
        [*events, event("alone", 1, "organization_created"), event("alone", 5, "inference", cost_usd=3)]
    )


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RINGFENCE_PEPPER_FILE", str(tmp_path / "pepper"))
    monkeypatch.setenv("RINGFENCE_HOME", str(tmp_path / "home"))
    add(Home(tmp_path / "home"), world())
    rows = [f"{org},{at(4.5).isoformat()},farm\n" for org in RING[:4]]
    Path("bans.csv").write_text("org_id,banned_at,reason\n" + "".join(rows))
    Path("truth.csv").write_text("org_id,campaign\n" + "".join(f"{org},1\n" for org in RING) + "alone,-1\n")

    def asking(*words: str) -> tuple[int, str, str]:
        code = invoke(words)
        said = capsys.readouterr()
        return code, said.out, said.err

    return asking


STRETCH = ("--from", at(0).isoformat(), "--until", at(5).isoformat(), "--every", "1h", "--min-risk", "0")


def test_it_answers_what_would_have_been_caught(ask: Ask) -> None:
    code, out, _ = ask(
        "replay", "--labels", "bans.csv", *STRETCH, "--page", "page.html", "--svg", "chart.svg"
    )
    assert code == 0
    # Looks every hour: stopped at 2:01, two and a half hours before the ban.
    for line in (
        "stopped before the ban",
        "earlier than the ban by",
        "consumption saved",
        "stopped, not on the list",
    ):
        assert line in out
    assert "Written: page.html" in out
    assert parseString(Path("chart.svg").read_bytes()).documentElement.tagName == "svg"  # noqa: S318 - our own
    page = Path("page.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "ring-7" in page
    assert "Content-Security-Policy" in page


def test_programs_get_one_object(ask: Ask) -> None:
    code, out, _ = ask("replay", "--truth", "truth.csv", *STRETCH, "--delay", "30m", "--json")
    assert code == 0
    found = json.loads(out)
    (enforced,) = found["enforced"]
    assert enforced["delay_s"] == 1_800
    assert found["total"] == 32
    assert enforced["prevented"] == enforced["ceiling"] == 24
    assert enforced["share_of_ceiling"] == 1
    assert [state["actionable"] for state in found["states"]] == [0, 8, 8, 8, 8]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ((), "give one of --truth, --labels and --simulate"),
        (("--truth", "truth.csv", "--labels", "bans.csv"), "give one of"),
        (("--truth", "truth.csv", "--every", "often"), "not a length of time"),
        (("--truth", "truth.csv", "--from", "noon"), "not a time"),
        (("--simulate", "serial"), "not a difficulty"),
        (("--simulate", "plain", "--from", "2026-03-01"), "plays a whole world"),
    ],
)
def test_misuse_is_said_in_a_sentence(ask: Ask, words: tuple[str, ...], what: str) -> None:
    code, _, err = ask("replay", *words)
    assert code == 2
    assert what in err


def test_a_file_that_is_not_there_is_said(ask: Ask) -> None:
    for words in (("--labels", "none.csv"), ("--truth", "none.csv")):
        code, _, err = ask("replay", *words)
        assert code == 1
        assert "none.csv" in err
