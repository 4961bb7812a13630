"""Clusters keep their identity from run to run, and what became of them is recorded."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from worlds import HERE, PEPPER, add, at, event, home_of, numbered

from detection.clusters import LINEAGE, Identified, Previous, cluster_id, group, identify
from detection.run import run
from detection.runs import RunFiles
from graph.facts import FactsReader
from graph.home import Home
from ingest.job import ingest
from sim.campaigns import Campaign, simulate

BORN = datetime(2026, 3, 1, tzinfo=UTC)
LATER = BORN + timedelta(days=1)
NOBODY = Previous({}, {}, {})
ORGS = [f"org-{number:02d}" for number in range(40)]
SEEN = np.arange(40, dtype=np.int64)


def before(**clusters: Iterable[int]) -> Previous:
    """A run before, with clusters of these members; in the order of their births."""
    return Previous(
        {ORGS[org]: name for name, members in clusters.items() for org in members},
        {name: BORN + timedelta(hours=hour) for hour, name in enumerate(clusters)},
        {name: ORGS[min(members)] for name, members in clusters.items()},
    )


def now(previous: Previous, *communities: Iterable[int], as_of: datetime = LATER) -> Identified:
    """Identify communities, each named by its least member."""
    groups = {min(members): np.array(sorted(members)) for members in map(list, communities)}
    return identify(groups, ORGS, SEEN, as_of, previous, 0.3)


def story(found: Identified) -> set[tuple[str, str | None, str]]:
    return {(row["cluster_id"], row["previous_id"], row["change"]) for row in found.lineage.to_pylist()}


def test_an_id_is_made_of_the_founder_and_the_birth() -> None:
    found = now(NOBODY, [3, 4, 5])
    assert found.ids == {3: cluster_id(ORGS[3], LATER)}
    assert re.fullmatch(r"cl_[a-z2-7]{10}", found.ids[3])
    assert found.founder[3] == ORGS[3]
    assert found.born_at[3] == LATER
    assert cluster_id(ORGS[3], LATER) == cluster_id(ORGS[3], LATER) != cluster_id(ORGS[3], BORN)
    assert cluster_id("org-03", BORN) == "cl_nvgl5socse"
    assert story(found) == {(found.ids[3], None, "born")}


def test_the_founder_is_who_was_seen_first() -> None:
    seen = SEEN.copy()
    seen[4] = -1
    found = identify({3: np.array([3, 4, 5])}, ORGS, seen, LATER, NOBODY, 0.3)
    assert found.founder[3] == ORGS[4]


CHANGES: dict[str, tuple[Previous, list[Sequence[int]], dict[int, str], set[tuple[str, str, str]]]] = {
    "kept": (before(one=range(5)), [range(5)], {0: "one"}, {("one", "one", "kept")}),
    "grown": (before(one=range(5)), [range(9)], {0: "one"}, {("one", "one", "grown")}),
    "shrunk": (before(one=range(5)), [range(2)], {0: "one"}, {("one", "one", "shrunk")}),
    "changed": (before(one=range(5)), [range(1, 6)], {1: "one"}, {("one", "one", "changed")}),
    "merged": (
        before(one=range(6), two=range(6, 10)),
        [range(10)],
        {0: "one"},
        {("one", "one", "grown"), ("one", "two", "merged")},
    ),
    "dissolved": (
        before(one=range(5), two=range(5, 8)),
        [range(5)],
        {0: "one"},
        {("one", "one", "kept"), ("two", "two", "dissolved")},
    ),
    "the older of equals keeps its id": (
        before(old=range(3, 6), young=range(3)),
        [range(6)],
        {0: "old"},
        {("old", "old", "grown"), ("old", "young", "merged")},
    ),
}


@pytest.mark.parametrize(("previous", "communities", "ids", "rows"), CHANGES.values(), ids=CHANGES.keys())
def test_what_became_of_clusters(
    previous: Previous,
    communities: list[Sequence[int]],
    ids: Mapping[int, str],
    rows: set[tuple[str, str, str]],
) -> None:
    found = now(previous, *communities)
    assert found.ids == ids
    assert story(found) == rows
    assert all(found.born_at[name] == previous.born_at[old] for name, old in ids.items())
    assert all(found.founder[name] == previous.founder[old] for name, old in ids.items())


def test_a_split_leaves_the_id_with_the_larger_part() -> None:
    found = now(before(one=range(10)), range(6), range(6, 10))
    new = found.ids[6]
    assert found.ids[0] == "one" != new
    assert story(found) == {("one", "one", "shrunk"), (new, None, "born"), (new, "one", "split")}


def test_too_little_in_common_is_another_cluster() -> None:
    """Three of ten: a Jaccard index of 3/10 is enough, of 3/11 is not."""
    assert now(before(one=range(3)), range(10)).ids == {0: "one"}
    found = now(before(one=range(3)), range(11))
    assert found.ids[0] != "one"
    assert story(found) == {(found.ids[0], None, "born"), (found.ids[0], "one", "merged")}


def test_overlaps_are_recorded_with_their_share() -> None:
    rows = now(before(one=range(6), two=range(6, 10)), range(10)).lineage.to_pylist()
    assert [(row["previous_id"], row["jaccard"]) for row in rows] == [("one", 0.6), ("two", 0.4)]
    assert {row["as_of"] for row in rows} == {LATER}


def test_nothing_before_and_nothing_now() -> None:
    found = now(NOBODY)
    assert (found.ids, found.lineage.num_rows, found.lineage.schema) == ({}, 0, LINEAGE)


@pytest.mark.parametrize("seed", range(20))
def test_ids_are_given_once_and_the_record_is_complete(seed: int) -> None:
    dice = random.Random(seed)
    old = before(**_dealt(dice))
    found = now(old, *_dealt(dice).values())
    assert len(set(found.ids.values())) == len(found.ids)
    rows = found.lineage.to_pylist()
    assert {row["cluster_id"] for row in rows} >= set(found.ids.values())
    assert {row["previous_id"] for row in rows} - {None} == set(old.born_at)
    for name, one in found.ids.items():
        own = [
            row["change"] for row in rows if row["cluster_id"] == one and row["previous_id"] in (one, None)
        ]
        assert own == (["born"] if one not in old.born_at else own)
        assert len(own) == 1
        assert name in found.founder


def _dealt(dice: random.Random) -> dict[str, list[int]]:
    """The organizations dealt to up to six clusters of two or more."""
    hands: dict[str, list[int]] = {}
    for org in dice.sample(range(40), dice.randrange(10, 40)):
        hands.setdefault(f"c{dice.randrange(6)}", []).append(org)
    return {name: members for name, members in hands.items() if len(members) > 1}


def test_groups_are_communities_of_two_or_more() -> None:
    found = group(np.array([0, -1, 0, 3, 4, 4, -1, 0]))
    assert {name: members.tolist() for name, members in found.items()} == {0: [0, 2, 7], 4: [4, 5]}
    assert group(np.array([], dtype=np.int64)) == {}
    assert group(np.full(5, -1)) == {}


def test_through_runs_a_cluster_grows_merges_and_keeps_its_id(tmp_path: Path) -> None:
    def using(device: str, hours: float, *orgs: str) -> list[dict[str, object]]:
        return [event(org, hours, device_id=device) for org in orgs]

    first = numbered([*using("dev-one", 0, *"abcd"), *using("dev-two", 1, *"xyz")])
    home = home_of(tmp_path, first)
    start = run(home)
    ids = {row["org_id"]: row["cluster_id"] for row in start.table("members").to_pylist()}
    one, two = ids["a"], ids["x"]
    assert one == cluster_id("a", at(1))
    assert start.table("lineage")["change"].to_pylist() == ["born", "born"]

    again = run(home)
    assert set(again.table("lineage")["change"].to_pylist()) == {"kept"}
    assert again.path("members").read_bytes() == start.path("members").read_bytes()

    more = [{**row, "event_id": f"more-{n}"} for n, row in enumerate(using("dev-one", 2, "a", "x", "n"))]
    add(home, more)
    merged = run(home)
    assert set(merged.table("members")["cluster_id"].to_pylist()) == {one}
    rows = {(row["previous_id"], row["change"]) for row in merged.table("lineage").to_pylist()}
    assert rows == {(one, "grown"), (two, "merged")}
    clusters = merged.table("clusters").to_pylist()
    assert [(row["founder"], row["born_at"], row["size"]) for row in clusters] == [("a", at(1), 8)]


def test_an_id_is_not_given_again_while_another_part_holds_it() -> None:
    """A second run of the same as-of splits a cluster: the founder leaves, the id stays with the larger part."""
    first = now(NOBODY, range(10))
    held = first.ids[0]
    again = now(before(**{held: range(10)}), range(3), range(3, 10))
    assert again.ids[3] == held
    assert again.ids[0] not in (held, "")
    assert again.ids[0] == cluster_id(ORGS[0], LATER, 1)


@pytest.mark.parametrize("seed", [101, 102])
def test_clusters_keep_their_id_over_an_hour_in_which_they_did_not_change(tmp_path: Path, seed: int) -> None:
    simulate(Campaign(organizations=1_200, seed=seed, difficulty="adaptive", attack_days=3), tmp_path)
    home = Home(tmp_path / "home")
    ingest(home, [str(tmp_path / "events.parquet")], settings=HERE, pepper=PEPPER)
    latest = FactsReader(home).latest()
    assert latest is not None
    noon = latest.replace(hour=12, minute=0, second=0, microsecond=0)
    one, other = members_of(run(home, as_of=noon)), run(home, as_of=noon + timedelta(hours=1))
    seen = dict(
        zip(*(other.table("organizations")[name].to_pylist() for name in ("org_id", "last_at")), strict=True)
    )
    quiet = [cluster for cluster, orgs in one.items() if all(seen[org] <= noon for org in orgs)]
    kept = sum(cluster in members_of(other) for cluster in quiet)
    assert len(quiet) > 15
    assert kept >= 0.99 * len(quiet)


def members_of(files: RunFiles) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in files.table("members", ["org_id", "cluster_id"]).to_pylist():
        found.setdefault(row["cluster_id"], set()).add(row["org_id"])
    return found
