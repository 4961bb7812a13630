"""Audit samples: members drawn at random from all that may be acted on, frozen, and what reviewers say of them."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from detection.runs import Manifest, RunFiles
from graph.durable import write_atomically
from graph.errors import RingfenceError
from graph.home import Home

FOLDER = "samples"
LATEST = "latest"
LASTS = timedelta(days=90)
"""How long a sample speaks for what is found: rings change, and so does the product that they abuse."""
Verdict = Literal["abusive", "legitimate"]

Floats = npt.NDArray[np.float64]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Drawn(_Frozen):
    """One member of a sample. It stands for `stands_for` members that may be acted on (one over its chance)."""

    place: int
    org_id: str
    cluster_id: str
    stands_for: float


class Sample(_Frozen):
    """A frozen draw: from which run and rules, of how many, in which order they are reviewed."""

    sample_id: str
    created_at: datetime
    run_id: str
    as_of: datetime
    rules: str
    seed: int
    actionable: int
    clusters: int
    members: tuple[Drawn, ...]


class Review(_Frozen):
    """What one reviewer says of one member; the reviewer's latest word on it counts."""

    org_id: str
    verdict: Verdict
    reviewer: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class Population:
    """Who may be acted on in one run: ids, clusters, and consumption, which makes a member likelier to be drawn."""

    org_ids: Sequence[str]
    cluster_ids: Sequence[str]
    cost: Floats


def rules_of(settings: Mapping[str, Any], scorecard: str, version: str) -> str:
    """A digest of what decides who is actionable: settings, scorecard, version of Ringfence.

    Grades do not outlive it: what was reviewed was found by other rules.
    """
    decisive = {name: value for name, value in settings.items() if name != "engine"}
    text = json.dumps([decisive, scorecard, version], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def rules_of_run(manifest: Manifest) -> str:
    """The rules of a finished run."""
    return rules_of(manifest.settings, manifest.scorecard, manifest.versions.get("ringfence", ""))


def population_of(files: RunFiles, without: frozenset[str] = frozenset()) -> Population:
    """The actionable members of a run, but for those in `without`."""
    table = files.table("members", ["org_id", "cluster_id", "actionable", "cost"])
    rows = [
        (org, cluster, cost or 0.0)
        for org, cluster, actionable, cost in zip(
            *(column.to_pylist() for column in table.columns), strict=True
        )
        if actionable and org not in without
    ]
    orgs, clusters, costs = zip(*rows, strict=True) if rows else ((), (), ())
    return Population(orgs, clusters, np.array(costs, dtype=np.float64))


def draw(population: Population, size: int, seed: int) -> list[Drawn]:
    """Up to `size` members: one of each cluster before a second of any, clusters in random order.

    Within a cluster members are drawn one after another without replacement, with chances that rise with consumption
    from 1 to 2 by its rank (Efraimidis and Spirakis 2006), so that what is worth most is looked at most and nobody is
    left out. The order is the order of review.
    """
    random = np.random.default_rng(seed)
    clusters, cluster = np.unique(
        np.array(population.cluster_ids, dtype=object).astype(str), return_inverse=True
    )
    weight = 1 + _rank(population.cost)
    keys = np.log(random.random(len(weight))) / weight
    order = np.lexsort((-keys, cluster))
    starts = np.searchsorted(cluster[order], np.arange(len(clusters) + 1))
    turn = np.empty(len(order), dtype=np.int64)
    turn[order] = np.arange(len(order)) - starts[cluster[order]]
    chosen = np.lexsort((random.permutation(len(clusters))[cluster], turn))[:size]
    taken = np.bincount(cluster[chosen], minlength=len(clusters))
    reached = np.count_nonzero(taken) / max(len(clusters), 1)
    chance = np.zeros(len(weight))
    for name in np.flatnonzero(taken):
        members = order[starts[name] : starts[name + 1]]
        chance[members] = reached * _chances(weight[members], int(taken[name]))
    return [
        Drawn(
            place=place,
            org_id=population.org_ids[row],
            cluster_id=population.cluster_ids[row],
            stands_for=round(1 / chance[row], 4),
        )
        for place, row in enumerate(chosen.tolist(), 1)
    ]


def _chances(weight: Floats, taken: int) -> Floats:
    """The chance of each member of a cluster to be among so many: as its weight, but never above one."""
    sure = np.zeros(len(weight), dtype=np.bool_)
    while True:
        left = taken - np.count_nonzero(sure)
        chance = np.where(sure, 1.0, weight * left / max(weight[~sure].sum(), 1e-12))
        over = ~sure & (chance >= 1)
        if not over.any():
            return np.asarray(chance, dtype=np.float64)
        sure |= over


def _rank(cost: Floats) -> Floats:
    """Each one's place by cost, 0 to 1; equal ones alike."""
    _, inverse, counts = np.unique(cost, return_inverse=True, return_counts=True)
    below = np.cumsum(counts) - counts
    return np.asarray((below + (counts - 1) / 2)[inverse] / max(len(cost) - 1, 1), dtype=np.float64)


class Samples:
    """The samples of one home."""

    def __init__(self, home: Home) -> None:
        self._folder = home.path / FOLDER

    def all(self) -> list[Sample]:
        """All samples, oldest first."""
        found = [_read(path) for path in self._folder.glob("smp_*.json")]
        return sorted(found, key=lambda sample: (sample.created_at, sample.sample_id))

    def open(self, sample_id: str) -> Sample:
        """One sample, or the `latest`. Raises RingfenceError (exit 2) where there is none of that id."""
        known = {sample.sample_id: sample for sample in self.all()}
        if sample_id == LATEST and known:
            return list(known.values())[-1]
        if sample_id not in known:
            raise RingfenceError(
                f"there is no sample {sample_id!r}", "List them: ringfence sample list", exit_code=2
            )
        return known[sample_id]

    def counting(self, rules: str, now: datetime) -> list[Sample]:
        """Samples that speak for these rules at this time."""
        return [each for each in self.all() if each.rules == rules and now - each.created_at <= LASTS]

    def add(self, files: RunFiles, size: int, seed: int | None, now: datetime) -> Sample:
        """Draw and freeze a sample of the run's actionable members, without those that counting samples hold.

        Raises RingfenceError when there is nobody to draw (exit 3), or when a sample of the same rules is not
        reviewed to its end: drawing until the draw pleases would prove nothing.
        """
        with self._alone():
            manifest = files.manifest
            rules = rules_of_run(manifest)
            before = self.counting(rules, now)
            self._require_finished(before)
            known = frozenset(member.org_id for sample in before for member in sample.members)
            population = population_of(files, known)
            if not population.org_ids:
                raise RingfenceError(
                    "there is nobody to review: no member of the run is actionable"
                    + (" that has not been drawn already" if known else ""),
                    "A run after new events may find some: ringfence run",
                    exit_code=3,
                )
            chosen = secrets.randbits(48) if seed is None else seed
            digest = hashlib.sha256(
                f"{manifest.run_id}\n{chosen}\n{size}\n{len(before)}".encode()
            ).hexdigest()
            sample = Sample(
                sample_id=f"smp_{digest[:10]}",
                created_at=now,
                run_id=manifest.run_id,
                as_of=manifest.as_of,
                rules=rules,
                seed=chosen,
                actionable=len(population.org_ids),
                clusters=len(set(population.cluster_ids)),
                members=tuple(draw(population, size, chosen)),
            )
            write_atomically(self._path(sample.sample_id), sample.model_dump_json(indent=2).encode())
            return sample

    def _require_finished(self, samples: Sequence[Sample]) -> None:
        for sample in samples:
            missing = sum(max(0, 2 - len(verdicts)) for verdicts in self.verdicts(sample).values())
            if missing:
                raise RingfenceError(
                    f"sample {sample.sample_id} lacks {missing:,} reviews",
                    f"Finish it first: ringfence sample show {sample.sample_id}",
                )

    def reviews(self, sample: Sample) -> list[Review]:
        """Everything that reviewers said, oldest first."""
        path = self._reviews_path(sample.sample_id)
        try:
            lines = path.read_bytes().splitlines() if path.exists() else []
            return [Review.model_validate_json(line) for line in lines]
        except (OSError, ValidationError) as error:
            raise RingfenceError(
                f"the reviews in {path} cannot be read", "Restore that file from a backup."
            ) from error

    def verdicts(self, sample: Sample) -> dict[str, dict[str, Verdict]]:
        """By member, in the order of the sample: what each reviewer said last."""
        found: dict[str, dict[str, Verdict]] = {member.org_id: {} for member in sample.members}
        for review in self.reviews(sample):
            found[review.org_id][review.reviewer] = review.verdict
        return found

    def decide(self, sample_id: str, rows: Sequence[dict[str, str]], now: datetime) -> list[Review]:
        """Store reviews (org_id, verdict, reviewer, reason), all or none; RingfenceError (exit 2) for a wrong one."""
        with self._alone():
            sample = self.open(sample_id)
            sample_id = sample.sample_id
            members = {member.org_id for member in sample.members}
            reviews = [_review(row, place, members, sample_id, now) for place, row in enumerate(rows, 1)]
            kept = [*self.reviews(sample), *reviews]
            lines = b"".join(review.model_dump_json().encode() + b"\n" for review in kept)
            write_atomically(self._reviews_path(sample_id), lines)
            return reviews

    def _path(self, sample_id: str) -> Path:
        return self._folder / f"{sample_id}.json"

    def _reviews_path(self, sample_id: str) -> Path:
        return self._folder / f"{sample_id}.reviews.ndjson"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self._folder / ".lock"):
                yield
        except OSError as error:
            raise RingfenceError(
                f"cannot write to {self._folder}: {error.strerror or error}",
                "Free some space or correct that.",
            ) from error


def _review(row: dict[str, Any], place: int, members: set[str], sample_id: str, now: datetime) -> Review:
    problem = None
    if row.get("org_id") not in members:
        problem = f"{row.get('org_id', '')!r} is not in sample {sample_id}"
    elif row.get("verdict") not in ("abusive", "legitimate"):
        problem = f"{row.get('verdict', '')!r} is not a verdict: abusive or legitimate"
    elif not str(row.get("reviewer", "")).strip():
        problem = "the reviewer is missing"
    elif not str(row.get("reason", "")).strip():
        problem = "the reason is missing"
    if problem is not None:
        raise RingfenceError(
            f"row {place}: {problem}", "Nothing was stored. Correct it, then give all again.", exit_code=2
        )
    return Review(
        org_id=row["org_id"],
        verdict=row["verdict"],
        reviewer=" ".join(row["reviewer"].split()).casefold(),
        reason=" ".join(row["reason"].split()),
        at=now.astimezone(UTC),
    )


def _read(path: Path) -> Sample:
    try:
        return Sample.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise RingfenceError(
            f"the sample {path} cannot be read", "Restore that file from a backup."
        ) from error
