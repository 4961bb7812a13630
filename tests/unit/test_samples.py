"""Audit samples: random, weighted, frozen, one cluster after the other, and honest about what is missing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from detection.grades import grade
from detection.runs import RunFiles, Runs
from detection.samples import LASTS, Population, Samples, draw, rules_of_run
from graph.errors import RingfenceError
from graph.home import Home
from tests.unit.handmade import write_run

NOW = datetime(2026, 3, 5, tzinfo=UTC)
SIZES = (40, 25, 10, 3, 2)


def population(sizes: tuple[int, ...] = SIZES) -> Population:
    clusters = [f"cl_{number}" for number, size in enumerate(sizes) for _ in range(size)]
    orgs = [f"org-{number:03d}" for number in range(len(clusters))]
    return Population(orgs, clusters, np.arange(len(orgs), dtype=np.float64) % 7)


def audited(folder: Path) -> RunFiles:
    """A run of which the three members of the ring and one of the pair are actionable."""
    home = Home(folder / "home")
    run_id = write_run(home)
    path = home.runs / run_id / "members.parquet"
    members = pq.read_table(path)
    suspects = ("ring-a", "ring-b", "ring-c", "pair-d")
    actionable = pa.array([org in suspects for org in members["org_id"].to_pylist()])
    pq.write_table(
        members.set_column(members.column_names.index("actionable"), "actionable", actionable), path
    )
    return Runs(home).open()


@pytest.fixture
def files(tmp_path: Path) -> RunFiles:
    return audited(tmp_path)


def home_of(files: RunFiles) -> Home:
    return Home(files.folder.parent.parent)


def review(
    samples: Samples,
    sample_id: str,
    *orgs: str,
    verdict: str = "abusive",
    by: tuple[str, ...] = ("amy", "bob"),
) -> None:
    rows = [
        {"org_id": org, "verdict": verdict, "reviewer": name, "reason": "r"} for org in orgs for name in by
    ]
    samples.decide(sample_id, rows, NOW)


def test_a_draw_is_the_same_for_a_seed_and_another_for_another() -> None:
    assert draw(population(), 20, 5) == draw(population(), 20, 5)
    assert draw(population(), 20, 5) != draw(population(), 20, 6)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [1, 5, 23, 80, 500])
def test_every_cluster_is_looked_into_before_any_is_twice(seed: int, size: int) -> None:
    drawn = draw(population(), size, seed)
    assert len(drawn) == min(size, 80)
    assert len({member.org_id for member in drawn}) == len(drawn)
    assert [member.place for member in drawn] == list(range(1, len(drawn) + 1))
    taken = Counter(member.cluster_id for member in drawn)
    room = dict(zip((f"cl_{number}" for number in range(5)), SIZES, strict=True))
    assert all(room[one] == taken[one] for one in room if taken[one] < max(taken.values()) - 1)


def test_larger_samples_begin_with_smaller_ones() -> None:
    few, many = draw(population(), 10, 9), draw(population(), 60, 9)
    assert [member.org_id for member in many[:10]] == [member.org_id for member in few]


def test_who_consumes_more_is_drawn_more_often_and_nobody_never() -> None:
    """In a cluster of two, one with all the cost: chances are as one to two."""
    two = Population(["poor", "rich"], ["cl", "cl"], np.array([0.0, 9.0]))
    first = Counter(draw(two, 1, seed)[0].org_id for seed in range(600))
    assert 0.6 < first["rich"] / 600 < 0.73


def test_drawn_members_stand_for_all() -> None:
    total = np.mean([sum(member.stands_for for member in draw(population(), 40, seed)) for seed in range(60)])
    assert total == pytest.approx(80, rel=0.05)
    assert all(member.stands_for == 1.0 for member in draw(population((3,)), 3, 1))


def test_a_sample_is_frozen_and_nobody_is_drawn_twice(files: RunFiles) -> None:
    samples = Samples(home_of(files))
    first = samples.add(files, 3, 7, NOW)
    assert (first.actionable, first.clusters, len(first.members)) == (4, 2, 3)
    assert samples.open(first.sample_id) == first
    with pytest.raises(RingfenceError, match="lacks 6 reviews"):
        samples.add(files, 3, 8, NOW)
    review(samples, first.sample_id, *(member.org_id for member in first.members))
    second = samples.add(files, 3, 8, NOW + timedelta(hours=1))
    assert len({member.org_id for sample in samples.all() for member in sample.members}) == 4
    review(samples, second.sample_id, second.members[0].org_id)
    with pytest.raises(RingfenceError, match="nobody to review") as nobody:
        samples.add(files, 3, 9, NOW)
    assert nobody.value.exit_code == 3


def test_a_run_without_actionable_members_has_nobody_to_review(tmp_path: Path) -> None:
    home = Home(tmp_path)
    write_run(home)
    with pytest.raises(RingfenceError, match="no member of the run is actionable") as nobody:
        Samples(home).add(Runs(home).open(), 10, None, NOW)
    assert nobody.value.exit_code == 3


def test_the_latest_word_of_a_reviewer_counts_however_it_is_spelled(files: RunFiles) -> None:
    samples = Samples(home_of(files))
    sample = samples.add(files, 1, 7, NOW)
    org = sample.members[0].org_id
    review(samples, sample.sample_id, org, by=("Amy", "amy ", "AMY"))
    review(samples, sample.sample_id, org, verdict="legitimate", by=("amy",))
    assert samples.verdicts(sample) == {org: {"amy": "legitimate"}}
    assert len(samples.reviews(sample)) == 4


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"org_id": "nobody"}, "'nobody' is not in sample"),
        ({"verdict": "maybe"}, "'maybe' is not a verdict"),
        ({"reviewer": " "}, "the reviewer is missing"),
        ({"reason": ""}, "the reason is missing"),
    ],
)
def test_a_wrong_review_stores_nothing(files: RunFiles, wrong: dict[str, str], said: str) -> None:
    samples = Samples(home_of(files))
    sample = samples.add(files, 2, 7, NOW)
    good = {"org_id": sample.members[0].org_id, "verdict": "abusive", "reviewer": "amy", "reason": "r"}
    with pytest.raises(RingfenceError, match=f"row 2: {said}"):
        samples.decide(sample.sample_id, [good, good | wrong], NOW)
    assert samples.reviews(sample) == []


def test_reviews_count_for_their_rules_and_for_a_season(files: RunFiles) -> None:
    home = home_of(files)
    samples = Samples(home)
    assert grade(home, now=NOW).tally.members == 0
    sample = samples.add(files, 4, 7, NOW)
    review(samples, sample.sample_id, *(member.org_id for member in sample.members))
    assert grade(home, now=NOW).tally.members == 4
    assert grade(home, now=NOW + LASTS + timedelta(seconds=1)).tally.members == 0
    assert grade(home, "other rules", NOW).tally.members == 0
    other = replace(files, manifest=files.manifest.model_copy(update={"scorecard": "v0001"}))
    assert rules_of_run(other.manifest) != rules_of_run(files.manifest)
    assert samples.add(other, 4, 7, NOW).members == sample.members


def test_a_home_without_a_run_has_no_grade(tmp_path: Path) -> None:
    assert grade(Home(tmp_path)).level == "unproven"


def test_damaged_files_are_said(files: RunFiles) -> None:
    home = home_of(files)
    samples = Samples(home)
    sample = samples.add(files, 2, 7, NOW)
    folder = home.path / "samples"
    (folder / f"{sample.sample_id}.reviews.ndjson").write_bytes(b"{}\n")
    with pytest.raises(RingfenceError, match=r"reviews in .* cannot be read"):
        samples.reviews(sample)
    (folder / f"{sample.sample_id}.json").write_bytes(b"{}")
    with pytest.raises(RingfenceError, match="cannot be read"):
        samples.all()
    with pytest.raises(RingfenceError):
        samples.open("smp_unknown")
