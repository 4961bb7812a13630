"""A run from facts to published tables: what it costs again, what it knew when, and what its tables say together."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detection.communities import Ties, communities
from detection.run import run
from detection.runs import TABLES, RunFiles, Runs
from detection.settings import LOG_ODDS, WEIGHT_UNIT, DetectionSettings, EngineSettings
from tests.unit.worlds import Event, add, at, beside, drawn, event, home_of, numbered

SETTINGS = DetectionSettings()


def ring(device: str, hours: float, *orgs: str) -> Iterator[Event]:
    """Organizations that sign up one after another on one device, and use models an hour later."""
    for place, org in enumerate(orgs):
        start = hours + place / 10
        yield event(org, start, "organization_created", device_id=device)
        yield event(org, start + 1, "inference", cost_usd="1.5", credit_used_usd="0.5", tokens=100)


def rings(number: int) -> list[Event]:
    """Worlds side by side, over three days."""
    return [one for seed in range(number) for one in beside(drawn(seed, 10, 60, days=(1, 2, 3)), seed)]


def rows(found: RunFiles, table: str) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = found.table(table).to_pylist()
    return content


def assert_same(one: RunFiles, other: RunFiles) -> None:
    for table in TABLES:
        assert one.table(table).equals(other.table(table)), table


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> RunFiles:
    return run(home_of(tmp_path_factory.mktemp("found"), rings(5)))


def test_what_is_aggregated_stays_aggregated(tmp_path: Path) -> None:
    """A second run aggregates no file, and a day that is added costs that day."""
    events = numbered(one for day in range(4) for one in ring("dev-one", day * 24, f"a{day}", f"b{day}"))
    home = home_of(tmp_path / "days", events[:12])
    assert run(home).manifest.counts["files_aggregated"] == 3
    assert run(home).manifest.counts["files_aggregated"] == 0
    before = {path: path.stat().st_mtime_ns for path in home.facts.glob("aggregates/*/*.parquet")}
    add(home, events[12:])
    added = run(home)
    assert added.manifest.counts["files_aggregated"] == 1
    assert {path: path.stat().st_mtime_ns for path in before} == before
    whole = run(home_of(tmp_path / "whole", events))
    for table in ("ties", "reasons", "links", "organizations"):
        columns = [name for name in whole.table(table).column_names if name != "cluster_id"]
        assert added.table(table, columns).equals(whole.table(table, columns)), table


@pytest.mark.parametrize("hours", [13.0, 24.0, 40.5])
def test_as_of_the_past_is_as_if_the_future_had_not_come(tmp_path: Path, hours: float) -> None:
    events = rings(2)
    known = [one for one in events if one["occurred_at"] <= at(hours).isoformat()]
    assert 0 < len(known) < len(events)
    home = home_of(tmp_path / "all", events[::2], events[1::2])
    past = run(home, as_of=at(hours))
    assert_same(past, run(home_of(tmp_path / "then", known), as_of=at(hours)))
    assert past.manifest.as_of == at(hours)
    assert past.manifest.counts["events"] == len(known)
    later = run(home)
    fresh = run(home_of(tmp_path / "fresh", events))
    assert later.table("ties", ["a", "b", "weight"]).equals(fresh.table("ties", ["a", "b", "weight"]))


def test_as_of_is_a_moment_whatever_its_zone(tmp_path: Path) -> None:
    """At 02:00 of the second day in UTC it is still the first day in Anchorage."""
    home = home_of(tmp_path, numbered(ring("dev-one", 24, "a", "b", "c", "d")))
    plain = run(home, as_of=at(24.25).astimezone(UTC))
    abroad = run(home, as_of=at(24.25).astimezone(timezone(timedelta(hours=-9))))
    assert plain.table("organizations")["org_id"].to_pylist() == ["a", "b", "c"]
    assert abroad.table("organizations").equals(plain.table("organizations"))
    assert abroad.path("members").read_bytes() == plain.path("members").read_bytes()


def test_organizations_elsewhere_do_not_move_a_cluster(tmp_path: Path) -> None:
    """Below a thousand organizations rarity does not change either, so even the ties stay."""
    alone = run(home_of(tmp_path / "alone", rings(1)))
    among = run(home_of(tmp_path / "among", rings(4)), as_of=alone.manifest.as_of)
    own = {row["org_id"]: row["cluster_id"] for row in rows(alone, "members")}
    same = {row["org_id"]: row["cluster_id"] for row in rows(among, "members") if row["org_id"] in own}
    assert same == own


def test_neither_pepper_nor_threads_move_membership(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = rings(3)
    one = run(home_of(tmp_path / "one", events))
    single = DetectionSettings(engine=EngineSettings(threads=1))
    threads = run(home_of(tmp_path / "threads", events), single)
    assert threads.path("members").read_bytes() == one.path("members").read_bytes()
    monkeypatch.setattr("tests.unit.worlds.PEPPER", b"another pepper of thirty-two byte")
    other = run(home_of(tmp_path / "other", events))
    columns = ["org_id", "cluster_id", "member_risk"]
    assert other.table("members", columns).equals(one.table("members", columns))
    assert not other.table("members", ["organization"]).equals(one.table("members", ["organization"]))


def test_the_tables_say_what_communities_found(found: RunFiles) -> None:
    orgs = [row["org_id"] for row in rows(found, "organizations")]
    place = {org: number for number, org in enumerate(orgs)}
    tied = [(place[row["a"]], place[row["b"]], row["weight"]) for row in rows(found, "ties")]
    membership = communities(Ties(len(orgs), *np.array(sorted(tied), dtype=np.int64).T), SETTINGS)
    expected: dict[int, set[str]] = defaultdict(set)
    for org, community in zip(orgs, membership.tolist(), strict=True):
        expected[community].add(org)
    clusters: dict[str, set[str]] = defaultdict(set)
    for row in rows(found, "members"):
        clusters[row["cluster_id"]].add(row["org_id"])
    assert len(clusters) >= 5
    assert sorted(map(sorted, clusters.values())) == sorted(
        sorted(group) for name, group in expected.items() if name >= 0
    )
    assert {row["cluster_id"]: row["size"] for row in rows(found, "clusters")} == {
        name: len(group) for name, group in clusters.items()
    }


def test_every_tie_is_the_sum_of_its_families_of_reasons_less_the_prior(found: RunFiles) -> None:
    families: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows(found, "reasons"):
        assert row["a"] < row["b"]
        assert row["gap_s"] == abs(row["a_at"] - row["b_at"]) // timedelta(seconds=1)
        said = families[row["a"], row["b"]]
        family = SETTINGS.tie_kinds[row["kind"]].family
        said[family] = max(said[family], row["weight"])
    prior = round(SETTINGS.tie_prior * WEIGHT_UNIT / LOG_ODDS)
    sums = {pair: sum(said.values()) + prior for pair, said in families.items()}
    assert {(row["a"], row["b"]): row["weight"] for row in rows(found, "ties")} == sums
    assert min(sums.values()) >= SETTINGS.min_weight * WEIGHT_UNIT


def test_ties_inside_clusters_are_counted(found: RunFiles) -> None:
    inside: dict[str, int] = defaultdict(int)
    cluster_of = {row["org_id"]: row["cluster_id"] for row in rows(found, "members")}
    for row in rows(found, "ties"):
        one, other = cluster_of[row["a"]], cluster_of[row["b"]]
        assert row["cluster_id"] == (one if one == other else None)
        inside[one] += one == other
    assert {row["cluster_id"]: row["ties"] for row in rows(found, "clusters")} == inside


def test_links_count_the_organizations_of_shared_identifiers(found: RunFiles) -> None:
    users: dict[tuple[str, Any], set[str]] = defaultdict(set)
    for row in rows(found, "links"):
        users[row["kind"], row["key"]].add(row["org_id"])
        assert row["first_at"] <= row["last_at"]
        assert row["uses"] >= 1
    assert {kind for kind, _ in users} >= {"ip", "device", "mailbox", "consumer", "promo_code"}
    assert not {kind for kind, _ in users} & {"device_attested", "phone_verified", "tls_fingerprint"}
    for row in rows(found, "links"):
        assert row["orgs"] == len(users[row["kind"], row["key"]]) >= 2


def test_figures_of_a_cluster_by_hand(tmp_path: Path) -> None:
    old, new = ring("dev-one", 0, "a", "b"), ring("dev-one", 30, "c", "d", "e")
    alone = [event("z", 2, "organization_created", country="DE", plan="trial"), event("y", 40)]
    found = run(home_of(tmp_path, numbered([*old, *new, *alone])))
    (cluster,) = rows(found, "clusters")
    assert (cluster["size"], cluster["founder"], cluster["born_at"]) == (5, "a", at(40))
    assert (cluster["new_24h"], cluster["cost"], cluster["cost_24h"], cluster["credit_used"]) == (
        3,
        7.5,
        4.5,
        2.5,
    )
    assert (cluster["first_at"], cluster["last_at"]) == (at(0), at(31.2))
    org = {row["org_id"]: row for row in rows(found, "organizations")}
    assert (org["z"]["country"], org["z"]["plan"], org["z"]["created_at"]) == ("DE", "trial", at(2))
    assert (org["y"]["created_at"], org["y"]["first_at"], org["y"]["events"]) == (None, at(40), 1)
    assert {name: row["cluster_id"] for name, row in org.items() if row["cluster_id"] is None} == {
        "y": None,
        "z": None,
    }
    assert {row["org_id"] for row in rows(found, "members")} == {"a", "b", "c", "d", "e"}


def test_a_population_of_thousands_is_its_own_baseline(tmp_path: Path) -> None:
    """Half of everybody shares a device with a neighbour, and the random groups of the reference do not."""
    pairs = [event(f"org-{n:04d}", n / 100, device_id=f"dev-{n // 2}") for n in range(0, 1_200)]
    found = run(home_of(tmp_path, numbered(pairs)))
    assert found.manifest.warnings == []
    baselines = {row["baseline"] for row in rows(found, "evidence") if row["signal"] == "shared_device"}
    assert len(baselines) == 1
    assert baselines.pop() < 0.1
    assert found.manifest.counts["clusters"] == 600


def test_the_manifest_records_from_what_with_what_and_what_came_out(found: RunFiles) -> None:
    manifest = found.manifest
    assert set(manifest.checksums) == {f"{table}.parquet" for table in TABLES}
    for name, digest in manifest.checksums.items():
        assert hashlib.sha256((found.folder / name).read_bytes()).hexdigest() == digest
    for table in TABLES:
        assert manifest.counts[table] == found.table(table).num_rows
    assert manifest.counts["events"] == manifest.inputs["events"] == len(rings(5))
    assert DetectionSettings.model_validate(manifest.settings) == SETTINGS
    assert {"python", "duckdb", "igraph"} <= manifest.versions.keys()
    assert {"links", "ties", "communities", "signals", "scores", "write"} <= manifest.timings.keys()
    assert manifest.previous is None
    assert len(manifest.warnings) == 1


def test_runs_are_kept_and_can_be_read_afterwards(tmp_path: Path) -> None:
    home = home_of(tmp_path, numbered(ring("dev-one", 0, "a", "b", "c")))
    first = run(home)
    add(home, [{**one, "event_id": f"more-{n}"} for n, one in enumerate(ring("dev-one", 5, "d"))])
    second = run(home)
    runs = Runs(home)
    assert [one.run_id for one in runs.list()] == [first.manifest.run_id, second.manifest.run_id]
    assert runs.current() == second.manifest.run_id == runs.open().manifest.run_id
    assert second.manifest.previous == first.manifest.run_id
    assert runs.open(first.manifest.run_id).table("members").num_rows == 3
    assert runs.open().table("members").num_rows == 4


def test_settings_decide(tmp_path: Path) -> None:
    home = home_of(tmp_path, numbered(ring("dev-one", 0, "a", "b", "c")))
    picky = DetectionSettings(min_weight=2)
    assert run(home, picky).manifest.counts["clusters"] == 0
    assert run(home).manifest.counts["clusters"] == 1


def test_progress_is_told_stage_by_stage(tmp_path: Path) -> None:
    heard: list[tuple[str, int, int | None]] = []
    run(home_of(tmp_path, numbered(ring("dev-one", 0, "a", "b"))), progress=lambda *step: heard.append(step))
    assert list(dict.fromkeys(stage for stage, _, _ in heard)) == [
        "links",
        "ties",
        "communities",
        "signals",
        "write",
    ]
    assert all(total is None or 0 <= done <= total for _, done, total in heard)
    ends = {stage: (done, total) for stage, done, total in heard if total is not None}
    assert all(done == total for done, total in ends.values())


def test_a_world_without_sharing_has_no_clusters_and_is_published_all_the_same(tmp_path: Path) -> None:
    home = home_of(
        tmp_path, numbered([event("a", 0, ip="10.1.1.1"), event("b", 0, ip="10.1.1.2"), event("c", 1)])
    )
    found = run(home)
    assert found.manifest.counts["organizations"] == 3
    assert found.manifest.counts["clusters"] == found.manifest.counts["members"] == 0
    assert rows(found, "evidence") == []
    assert Runs(home).current() == found.manifest.run_id


def test_labels_of_identifiers_alone_make_no_organization(tmp_path: Path) -> None:
    label = {"entity_type": "ip", "entity_key": "10.1.1.1", "label": "abusive"}
    one = {"event_type": "entity_labelled", "occurred_at": at(0).isoformat(), **label}
    found = run(home_of(tmp_path, numbered([one])))
    assert (found.manifest.counts["organizations"], found.manifest.counts["events"]) == (0, 1)


def test_small_files_are_aggregated_together_and_an_earlier_moment_cuts_them(tmp_path: Path) -> None:
    """Whatever was aggregated in which company, a run at a moment finds what a home of only those events finds."""
    events = numbered(
        one for day in range(6) for one in ring(f"dev-{day % 2}", day * 24, f"a{day}", f"b{day}")
    )
    home = home_of(tmp_path / "all", events)
    run(home)
    assert len(list(home.facts.glob("aggregates/*"))) == 1
    moment = at(72.5)
    cut = run(home, as_of=moment)
    known = [one for one in events if datetime.fromisoformat(one["occurred_at"]) <= moment]
    assert len(events) > len(known) > 0
    early = run(home_of(tmp_path / "early", known), as_of=moment)
    for table in ("ties", "reasons", "organizations"):
        columns = [name for name in early.table(table).column_names if name != "cluster_id"]
        assert cut.table(table, columns).equals(early.table(table, columns)), table
    assert early.table("members").num_rows > 0
    assert run(home).manifest.counts["files_aggregated"] == 0
