"""Grades: how well reviews support that whoever may be acted on is abusive. By cluster: members are not independent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, gammaln

from detection.runs import Runs
from detection.samples import Sample, Samples, Verdict, rules_of_run
from graph.home import Home

Level = Literal["unproven", "supported", "proven"]

CONFIDENCE = 0.95
"""Of each bound, to one side."""
SUPPORTED_MEMBERS, SUPPORTED_CLUSTERS, SUPPORTED = 100, 30, 0.97
TARGETS: dict[str, float] = {"ban": 0.999, "containment": 0.995}
"""The precision that a kind of action needs; its lower bound proves it."""
MOST_MEMBERS = 1_000_000
"""More than that are not asked for."""


@dataclass(frozen=True)
class Tally:
    """What two reviewers or more decided about members, in the order of the samples up to the first gap.

    `right` is the sum over clusters of the share of their reviewed members that are abusive; a member on which
    reviewers are divided is not. `estimate` is the share among all actionable members, each reviewed one counted for
    those that it stands for.
    `waiting` reviews are missing in the samples; `ahead` were given after a gap and do not count yet. `population` and
    `population_clusters` are what could have been drawn.
    """

    members: int = 0
    members_right: int = 0
    clusters: int = 0
    right: float = 0.0
    estimate: float = 0.0
    divided: int = 0
    waiting: int = 0
    ahead: int = 0
    population: int = 0
    population_clusters: int = 0


@dataclass(frozen=True)
class Grade:
    """The grade for each kind of action, the bounds behind it, and how many reviews are missing to the next one.

    `level` is the grade for a ban, `containment` that for containment. `lower` bounds the precision of what was found
    (a finite population), `lower_future` that of clusters still to be found. `noise` was taken off both: the chance
    that two reviewers err alike. `missing` counts reviews (two a member) by what they would bring, if all of them say
    abusive; None where there are not enough clusters to review.
    """

    level: Level
    containment: Level
    tally: Tally
    lower: float
    lower_future: float
    noise: float
    missing: dict[str, int | None]

    def as_plain(self) -> dict[str, Any]:
        """As plain values, for a manifest."""
        return {**asdict(self), "missing": dict(self.missing)}


UNPROVEN = Grade("unproven", "unproven", Tally(), 0.0, 0.0, 0.0, {})
"""Without a single review."""


def grade(home: Home, rules: str | None = None, now: datetime | None = None) -> Grade:
    """The grade that the home's samples give to these rules (default: those of the current run) at this time.

    Nothing but the reviews of random samples counts: no label, appeal, chargeback or earlier action.
    """
    if rules is None:
        runs = Runs(home)
        if runs.current() is None:
            return UNPROVEN
        rules = rules_of_run(runs.open().manifest)
    samples = Samples(home)
    counting = samples.counting(rules, now or datetime.now(UTC))
    return graded(tally([(sample, samples.verdicts(sample)) for sample in counting]))


def tally(reviewed: Sequence[tuple[Sample, dict[str, dict[str, Verdict]]]]) -> Tally:
    """Add up reviews. A member counts once two have reviewed it and all before it: hard cases cannot be skipped."""
    by_cluster: dict[str, list[bool]] = {}
    stands, right_stands, divided, waiting, ahead = 0.0, 0.0, 0, 0, 0
    for sample, verdicts in reviewed:
        gap = False
        for member in sample.members:
            said = list(verdicts[member.org_id].values())
            gap |= len(said) < 2
            if gap:
                waiting += max(0, 2 - len(said))
                ahead += min(2, len(said))
                continue
            right = said.count("abusive") > said.count("legitimate")
            divided += len(set(said)) > 1
            by_cluster.setdefault(member.cluster_id, []).append(right)
            stands += member.stands_for
            right_stands += member.stands_for * right
    shares = [sum(rights) / len(rights) for rights in by_cluster.values()]
    drawn_before = sum(len(sample.members) for sample, _ in reviewed[:-1])
    return Tally(
        members=sum(map(len, by_cluster.values())),
        members_right=sum(map(sum, by_cluster.values())),
        clusters=len(shares),
        right=math.fsum(shares),
        estimate=right_stands / stands if stands else 0.0,
        divided=divided,
        waiting=waiting,
        ahead=ahead,
        population=reviewed[-1][0].actionable + drawn_before if reviewed else 0,
        population_clusters=max([len(shares), *(sample.clusters for sample, _ in reviewed)])
        if reviewed
        else 0,
    )


def graded(found: Tally) -> Grade:
    """The grade of a tally."""
    noise = _noise(found)
    lower, future = _lower(found) - noise, _lower_future(found) - noise
    levels: dict[str, Level] = {
        action: _level(found, lower, future, goal) for action, goal in TARGETS.items()
    }
    missing = {"supported": _missing(found, None)} | {
        f"proven for {action}": _missing(found, goal) for action, goal in reversed(TARGETS.items())
    }
    return Grade(
        level=levels["ban"],
        containment=levels["containment"],
        tally=found,
        lower=round(max(lower, 0.0), 6),
        lower_future=round(max(future, 0.0), 6),
        noise=round(noise, 6),
        missing=missing,
    )


def _level(found: Tally, lower: float, future: float, goal: float) -> Level:
    enough = found.members >= SUPPORTED_MEMBERS and found.clusters >= SUPPORTED_CLUSTERS
    if not enough or lower < SUPPORTED or found.estimate < SUPPORTED:
        return "unproven"
    return "proven" if future >= goal and found.estimate >= goal else "supported"


def _lower(found: Tally) -> float:
    """The least precision of what was found that is not refuted: by cluster, and by member.

    Both populations are finite, so both bounds are hypergeometric: where every cluster was looked into, nothing about
    clusters is left to chance.
    """
    wrong_clusters = math.ceil(round(found.clusters - found.right, 9))
    return min(
        finite_lower(found.population_clusters, found.clusters, wrong_clusters),
        finite_lower(found.population, found.members, found.members - found.members_right),
    )


def _lower_future(found: Tally) -> float:
    """The same for clusters to come, each cluster one observation (Clopper and Pearson 1934)."""
    return binomial_lower(found.right, found.clusters)


def finite_lower(population: int, drawn: int, wrong: int) -> float:
    """The lower bound of the right share of `population`, of which `drawn` were looked at and `wrong` were wrong."""
    if not drawn:
        return 0.0
    low, high = wrong, population - (drawn - wrong)
    while low < high:  # the most that may be wrong in all, so that seeing so few is not too unlikely
        middle = (low + high + 1) // 2
        if _seen_at_most(wrong, population, middle, drawn) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle - 1
    return 1 - low / population


def _seen_at_most(wrong: int, population: int, wrong_in_all: int, drawn: int) -> float:
    """The chance that a draw holds at most so many wrong ones (the hypergeometric distribution)."""

    def ways(of: int, chosen: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        return np.asarray(gammaln(of + 1) - gammaln(chosen + 1) - gammaln(of - chosen + 1), dtype=np.float64)

    fewest = max(0, drawn - (population - wrong_in_all))
    seen = np.arange(fewest, min(wrong, wrong_in_all, drawn) + 1)
    right = population - wrong_in_all
    chances = ways(wrong_in_all, seen) + ways(right, drawn - seen) - ways(population, np.array(drawn))
    return float(np.exp(chances).sum())


def binomial_lower(right: float, drawn: float) -> float:
    """The lower Clopper–Pearson bound of a share; counts need not be whole."""
    if right <= 0:
        return 0.0
    return float(betaincinv(right, drawn - right + 1, 1 - CONFIDENCE))


def _noise(found: Tally) -> float:
    """The chance that two reviewers err alike, from the upper bound of how often they disagree.

    Two who each err with chance e, on their own, disagree in 2e(1-e) of all cases and err alike in e².
    """
    if not found.members:
        return 0.0
    agreed = found.members - found.divided
    disagreement = min(1 - binomial_lower(agreed, found.members), 0.5)
    return float(((1 - math.sqrt(1 - 2 * disagreement)) / 2) ** 2)


def _missing(found: Tally, goal: float | None) -> int | None:
    """How many more reviews bring the grade if all of them agree; None when the population is too small."""
    if _reached(found, goal):
        return 0
    most = found.population - found.members if goal is None and found.population else MOST_MEMBERS
    if not _reached(_extended(found, most, goal), goal):
        return None
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _reached(_extended(found, middle, goal), goal) else (middle, high)
    return max(2 * high - found.ahead, 1)


def _reached(found: Tally, goal: float | None) -> bool:
    noise = _noise(found)
    level = _level(found, _lower(found) - noise, _lower_future(found) - noise, goal or math.inf)
    return level == "proven" or (goal is None and level == "supported")


def _extended(found: Tally, more: int, goal: float | None) -> Tally:
    """The tally after so many more members, all right, each of a new cluster as far as there are any.

    What is to be proven speaks of clusters to come, so that more of them than today's may be reviewed for it.
    """
    open_ended = goal is not None or not found.population
    fresh = more if open_ended else min(more, found.population_clusters - found.clusters)
    members, clusters = found.members + more, found.clusters + fresh
    return replace(
        found,
        members=members,
        members_right=found.members_right + more,
        clusters=clusters,
        right=found.right + fresh,
        estimate=(found.estimate * found.members + more) / members if members else 0.0,
        population=max(found.population, members),
        population_clusters=max(found.population_clusters, clusters),
    )


def in_words(one: Grade) -> list[str]:
    """A grade as sentences: what it rests on, and what is missing."""
    found = one.tally
    if not found.members:
        return ["unproven: no member of an audit sample has been reviewed by two people"]
    said = [
        f"{one.level} for bans, {one.containment} for containment",
        f"{found.members_right:,} of {found.members:,} reviewed members of {found.clusters:,} clusters are abusive;"
        f" precision at least {one.lower:.2%} of what was found, {one.lower_future:.2%} of clusters to come",
    ]
    if found.divided:
        said.append(f"reviewers are divided on {found.divided:,}: a third one settles each")
    for goal, reviews in one.missing.items():
        if reviews is None:
            said.append(
                f"{goal}: the {found.population_clusters:,} clusters that were found are too few for it"
            )
        elif reviews:
            said.append(f"{goal}: {reviews:,} reviews are missing, if all of them agree")
    return said
