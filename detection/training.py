"""Refits a scorecard from an operator's labels, and judges the new beside the old on labels that neither fit saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from sklearn.metrics import roc_auc_score

from detection.decisions import labels_of
from detection.fitting import (
    POINTS,
    Bools,
    Floats,
    bins_of,
    fit,
    likelihood,
    names,
    reached,
    steps_of,
    weights_of,
)
from detection.grades import binomial_lower
from detection.runs import RunFiles, Runs
from detection.scorecards import Scorecards, Trained
from detection.scoring import BASE, Scorecard, shipped
from detection.settings import AdmissionSettings
from graph.errors import RingfenceError
from graph.home import Home

FROM_LABELS = frozenset({"known_bad_tie"})
"""Signals that read labels: a fit on labels would believe them blindly, and a test on labels would be passed by it."""
NOISE = 0.05
"""The share of wrong labels that a fit expects: one of a few wrong ones must not bend the card."""
TRAINED_SHARE = 0.7
"""Clusters by the time at which they were first seen: so many of the earlier ones train, the later ones judge."""
LEAST_TRAINED, LEAST_HELD_OUT = 10, 4
"""Labelled clusters of either label without which training or judging would be a guess."""
MOST_WEIGHT = 3.0
"""A cluster counts by the root of its labelled members, and at most so much."""
PRECISION = 0.995
"""The precision that the threshold has to reach on labels."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Observed:
    """What signals say of the clusters of one run: values by signal (columns as `fitting.names`)."""

    cluster_ids: list[str]
    values: Floats
    sizes: Ints
    first_at: Ints
    baselines: dict[str, float]


@dataclass(frozen=True)
class Samples:
    """Labelled clusters, one row each, in order of time: `abusive` is what most of its labelled members are."""

    values: Floats
    abusive: Bools
    weight: Floats
    baselines: dict[str, float]

    def part(self, rows: slice) -> Samples:
        """Some of the rows."""
        return Samples(self.values[rows], self.abusive[rows], self.weight[rows], self.baselines)


@dataclass(frozen=True)
class Judged:
    """How a card does on held-out clusters: mean loss of the labels, AUC, and what its threshold reaches."""

    loss: float
    auc: float | None
    precision: float | None
    recall: float
    threshold: float


@dataclass(frozen=True)
class Training:
    """A refitted card beside the one in use, both judged on the same held-out clusters."""

    card: Scorecard
    old: Judged
    new: Judged
    labels: dict[str, int]

    @property
    def worse(self) -> list[str]:
        """In what the new card is worse, in words; empty when it may be used."""
        said = []
        if self.new.loss > self.old.loss + 1e-9:
            said.append(f"its loss on held-out labels rises from {self.old.loss:.4f} to {self.new.loss:.4f}")
        if (self.new.auc or 0) < (self.old.auc or 0) - 1e-9:
            said.append(f"its AUC falls from {self.old.auc:.4f} to {self.new.auc:.4f}")
        before, after = self.old.precision, self.new.precision
        if before is not None and after is not None and after < before - 1e-9:
            said.append(f"its precision falls from {before:.2%} to {after:.2%}")
        safer = before is not None and before < PRECISION and (after is None or after > before)
        if self.new.recall < self.old.recall - 1e-9 and not safer:
            said.append(f"its recall falls from {self.old.recall:.2%} to {self.new.recall:.2%}")
        return said


def observed(files: RunFiles) -> Observed:
    """What the signals of a run said of its clusters."""
    clusters = files.table("clusters", ["cluster_id", "size", "first_at"])
    ids = clusters["cluster_id"].to_pylist()
    row = {cluster: place for place, cluster in enumerate(ids)}
    column = {name: place for place, name in enumerate(names())}
    values = np.zeros((len(ids), len(column)))
    evidence = files.table("evidence", ["cluster_id", "signal", "value", "baseline"])
    baselines: dict[str, float] = {}
    for cluster, signal, value, baseline in zip(
        *(evidence[name].to_pylist() for name in evidence.column_names), strict=True
    ):
        if signal != BASE and signal in column:
            values[row[cluster], column[signal]] = value
        if baseline is not None:
            baselines[signal] = baseline
    return Observed(
        ids,
        values,
        clusters["size"].to_numpy().astype(np.int64),
        clusters["first_at"].cast("int64").to_numpy(),
        baselines,
    )


def samples_of(files: RunFiles, labels: Mapping[str, str]) -> Samples:
    """The labelled clusters of a run, by the time of their first event; clusters divided into halves are left out.

    One sample a cluster, however many of its members are labelled: they are not independent, and a majority survives
    single wrong labels.
    """
    found = observed(files)
    members = files.table("members", ["org_id", "cluster_id"])
    votes: dict[str, list[int]] = {}
    for org, cluster in zip(members["org_id"].to_pylist(), members["cluster_id"].to_pylist(), strict=True):
        if org in labels:
            votes.setdefault(cluster, []).append(1 if labels[org] == "abusive" else -1)
    order = np.argsort(found.first_at, kind="stable")
    rows = [row for row in order.tolist() if sum(votes.get(found.cluster_ids[row], ())) != 0]
    cast = [votes[found.cluster_ids[row]] for row in rows]
    return Samples(
        found.values[rows],
        np.array([sum(each) > 0 for each in cast], dtype=np.bool_),
        np.array([min(len(each) ** 0.5, MOST_WEIGHT) for each in cast]),
        found.baselines,
    )


def refit(
    samples: Samples,
    old: Scorecard,
    settings: AdmissionSettings,
    version: str,
    ground: Scorecard | None = None,
) -> Training:
    """Refit a card on the earlier clusters, and judge it beside the old one on the later ones.

    It is always the one that ships (`ground`) that is refitted, never a refitted one: else the same labels, and the
    wrong ones among them, would count again with every training.
    People label what they look at, so that the share of abusive ones among labels says nothing about clusters: slopes
    stand this, the intercept does not (Prentice and Pyke 1979). What has to be added to that card's scores to
    explain that share is taken to be what people look at, and taken off again from where the new card starts.
    Raises RingfenceError (exit 3) for too few labels.
    """
    cut = round(len(samples.abusive) * TRAINED_SHARE)
    train, test = samples.part(slice(0, cut)), samples.part(slice(cut, None))
    _require(train, LEAST_TRAINED, "to train on")
    _require(test, LEAST_HELD_OUT, "held out to judge by, as the latest")
    ground = shipped() if ground is None else ground
    steps = steps_of(ground)
    before = weights_of(ground, steps)
    fixed = np.array([step.signal in FROM_LABELS for step in steps])
    x = reached(train.values, train.baselines, steps) * ~fixed
    found = fit(x, train.abusive, train.weight, towards=before, noise=NOISE, fixed=fixed)
    least = max(settings.cluster_risk, settings.member_risk)
    fields = ground.model_dump() | {
        "version": version,
        "base_points": round((found.start - _shift(_score(ground, train), train)) * POINTS),
        "trained_on": f"{len(train.abusive)} labelled clusters, from scorecard {ground.version}",
        "bins": bins_of(found.weights, steps),
    }
    card = Scorecard.model_validate(fields)
    card = Scorecard.model_validate(fields | {"threshold": _threshold(card, train, least)})
    return Training(
        card,
        judge(old, train, test, least),
        judge(card, train, test, least),
        {"abusive": int(samples.abusive.sum()), "legitimate": int((~samples.abusive).sum())},
    )


def _require(part: Samples, least: int, why: str) -> None:
    abusive = int(part.abusive.sum())
    legitimate = len(part.abusive) - abusive
    if min(abusive, legitimate) < least:
        raise RingfenceError(
            f"{abusive} labelled clusters {why} are abusive and {legitimate} legitimate; {least} of each are needed",
            "Label members of more clusters, of early and of late ones: see docs/recipes/labels.md.",
            exit_code=3,
        )


def judge(card: Scorecard, train: Samples, test: Samples, least: float) -> Judged:
    """How a card does on `test`, without the signals that read labels.

    For the loss its scores are shifted to the share of abusive ones among the labels it was trained on.
    """
    shift = _shift(_score(card, train), train)
    scores = _score(card, test)
    loss, _ = likelihood(scores + shift, test.abusive, NOISE)
    threshold = max(card.threshold or 0.0, least)
    over = card.risk(scores * POINTS) >= threshold
    hits = int((over & test.abusive).sum())
    both = 0 < int(test.abusive.sum()) < len(test.abusive)
    return Judged(
        loss=round(float(np.average(loss, weights=test.weight)), 6),
        auc=round(float(roc_auc_score(test.abusive, scores)), 6) if both else None,
        precision=round(hits / int(over.sum()), 6) if over.any() else None,
        recall=round(hits / max(int(test.abusive.sum()), 1), 6),
        threshold=threshold,
    )


def _score(card: Scorecard, samples: Samples) -> Floats:
    """Log-odds that the card gives, without the signals that read labels."""
    steps = [step for step in steps_of(card) if step.signal not in FROM_LABELS]
    gained = reached(samples.values, samples.baselines, steps) @ weights_of(card, steps)
    return np.asarray(card.base_points / POINTS + gained, dtype=np.float64)


def _shift(scores: Floats, samples: Samples) -> float:
    """What added to all scores makes the labels likeliest."""

    def loss(shift: float) -> float:
        return float(np.sum(samples.weight * likelihood(scores + shift, samples.abusive, NOISE)[0]))

    return float(minimize_scalar(loss, bounds=(-40, 40), method="bounded").x)


def _threshold(card: Scorecard, samples: Samples, least: float) -> float | None:
    """The least risk from which on no more labels are legitimate than wrong labels explain; None if that is `least`.

    Wrong are said to be at most `NOISE` of all; more than that, surely, and the threshold rises above them.
    """
    risk = card.risk(_score(card, samples) * POINTS)
    allowed = NOISE + 1 - PRECISION
    for candidate in sorted({least, *np.ceil(risk[(risk >= least) & ~samples.abusive] + 1e-9).tolist()}):
        over = risk >= candidate
        wrong = int((over & ~samples.abusive).sum())
        if binomial_lower(wrong, int(over.sum())) <= allowed:
            return None if candidate == least else min(float(candidate), 100.0)
    return 100.0


def train(
    home: Home, settings: AdmissionSettings, *, force: bool = False, now: datetime | None = None
) -> Trained:
    """Refit the home's card from all labels and the current run, keep the new version and use it from the next run on.

    Raises RingfenceError when there are too few labels (exit 3), or when the new card is worse on held-out labels and
    `force` is not given; then nothing changes.
    """
    files = Runs(home).open()
    cards = Scorecards(home)
    old = cards.active()
    training = refit(samples_of(files, labels_of(home, files)), old, settings, cards.next_version())
    if training.worse and not force:
        raise RingfenceError(
            f"the new scorecard would be worse: {'; '.join(training.worse)}",
            f"Scorecard {old.version} stays. More labels may help; --force uses the new one all the same.",
        )
    trained = Trained(
        scorecard=training.card,
        trained_at=now or datetime.now(UTC),
        run_id=files.manifest.run_id,
        based_on=shipped().version,
        replaced=cards.active_version(),
        labels=training.labels,
        old=asdict(training.old),
        new=asdict(training.new),
        forced=bool(training.worse),
    )
    cards.add(trained)
    return trained
