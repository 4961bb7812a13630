"""Grades: bounds are those of the distributions, clusters count and not members, and hard cases cannot be skipped."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from scipy.stats import beta, hypergeom

from detection.grades import Tally, binomial_lower, finite_lower, graded, in_words, tally
from detection.samples import Drawn, Sample, Verdict

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def all_right(members: int, clusters: int, *, of: int = 100_000, of_clusters: int = 10_000) -> Tally:
    return Tally(
        members=members,
        members_right=members,
        clusters=clusters,
        right=float(clusters),
        estimate=1.0,
        population=of,
        population_clusters=of_clusters,
    )


def sample(*clusters: str) -> Sample:
    members = tuple(
        Drawn(place=place, org_id=f"org-{place}", cluster_id=cluster, stands_for=1.0)
        for place, cluster in enumerate(clusters, 1)
    )
    return Sample(
        sample_id="smp_0000000000",
        created_at=NOW,
        run_id="run_x",
        as_of=NOW,
        rules="",
        seed=1,
        actionable=50,
        clusters=20,
        members=members,
    )


def say(*words: str) -> dict[str, dict[str, Verdict]]:
    """What reviewers said of org-1, org-2 …: a letter each, `a`busive or `l`egitimate."""
    meaning: dict[str, Verdict] = {"a": "abusive", "l": "legitimate"}
    return {
        f"org-{place}": {f"reviewer-{number}": meaning[letter] for number, letter in enumerate(word)}
        for place, word in enumerate(words, 1)
    }


@pytest.mark.parametrize(("right", "drawn"), [(100, 100), (99, 100), (30, 30), (2.5, 4), (1, 1)])
def test_the_binomial_bound_is_clopper_and_pearsons(right: float, drawn: int) -> None:
    assert binomial_lower(right, drawn) == pytest.approx(beta.ppf(0.05, right, drawn - right + 1))


@pytest.mark.parametrize(
    ("population", "drawn", "wrong"), [(40, 30, 0), (200, 100, 2), (2_000, 100, 0), (9, 9, 1)]
)
def test_the_finite_bound_refutes_what_is_too_unlikely(population: int, drawn: int, wrong: int) -> None:
    most = round((1 - finite_lower(population, drawn, wrong)) * population)
    assert hypergeom.cdf(wrong, population, most, drawn) > 0.05
    assert most == population or hypergeom.cdf(wrong, population, most + 1, drawn) <= 0.05


def test_nothing_reviewed_is_unproven_and_says_what_is_missing() -> None:
    found = graded(Tally())
    assert (found.level, found.containment, found.lower) == ("unproven", "unproven", 0.0)
    assert found.missing["supported"] == 200
    assert "no member" in in_words(found)[0]


def test_a_hundred_members_of_a_hundred_clusters_are_support() -> None:
    assert graded(all_right(100, 100)).level == "supported"
    assert graded(all_right(99, 99)).level == "unproven"


def test_members_of_few_clusters_are_not_independent() -> None:
    assert graded(all_right(1_000, 29)).level == "unproven"
    assert graded(all_right(1_000, 60)).level == "unproven"
    assert graded(all_right(1_000, 60)).lower_future < 0.96


def test_where_every_cluster_was_looked_into_thirty_suffice() -> None:
    found = graded(all_right(100, 30, of=2_000, of_clusters=30))
    assert (found.level, found.missing["supported"]) == ("supported", 0)
    assert graded(all_right(100, 30, of=2_000, of_clusters=60)).level == "unproven"


def test_containment_is_proven_before_bans() -> None:
    found = graded(all_right(700, 650))
    assert (found.level, found.containment) == ("supported", "proven")
    assert graded(all_right(3_100, 3_050)).level == "proven"


def test_one_wrong_cluster_costs_more_reviews() -> None:
    wrong = replace(all_right(120, 120), members_right=119, right=119.0, estimate=119 / 120)
    found = graded(wrong)
    assert found.level == "unproven"
    assert (found.missing["supported"] or 0) > 20


def test_what_is_missing_is_just_enough() -> None:
    before = all_right(40, 40)
    more = (graded(before).missing["supported"] or 0) // 2
    assert graded(all_right(40 + more, 40 + more)).level == "supported"
    assert graded(all_right(39 + more, 39 + more)).level == "unproven"


def test_too_small_a_population_is_said() -> None:
    found = graded(all_right(60, 8, of=60, of_clusters=8))
    assert found.missing["supported"] is None
    assert any("too few" in line for line in in_words(found))


def test_reviewers_who_disagree_make_every_label_doubtful() -> None:
    sure = graded(all_right(120, 120))
    doubtful = graded(replace(all_right(120, 120), divided=12))
    assert doubtful.noise > sure.noise > 0
    assert doubtful.lower < sure.lower


def test_votes_are_added_up_by_cluster() -> None:
    found = tally([(sample("x", "x", "y", "z"), say("aa", "al", "aa", "laa"))])
    assert (found.members, found.members_right, found.clusters) == (4, 3, 3)
    assert found.right == pytest.approx(0.5 + 1 + 1)
    assert (found.divided, found.estimate) == (2, 0.75)
    assert (found.population, found.population_clusters) == (50, 20)


def test_what_comes_after_a_gap_waits() -> None:
    found = tally([(sample("x", "y", "z"), say("aa", "a", "aa"))])
    assert (found.members, found.waiting, found.ahead) == (1, 1, 3)


def test_no_sample_is_no_tally() -> None:
    assert tally([]) == Tally()
