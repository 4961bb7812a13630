"""Detectors of a home in runs: drafts do nothing, shadow counts for nothing, active adds points, faults are named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from worlds import Event, add, event, home_of, numbered

from api.cli import invoke
from detection.lifecycle.backtest import backtest
from detection.lifecycle.definition import Language, digest
from detection.lifecycle.files import create, standings
from detection.lifecycle.promotion import promote, retire
from detection.lifecycle.records import STATE, BacktestRecord, Record, changing, folder, read
from detection.lifecycle.templates import template
from detection.lifecycle.views import VIEWS
from detection.run import quiet, run
from detection.runs import RunFiles, Runs
from detection.scoring import Bin
from detection.settings import DetectionSettings, HomeDetectorSettings, default_sources
from graph.errors import RingfenceError
from graph.home import Home

SETTINGS = DetectionSettings(home_detectors=HomeDetectorSettings(seconds=5, memory_mb=300))
BINS = (Bin(at_least=0.1, points=7.0), Bin(at_least=0.5, points=30.0))


def relay(device: str, start: float, *orgs: str) -> Iterator[Event]:
    """Organizations on one device, each calling models from where the one before stopped."""
    for place, org in enumerate(orgs):
        begins = start + 2 * place
        yield event(
            org, begins - 1, "organization_created", device_id=device, payment_method=f"card-{device}"
        )
        yield event(org, begins, "inference", device_id=device, cost_usd="1", tokens=100)
        yield event(org, begins + 1.9, "inference", device_id=device, cost_usd="1", tokens=100)


def world() -> list[Event]:
    ring = list(relay("dev-ring", 5, *(f"ring-{n}" for n in range(8))))
    pair = [*relay("dev-pair", 5, "pair-0"), *relay("dev-pair", 60, "pair-1")]
    alone = [one for n in range(30) for one in relay(f"dev-{n}", 5 + n, f"alone-{n}")]
    return numbered([*ring, *pair, *alone])


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with the world and one run of it."""
    home = home_of(tmp_path_factory.mktemp("ingested"), world())
    run(home, SETTINGS)
    return home


@pytest.fixture
def home(ingested: Home, tmp_path: Path) -> Home:
    shutil.copytree(ingested.path, tmp_path / "home")
    return Home(tmp_path / "home")


def put(home: Home, name: str, text: str | None = None, language: Language = "sql") -> str:
    """A detector's file, and its digest."""
    content = (text or template(name, language)).encode()
    create(home, name, language, content)
    return digest(content)


def set_state(home: Home, name: str, state: str, held: str) -> None:
    """As if it had been tested and promoted."""
    tested = BacktestRecord(
        digest=held, at=datetime.now(UTC), runs=(), problems=(), doubts=(), bins=BINS, baseline=0.05
    )
    with changing(home) as records:
        records[name] = Record(state=state, digest=held, backtest=tested)


def evidence(files: RunFiles, signal: str) -> list[dict[str, Any]]:
    return [row for row in files.table("evidence").to_pylist() if row["signal"] == signal]


def test_a_draft_does_nothing(home: Home) -> None:
    before = Runs(home).open()
    put(home, "night_shift")
    after = run(home, SETTINGS)
    assert after.manifest.detectors == {}
    assert after.table("clusters").equals(before.table("clusters"))
    assert not (after.folder / "shadow.parquet").exists()


@pytest.mark.parametrize("language", ["sql", "python"])
def test_shadow_is_written_apart_and_counts_for_nothing(home: Home, language: Language) -> None:
    before = Runs(home).open()
    held = put(home, "night_shift", language=language)
    set_state(home, "night_shift", "shadow", held)
    after = run(home, SETTINGS)
    if "sandbox" in " ".join(after.manifest.warnings):
        pytest.skip("no sandbox here")
    assert after.table("clusters").equals(before.table("clusters"))
    assert after.table("members").equals(before.table("members"))
    rows = pq.read_table(after.folder / "shadow.parquet").to_pylist()
    assert list(rows[0]) == ["signal", "cluster_id", "value", "affected", "eligible", "baseline"]
    assert [(row["affected"], row["eligible"]) for row in rows] == [(7, 8), (0, 2)]
    assert rows[0]["value"] > 0.5 > rows[0]["baseline"]
    ran = after.manifest.detectors["night_shift"]
    assert (ran["state"], ran["digest"], ran["failure"]) == ("shadow", held, None)
    assert "shadow.parquet" in after.manifest.checksums


def test_active_ones_add_points_that_are_shown_like_those_that_ship(home: Home) -> None:
    before = Runs(home).open()
    set_state(home, "night_shift", "active", put(home, "night_shift"))
    after = run(home, SETTINGS)
    (ring,) = [row for row in evidence(after, "night_shift") if row["affected"] == 7]
    assert (ring["points"], ring["title"], ring["group"]) == (30, "Relay", "trial_farm")
    assert (
        ring["fact"] == "7 of 8 organizations called their first model within an hour of another's last call"
    )
    points = {
        files.manifest.run_id: dict(
            zip(
                files.table("clusters")["cluster_id"].to_pylist(),
                files.table("clusters")["points"].to_pylist(),
                strict=True,
            )
        )
        for files in (before, after)
    }
    old, new = points.values()
    assert new[ring["cluster_id"]] == pytest.approx(old[ring["cluster_id"]] + 30)
    shown = sum(
        row["points"]
        for row in after.table("evidence").to_pylist()
        if row["cluster_id"] == ring["cluster_id"]
    )
    assert shown == pytest.approx(new[ring["cluster_id"]])
    assert after.manifest.scorecard.startswith(f"{before.manifest.scorecard}+")
    rows = [row for row in after.table("evidence_rows").to_pylist() if row["signal"] == "night_shift"]
    assert {row["org_id"] for row in rows} == {f"ring-{n}" for n in range(1, 8)}


def test_the_same_facts_give_the_same_bytes(home: Home) -> None:
    set_state(home, "night_shift", "active", put(home, "night_shift"))
    set_state(home, "day_shift", "shadow", put(home, "day_shift"))
    one, other = run(home, SETTINGS), run(home, SETTINGS)
    for name in ("evidence.parquet", "clusters.parquet", "shadow.parquet", "evidence_rows.parquet"):
        assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes(), name


BODY = template("x_x", "sql").split("-- Below")[0]
FAULTS = {
    "endless": BODY + "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT "
    "MAX(n) AS cluster, 1 AS org, 1 AS value, NULL AS kind, NULL AS key, NULL AS happened_at, 1 AS count FROM t",
    "greedy": BODY + "SELECT string_agg(repeat('x', 1000000)) FROM range(100000)",
    "raising": BODY + "SELECT CAST('x' AS INTEGER) FROM member_activity",
    "reading": BODY + "SELECT * FROM read_text('/etc/passwd')",
    "lying": BODY + template("x_x", "sql").split("-- Below")[1].split("\n", 1)[1].replace("1.0", "7.0"),
}


def test_whatever_a_detector_does_the_run_goes_on_and_names_it(home: Home) -> None:
    before = Runs(home).open()
    for name, text in FAULTS.items():
        set_state(home, name, "active", put(home, name, text.replace("id: x_x", f"id: {name}")))
    set_state(home, "night_shift", "active", put(home, "night_shift"))
    quick = SETTINGS.model_copy(update={"home_detectors": HomeDetectorSettings(seconds=1, memory_mb=200)})
    after = run(home, quick)
    for name in FAULTS:
        (said,) = [one for one in after.manifest.warnings if one.startswith(f"the detector {name} (active)")]
        assert "was left out:" in said
        assert after.manifest.detectors[name]["failure"]
        assert evidence(after, name) == []
    assert evidence(after, "night_shift"), "the others are not affected"
    assert after.table("clusters")["cluster_id"].equals(before.table("clusters")["cluster_id"])


def test_all_of_them_together_have_a_time_too(home: Home) -> None:
    for name in ("endless", "endless_too"):
        text = FAULTS["endless"].replace("id: x_x", f"id: {name}")
        set_state(home, name, "active", put(home, name, text))
    short = HomeDetectorSettings(seconds=2, all_seconds=2, memory_mb=200)
    after = run(home, SETTINGS.model_copy(update={"home_detectors": short}))
    assert "the 2 s for all of them were used up" in after.manifest.warnings[-1]


def test_a_file_that_was_edited_after_promotion_is_a_draft_again(home: Home) -> None:
    set_state(home, "night_shift", "active", put(home, "night_shift"))
    file = folder(home) / "night_shift.sql"
    promoted = file.read_text()
    file.write_text(promoted.replace("1.0", "0.9"))
    after = run(home, SETTINGS)
    assert evidence(after, "night_shift") == []
    (said,) = [one for one in after.manifest.warnings if "night_shift" in one]
    assert "changed after" in said
    assert standings(home)[0].state == "draft"
    file.write_text(promoted)
    assert evidence(run(home, SETTINGS), "night_shift"), "exactly this file was promoted"


def test_lost_files_and_damaged_records_are_said_and_nothing_runs(home: Home) -> None:
    set_state(home, "night_shift", "active", put(home, "night_shift"))
    with changing(home) as records:
        move = {"at": datetime.now(UTC), "by": "Ada", "reason": "r", "before": "draft", "after": "active"}
        history = [{**move, "digest": records["night_shift"].digest}]
        records["night_shift"] = Record.model_validate(
            {**records["night_shift"].model_dump(), "history": history}
        )
    (folder(home) / "night_shift.sql").unlink()
    assert "has no file any more" in run(home, SETTINGS).manifest.warnings[-1]
    (folder(home) / STATE).write_text("{")
    assert "none of them ran" in run(home, SETTINGS).manifest.warnings[-1]
    with pytest.raises(RingfenceError, match="cannot be read"):
        read(home)


def tried(home: Home, name: str, days: int = 0) -> Any:
    return backtest(home, name, SETTINGS, default_sources(), days=days, progress=quiet)


def test_a_backtest_says_whom_it_would_have_hit(home: Home) -> None:
    files = Runs(home).open()
    put(home, "night_shift")
    found = tried(home, "night_shift")
    assert found.passed
    (replayed,) = found.runs
    assert (replayed.run_id, replayed.clusters, replayed.affected, replayed.failure) == (
        files.manifest.run_id,
        1,
        7,
        None,
    )
    (hit,) = found.hits
    assert (hit.affected, hit.eligible, hit.size) == (7, 8, 8)
    assert hit.cluster_id in files.table("clusters")["cluster_id"].to_pylist()
    assert {one.signal for one in found.overlaps} >= {"shared_device"}
    assert read(home)["night_shift"].backtest is not None


def test_a_detector_is_not_judged_by_the_risk_that_it_made(home: Home) -> None:
    before = Runs(home).open()
    held = put(home, "night_shift")
    set_state(home, "night_shift", "active", held)
    run(home, SETTINGS)
    (hit,) = tried(home, "night_shift").hits
    clusters = before.table("clusters").to_pylist()
    assert hit.risk == pytest.approx(
        next(row["risk"] for row in clusters if row["cluster_id"] == hit.cluster_id)
    )


def test_labels_and_protections_make_hits_doubtful(home: Home) -> None:
    told = {"label_source": "person", "reason": "known"}
    add(
        home,
        numbered(  # as long as they have ids of their own, they keep them
            [
                event("ring-1", 40, "organization_labelled", label="legitimate", event_id="l1", **told),
                event("ring-2", 40, "organization_protected", reason="partner", event_id="p1"),
                event("ring-3", 40, "organization_labelled", label="abusive", event_id="l2", **told),
                event("alone-3", 40, "organization_labelled", label="legitimate", event_id="l3", **told),
            ]
        ),
    )
    run(home, SETTINGS)
    put(home, "night_shift")
    found = tried(home, "night_shift")
    assert [(one.org_id, one.why) for one in found.doubtful] == [
        ("ring-1", "labelled legitimate"),
        ("ring-2", "protected"),
    ]
    assert any(doubt.startswith("2 of the 3 members") for doubt in found.doubts)


def test_a_backtest_replays_kept_runs_of_days_before_as_they_were(home: Home) -> None:
    late = list(relay("dev-late", 100, *(f"late-{n}" for n in range(6))))
    add(home, [{"event_id": f"late-{place}", **one} for place, one in enumerate(late)])
    for hour in (30, 31):  # the later one of a day counts; the home has a run of the third day
        run(home, SETTINGS, as_of=datetime(2026, 3, 1 + hour // 24, hour % 24, tzinfo=UTC))
    run(home, SETTINGS)
    put(home, "night_shift")
    found = tried(home, "night_shift", days=14)
    assert [one.as_of.isoformat()[:13] for one in found.runs[1:]] == ["2026-03-03T13", "2026-03-02T07"]
    assert [one.affected for one in found.runs] == [12, 7, 7]


def test_what_a_backtest_shows_of_what_ships_is_what_the_run_showed(home: Home) -> None:
    """Otherwise it would bring back another world than the run saw."""
    files = Runs(home).open()
    rows = {
        (row["signal"], row["cluster_id"]): (row["value"], row["affected"])
        for row in files.table("evidence").to_pylist()
        if row["signal"] in ("shared_device", "shared_payment", "lockstep", "missing_client")
    }
    assert rows
    from detection.detector import detectors
    from detection.evidence import detect
    from detection.lifecycle.history import brought_back
    from detection.scoring import shipped

    with brought_back(home, files.manifest, SETTINGS, default_sources()) as past:
        detect(past.engine, detectors(), shipped(), True, quiet)
        found = past.engine.fetch("SELECT signal, cluster, value, affected FROM signal_values").to_pylist()
        again = {
            (row["signal"], past.clusters[row["cluster"]]): (round(row["value"], 6), row["affected"])
            for row in found
        }
    assert {key: again[key] for key in rows} == rows


def test_the_views_hold_what_is_documented(home: Home) -> None:
    from detection.detector import detectors
    from detection.evidence import detect
    from detection.lifecycle.handover import collect
    from detection.lifecycle.history import brought_back
    from detection.lifecycle.sample import TYPES
    from detection.scoring import shipped

    seen: dict[str, Any] = {}

    def look(engine: Any) -> tuple[()]:
        seen.update(collect(engine, VIEWS, 1))
        return ()

    files = Runs(home).open()
    with brought_back(home, files.manifest, SETTINGS, default_sources()) as past:
        detect(past.engine, detectors(), shipped(), True, quiet, look)
    for name, view in VIEWS.items():
        told = {column.name: TYPES[column.type] for column in view.columns}
        assert dict(zip(seen[name].column_names, seen[name].schema.types, strict=True)) == told, name
    assert set(seen["members"]["cluster"].to_pylist()) == set(range(len(seen["members"]["cluster"].unique())))
    kinds = seen["member_activity"]["event_type"].unique().to_pylist()
    assert "organization_labelled" not in kinds


def refused(action: Any, *arguments: Any) -> str:
    with pytest.raises(RingfenceError) as caught:
        action(*arguments)
    return f"{caught.value.message} {caught.value.remedy}"


def test_promotion_takes_a_backtest_of_exactly_this_file_and_a_run_in_shadow(home: Home) -> None:
    put(home, "night_shift")
    assert "was not backtested" in refused(promote, home, "night_shift", "Ada", "new wave")
    tried(home, "night_shift")
    file = folder(home) / "night_shift.sql"
    text = file.read_text()
    file.write_text(text + "-- one more line\n")
    assert "changed since its backtest" in refused(promote, home, "night_shift", "Ada", "new wave")
    file.write_text(text)
    assert "--reason is empty" in refused(promote, home, "night_shift", "Ada", " ")
    assert "--by is empty" in refused(promote, home, "night_shift", "", "new wave")
    move = promote(home, "night_shift", "Ada", "new wave")
    assert (move.before, move.after, move.by, move.reason) == ("draft", "shadow", "Ada", "new wave")
    assert "leaves doubts" in refused(promote, home, "night_shift", "Ada", "it works")
    with changing(home) as records:
        record = records["night_shift"]
        assert record.backtest is not None
        sure = record.backtest.model_copy(update={"doubts": ()})
        records["night_shift"] = record.model_copy(update={"backtest": sure})
    assert "no run has had night_shift in shadow" in refused(promote, home, "night_shift", "Ada", "it works")
    run(home, SETTINGS)
    assert promote(home, "night_shift", "Bo", "it works").after == "active"
    assert "active already" in refused(promote, home, "night_shift", "Bo", "again")
    retire(home, "night_shift", "Cy", "they adapted")
    assert "retired already" in refused(retire, home, "night_shift", "Cy", "again")
    assert "retired after its backtest" in refused(promote, home, "night_shift", "Ada", "back")
    assert run(home, SETTINGS).manifest.detectors == {}
    tried(home, "night_shift")
    assert promote(home, "night_shift", "Ada", "back").after == "shadow"
    history = read(home)["night_shift"].history
    assert [(one.by, one.after) for one in history] == [
        ("Ada", "shadow"),
        ("Bo", "active"),
        ("Cy", "retired"),
        ("Ada", "shadow"),
    ]


def test_a_detector_that_fails_its_check_cannot_be_promoted(home: Home) -> None:
    put(home, "reading", FAULTS["reading"].replace("id: x_x", "id: reading"))
    found = tried(home, "reading")
    assert not found.passed
    assert found.problems[0].startswith("check: FROM read_text(…)")
    assert "the backtest of reading failed" in refused(promote, home, "reading", "Ada", "trust me")


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = invoke([*words, "--json"])
    out = capsys.readouterr()
    return code, json.loads(out.out or out.err)


def test_the_commands_speak_json(home: Home, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    where = ("--home", str(home.path))
    code, new = said(capsys, "detectors", "new", "night_shift", *where)
    assert (code, new["state"], Path(new["file"]).name) == (0, "draft", "night_shift.sql")
    assert said(capsys, "detectors", "new", "night_shift", *where)[0] == 2
    assert said(capsys, "detectors", "new", "Night", *where)[0] == 2
    other = tmp_path / "other.sql"
    other.write_text(FAULTS["reading"].replace("id: x_x", "id: day_shift"))
    assert said(capsys, "detectors", "new", "day_shift", "--from", str(other), *where)[0] == 0
    assert said(capsys, "detectors", "new", "dawn_shift", "--from", str(tmp_path / "no.txt"), *where)[0] == 2
    code, checked = said(capsys, "detectors", "check", "night_shift", *where)
    assert (code, checked["passed"], checked["problems"]) == (0, True, [])
    code, checked = said(capsys, "detectors", "check", "day_shift", *where)
    assert (code, checked["passed"]) == (1, False)
    code, found = said(capsys, "detectors", "backtest", "night_shift", *where)
    assert (code, found["passed"], len(found["hits"]), found["source"]) == (0, True, 1, "risk")
    code, failed = said(capsys, "detectors", "backtest", "day_shift", *where)
    assert (code, failed["passed"]) == (1, False)
    why = ("--by", "Ada", "--reason", "new wave", *where)
    code, moved = said(capsys, "detectors", "promote", "night_shift", *why)
    assert (code, moved["after"], moved["by"]) == (0, "shadow", "Ada")
    assert said(capsys, "detectors", "promote", "nobody", *why)[0] == 2
    run(home, SETTINGS)
    code, listed = said(capsys, "detectors", "list", *where)
    by_id = {one["id"]: one for one in listed["detectors"]}
    assert (code, by_id["night_shift"]["state"], by_id["night_shift"]["hits"]) == (0, "shadow", 1)
    assert by_id["night_shift"]["history"][0]["reason"] == "new wave"
    assert by_id["lockstep"]["state"] == "ships"
    assert by_id["day_shift"]["state"] == "draft"
    code, moved = said(capsys, "detectors", "retire", "night_shift", *why)
    assert (code, moved["after"]) == (0, "retired")
