"""A home replayed: what each step may know, what is withheld, and that nothing is left behind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from api.pictures.replay_chart import draw_chart
from api.pictures.replay_page import prospect_page, truth_page
from detection.run import run
from detection.runs import RunFiles
from graph.errors import RingfenceError
from graph.facts import FactsReader
from graph.home import Home
from ingest.job import ingest
from sim.replay import Plan, replay_bans, replay_truth
from sim.replay.feed import Feed, epoch, known_at
from sim.replay.past_bans import read_bans
from sim.replay.steps import DAY, HOUR
from tests.unit.worlds import HERE, PEPPER, Event, at, event, home_of, numbered

RING = [f"ring-{number}" for number in range(9)]
ALONE = [f"alone-{number}" for number in range(6)]
EVERYBODY = 0.0
"""At this risk every member of a cluster counts as actionable."""


def ring(start: float = 1.0) -> list[Event]:
    """A ring that signs up on one device, one organization every six minutes, and spends a dollar an hour each."""
    events: list[Event] = []
    for number, org in enumerate(RING):
        begun = start + number / 10
        events.append(event(org, begun, "organization_created", device_id="dev-ring", ip="198.51.100.7"))
        events += [event(org, begun + hour, "inference", cost_usd=1) for hour in range(1, 11)]
    return events


def others() -> list[Event]:
    events: list[Event] = []
    for number, org in enumerate(ALONE):
        events.append(event(org, number, "organization_created", device_id=f"dev-{number}"))
        events += [event(org, number + hour, "inference", cost_usd=2) for hour in range(1, 11)]
    return events


def world() -> list[Event]:
    return numbered([*ring(), *others()])


def truth(folder: Path) -> Path:
    path = folder / "truth.csv"
    rows = [f"{org},7,1,farm" for org in RING] + [f"{org},-1,,plain" for org in ALONE]
    path.write_text("org_id,campaign,level,kind\n" + "\n".join(rows) + "\n")
    return path


def detect(home: Home, as_of: datetime) -> RunFiles:
    return run(home, as_of=as_of)


def silent(stage: str, done: int, total: int | None) -> None:
    del stage, done, total


def hours(first: float, last: float, steps: int) -> Plan:
    return Plan(every=HOUR, most=steps, start=at(first), until=at(last), min_risk=EVERYBODY)


def tree(folder: Path) -> list[tuple[str, int]]:
    return sorted((str(path.relative_to(folder)), path.stat().st_mtime_ns) for path in folder.rglob("*"))


def test_a_ring_is_stopped_at_the_step_after_it_is_seen(tmp_path: Path) -> None:
    home = home_of(tmp_path, world())
    before = tree(home.path)
    report = replay_truth(home, truth(tmp_path), detect, hours(0, 12, 12), silent)
    assert tree(home.path) == before, "a replay leaves the home as it was"
    # Hourly steps. At 2:00 all nine (1:00 to 1:48) are there and on one device: all of them stop at 2:01. Those of
    # 1:00 had spent a dollar by then.
    assert report.covered.steps == 12
    assert (report.abusive, report.organizations) == (9, 15)
    assert report.total == 9 * 10
    automatic, person = report.enforced
    assert automatic.stopped == 9
    assert automatic.prevented == automatic.ceiling == report.total - 1
    assert automatic.share_of_ceiling == 1
    assert automatic.containment.p90_s == pytest.approx((2 - 1.7) * 3600 + 60)
    assert automatic.legitimate.hits == 0
    # A person comes at 5:00: four dollars of those of 1:00, three or four of each other, are spent.
    assert person.prevented < automatic.prevented
    assert person.prevented == person.ceiling
    json.dumps(report.to_dict(), allow_nan=False)
    assert b"<script" not in truth_page(report)
    assert draw_chart(report.curve, "t", "w") == draw_chart(report.curve, "t", "w")


def test_steps_before_the_ring_know_nothing_of_it(tmp_path: Path) -> None:
    home = home_of(tmp_path, world())
    report = replay_truth(home, truth(tmp_path), detect, hours(0, 1.05, 1), silent)
    assert report.enforced[0].stopped == 0
    assert report.enforced[0].containment.rings == 0


def test_history_loaded_late_counts_as_known_when_it_happened() -> None:
    occurred = np.array([0, 0, 10, 0])
    ingested = np.array([5, DAY, 3, DAY + 1])
    assert known_at(occurred, ingested).tolist() == [5, DAY, 10, 0]


def arrive(home: Home, events: Sequence[Event], when: datetime, folder: Path) -> None:
    path = folder / f"{when:%d%H%M}.ndjson"
    path.write_text("".join(json.dumps(one) + "\n" for one in events))
    ingest(home.ensure(), [str(path)], settings=HERE, pepper=PEPPER, arrived_at=when)


def types(home: Home) -> list[str]:
    names: list[str] = []
    for file in FactsReader(home).event_files():
        table = pq.read_table(file.path, columns=["event_type"])
        assert table.num_rows == file.rows
        names += [str(one) for one in table.column("event_type").to_pylist()]
    return sorted(names)


def test_an_event_is_handed_over_when_it_arrived(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    arrive(home, [event("a", 1, "session_started"), event("a", 2, "inference")], at(3), tmp_path)
    arrive(home, [event("a", 2.5, "email_verified")], at(20), tmp_path)
    arrive(home, [event("a", 2.6, "phone_verified")], at(40), tmp_path)
    target = Home(tmp_path / "target")
    feed = Feed([home], target)
    assert feed.advance(epoch(at(2.9))) == 1
    assert types(target) == ["phone_verified"], "more than a day late: history, known when it happened"
    assert feed.advance(epoch(at(3))) == 2
    assert feed.advance(epoch(at(19))) == 0
    assert feed.advance(epoch(at(60))) == 1
    assert types(target) == types(home)


def test_facts_that_come_while_it_goes_on_are_seen(tmp_path: Path) -> None:
    home, more = home_of(tmp_path, numbered([event("a", 1)])), Home(tmp_path / "more")
    feed = Feed([home, more], Home(tmp_path / "target"))
    assert feed.advance(epoch(at(2))) == 1
    arrive(more, [event("b", 3, "inference")], at(4), tmp_path)
    assert feed.advance(epoch(at(5))) == 1


BANS = "org_id,banned_at,reason\nring-0,{zero},chargeback\nring-1,{one},<b>farm</b>\nnobody,{one},\n"


def bans(folder: Path) -> Path:
    path = folder / "bans.csv"
    path.write_text(
        f"{BANS}ring-0,{{one}},again\n".format(
            zero=at(1.5).isoformat(), one=at(8).isoformat().replace("+00:00", "")
        )
    )
    return path


def test_a_list_of_past_bans_is_laid_beside_what_was_found(tmp_path: Path) -> None:
    home = home_of(tmp_path, world())
    report = replay_bans(home, bans(tmp_path), detect, hours(0, 12, 12), silent)
    assert (report.listed, report.unknown, len(report.cases)) == (3, 1, 2)
    caught = report.caught[0]
    # ring-0 was banned at 1:30 and would have been stopped at 2:01; ring-1 at 8:00, almost six hours later.
    assert (caught.before, caught.later, caught.missed) == (1, 1, 0)
    assert caught.lead_p50_s == 6 * 3600 - 60
    # ring-1 signed up at 1:06 and spent a dollar at 2:06, 3:06 … 7:06, all of it after 2:01.
    assert (report.spent, caught.saved) == (6, 6)
    case = next(one for one in report.cases if one.ban.org_id == "ring-1")
    assert (case.lead_s, case.saved, case.spent) == (6 * 3600 - 60, 6, 6)
    assert {one.decision.org_id for one in report.beyond} == set(RING[2:])
    assert {one.listed_in_cluster for one in report.beyond} == {2}
    assert any("no zone" in one for one in report.warnings)
    assert any("earliest" in one for one in report.warnings)
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert len(plain["beyond"]) == 7
    page = prospect_page(report).decode()
    assert "&lt;b&gt;farm&lt;/b&gt;" in page
    assert "<b>farm" not in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")


def test_labels_and_listed_bans_are_withheld_from_detection(tmp_path: Path) -> None:
    told = [
        event("ring-0", 1.4, "organization_labelled", label="abusive", label_source="team"),
        event("ring-0", 1.5, "organization_restricted", action="ban"),
        event("alone-0", 1.5, "organization_restricted", action="throttle"),
    ]
    home = home_of(tmp_path, numbered([*ring(), *others(), *told]))
    seen: list[str] = []

    def watched(scratch: Home, as_of: datetime) -> RunFiles:
        seen[:] = types(scratch)
        return run(scratch, as_of=as_of)

    replay_bans(home, bans(tmp_path), watched, hours(0, 12, 3), silent)
    assert seen.count("organization_labelled") == 0
    assert seen.count("organization_restricted") == 1


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("org,when\na,b\n", "no column banned_at and org_id"),
        ("org_id,banned_at\na,yesterday\n", "line 2"),
        ("org_id,banned_at\na,2026-03-01T00:00Z\n,2026-03-01T00:00Z\n", "line 3"),
        ("org_id,banned_at\n", "lists nobody"),
    ],
)
def test_a_list_that_cannot_be_understood_is_refused(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "bans.csv"
    path.write_text(text)
    with pytest.raises(RingfenceError, match=what):
        read_bans(path)


def test_a_time_without_events_is_said(tmp_path: Path) -> None:
    home = home_of(tmp_path, world())
    plan = Plan(start=at(500), until=at(600))
    with pytest.raises(RingfenceError, match="no events in the time"):
        replay_truth(home, truth(tmp_path), detect, plan, silent)
    with pytest.raises(RingfenceError, match="no events yet"):
        replay_truth(Home(tmp_path / "nothing"), truth(tmp_path), detect, plan, silent)
    assert at(500) - at(499) == timedelta(hours=1)
