"""Replays history with a detector: whom it would have hit, whom it should not have, what it adds, what it is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from detection.detector import detectors
from detection.evidence import detect
from detection.lifecycle.check import check
from detection.lifecycle.definition import HomeDetector
from detection.lifecycle.files import Standing, standings, usable
from detection.lifecycle.history import Past, brought_back, chosen
from detection.lifecycle.records import BacktestRecord, Record, changing
from detection.lifecycle.running import HomeDetectors, room
from detection.lifecycle.weights import Observed, Weight, labelled, weigh
from detection.links import Progress
from detection.run import alone, quiet
from detection.runs import Runs
from detection.scorecards import Scorecards
from detection.scoring import Bin, Scorecard
from detection.settings import DetectionSettings, SourceSettings
from graph.home import Home

HIT = 0.5
"""A cluster is hit when the signal's value, drawn towards the baseline, says that half of it shows the signal."""
RISKY = 50.0
"""Clusters of at least this risk stand for abuse where lift is measured."""
USUAL = 0.25
"""A baseline from which what a detector looks for is too usual to tell anything."""
SAME = 0.9
"""A Jaccard index from which two detectors say the same."""
DOUBTFUL = 0.05
"""The largest share of legitimate and protected among the labelled members that it hits."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Replayed:
    """One run again, with the detector: how many clusters it hits and members it affects, of how many judged; the
    mean value of random organizations (`baseline`), and how much more often it affects members of risky clusters."""

    run_id: str
    as_of: datetime
    clusters: int
    affected: int
    judged: int
    baseline: float
    lift: float
    seconds: float
    failure: str | None


@dataclass(frozen=True)
class Hit:
    """A cluster that it would have hit, the points that it would have added, and the risk without and with them."""

    cluster_id: str
    risk: float
    risk_with: float
    size: int
    affected: int
    eligible: int
    value: float
    points: float


@dataclass(frozen=True)
class Doubtful:
    """A member that it affects although people labelled it legitimate, or protected it."""

    org_id: str
    cluster_id: str
    why: str


@dataclass(frozen=True)
class Overlap:
    """How much the members that it affects are those of another detector (Jaccard index)."""

    signal: str
    jaccard: float


@dataclass(frozen=True)
class Backtest:
    """What a backtest found; all but `runs` is of the newest run. `problems` forbid any promotion, `doubts` that to
    active. `source` says what the points rest on: `labels` or `risk`."""

    id: str
    digest: str
    runs: tuple[Replayed, ...]
    hits: tuple[Hit, ...]
    doubtful: tuple[Doubtful, ...]
    overlaps: tuple[Overlap, ...]
    bins: tuple[Bin, ...]
    source: str
    most_points: float
    problems: tuple[str, ...]
    doubts: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether it may go to shadow."""
        return not self.problems


def backtest(
    home: Home,
    name: str,
    settings: DetectionSettings,
    sources: Mapping[str, SourceSettings],
    *,
    days: int,
    progress: Progress,
) -> Backtest:
    """Try a detector on the current run and on one run of each of so many days before, and record what came out.

    Raises RingfenceError when there is no such detector, or no run.
    """
    found, detector = usable(home, name)
    manifests = chosen(Runs(home), days)
    card = Scorecards(home).active()
    most = min(settings.home_detectors.most_points, room(card, settings.admission))
    checked = check(detector, settings.home_detectors)
    if not checked.passed:
        return _recorded(home, detector, _failed(detector, most, checked.problems))
    with alone(home):
        tried = []
        for done, manifest in enumerate(manifests):
            progress("backtest", done, len(manifests))
            with brought_back(home, manifest, settings, sources, without=name) as past:
                tried.append(_try(past, home, found, card, settings))
        progress("backtest", len(manifests), len(manifests))
    return _recorded(home, detector, _judged(detector, tried, card, most))


@dataclass(frozen=True)
class _Tried:
    """One replayed run with all that the judgement needs."""

    replayed: Replayed
    clusters: pa.Table
    labels: tuple[Floats, Floats]
    """Members labelled abusive and legitimate, of the clusters in `clusters`."""
    doubtful: tuple[Doubtful, ...]
    told: int
    """Members that it affects and about whom people have said something."""
    overlaps: tuple[Overlap, ...]


def _try(
    past: Past,
    home: Home,
    found: Standing,
    card: Scorecard,
    settings: DetectionSettings,
) -> _Tried:
    others = [one for one in standings(home) if one.state == "active" and one.id != found.id]
    beside = HomeDetectors(others, [replace(found, state="shadow")], settings)
    detect(past.engine, detectors(), card, past.small, quiet, beside)
    past.engine.stage("shadow_values")
    values = past.engine.fetch(
        "SELECT cluster, value, affected, eligible, baseline FROM shadow_values ORDER BY cluster"
    )
    members = past.engine.fetch("SELECT cluster, org, value FROM shadow_rows")
    rows = _Rows(*(members[name].to_numpy() for name in ("cluster", "org", "value")))
    ran = beside.ran[found.id]
    affected = np.unique(rows.org[(rows.cluster >= 0) & (rows.value >= HIT)]).tolist()
    replayed = Replayed(
        run_id=past.files.manifest.run_id,
        as_of=past.files.manifest.as_of,
        clusters=int(np.sum(values["value"].to_numpy() >= HIT)),
        affected=len(affected),
        judged=int(np.sum(rows.cluster >= 0)),
        baseline=float(rows.value[rows.cluster < 0].mean()) if np.any(rows.cluster < 0) else 0.0,
        lift=_lift(past, rows),
        seconds=ran["seconds"] or 0.0,
        failure=ran["failure"],
    )
    return _Tried(
        replayed=replayed,
        clusters=_named(past, values),
        labels=_labels(past, values["cluster"].to_numpy()),
        doubtful=_doubtful(past, rows),
        told=sum(1 for org in affected if org in past.decisions.labels or org in past.decisions.protected),
        overlaps=_overlaps(past),
    )


def _named(past: Past, values: pa.Table) -> pa.Table:
    """The clusters' values with their ids, risk and sizes."""
    places = values["cluster"].to_numpy()
    ids = pa.array([past.clusters[place] for place in places], pa.string())
    more = {
        "cluster_id": ids,
        "total": pa.array(past.points[places]),
        "risk": pa.array(past.risk[places]),
        "size": pa.array(past.sizes[places]),
    }
    for name, column in more.items():
        values = values.append_column(name, column)
    return values


@dataclass(frozen=True)
class _Rows:
    """What the detector said of members, in groups that were found and in random ones (below zero)."""

    cluster: npt.NDArray[np.int64]
    org: npt.NDArray[np.int64]
    value: Floats

    def share(self, where: npt.NDArray[np.bool_]) -> float:
        """The share of the judged that are affected."""
        return float(np.mean(self.value[where] >= HIT)) if where.any() else 0.0


def _lift(past: Past, rows: _Rows) -> float:
    """How many times more often than random organizations members of risky clusters are affected; smoothed by one."""
    found = rows.cluster >= 0
    risky = np.zeros(len(found), dtype=np.bool_)
    risky[found] = past.risk[rows.cluster[found]] >= RISKY
    if not risky.any():
        return 1.0
    random = rows.cluster < 0
    usual = (np.sum(rows.value[random] >= HIT) + 1) / (random.sum() + 1)
    return float(rows.share(risky) / usual)


def _labels(past: Past, clusters: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Labelled members of each cluster, abusive and legitimate."""
    counts = np.zeros((2, len(past.clusters)))
    members = past.engine.fetch("SELECT cluster, org FROM members WHERE cluster >= 0")
    for cluster, org in zip(members["cluster"].to_pylist(), members["org"].to_pylist(), strict=True):
        label = past.decisions.labels.get(org)
        if label is not None:
            counts[int(label == "legitimate"), cluster] += 1
    return counts[0][clusters], counts[1][clusters]


def _doubtful(past: Past, rows: _Rows) -> tuple[Doubtful, ...]:
    hit = (rows.cluster >= 0) & (rows.value >= HIT)
    found = []
    for cluster, org in zip(rows.cluster[hit].tolist(), rows.org[hit].tolist(), strict=True):
        why = ["labelled legitimate"] if past.decisions.labels.get(org) == "legitimate" else []
        why += ["protected"] if org in past.decisions.protected else []
        if why:
            found.append(Doubtful(past.org_ids[org], past.clusters[cluster], ", ".join(why)))
    return tuple(sorted(found, key=lambda one: one.org_id))


def _overlaps(past: Past) -> tuple[Overlap, ...]:
    """With every detector that affects somebody, the greatest first."""
    rows = past.engine.fetch(
        f"""
        WITH mine AS (SELECT DISTINCT org FROM shadow_rows WHERE cluster >= 0 AND value >= {HIT}),
        theirs AS (SELECT DISTINCT signal, org FROM signal_rows WHERE cluster >= 0 AND value >= {HIT})
        SELECT t.signal, COUNT(*) AS theirs, COUNT(m.org) AS shared, (SELECT COUNT(*) FROM mine) AS mine
        FROM theirs AS t LEFT JOIN mine AS m ON t.org = m.org GROUP BY t.signal
        """
    )
    found = [
        Overlap(row["signal"], row["shared"] / max(row["theirs"] + row["mine"] - row["shared"], 1))
        for row in rows.to_pylist()
    ]
    return tuple(sorted(found, key=lambda one: (-one.jaccard, one.signal)))


def _judged(detector: HomeDetector, tried: list[_Tried], card: Scorecard, most: float) -> Backtest:
    newest = tried[0]
    weight = _weight(newest, most)
    problems = [
        f"on {one.replayed.run_id}: {one.replayed.failure}"
        for one in tried
        if one.replayed.failure is not None
    ]
    return Backtest(
        id=detector.id,
        digest=detector.digest,
        runs=tuple(one.replayed for one in tried),
        hits=_hits(newest.clusters, weight, card),
        doubtful=newest.doubtful,
        overlaps=newest.overlaps,
        bins=weight.bins,
        source=weight.source,
        most_points=most,
        problems=tuple(problems),
        doubts=() if problems else tuple(_doubts(newest, weight)),
    )


def _weight(tried: _Tried, most: float) -> Weight:
    values = tried.clusters["value"].to_numpy()
    risk = tried.clusters["risk"].to_numpy() / 100
    by_risk = Observed(
        values=values,
        abusive=risk,
        legitimate=1 - risk,
        baseline=tried.replayed.baseline,
        lift=tried.replayed.lift,
        overlap=tried.overlaps[0].jaccard if tried.overlaps else 0.0,
    )
    told = labelled(values, *tried.labels)
    if told is None:
        return weigh(by_risk, None, most)
    return weigh(by_risk, replace(by_risk, values=told[0], abusive=told[1], legitimate=told[2]), most)


def _hits(clusters: pa.Table, weight: Weight, card: Scorecard) -> tuple[Hit, ...]:
    hits = []
    for row in clusters.filter(pc.greater_equal(clusters["value"], HIT)).to_pylist():
        points = max((step.points for step in weight.bins if row["value"] >= step.at_least), default=0.0)
        hits.append(
            Hit(
                cluster_id=row["cluster_id"],
                risk=row["risk"],
                risk_with=round(float(card.risk(np.array([row["total"] + points]))[0]), 6),
                size=row["size"],
                affected=row["affected"],
                eligible=row["eligible"],
                value=row["value"],
                points=points,
            )
        )
    return tuple(sorted(hits, key=lambda one: (-one.affected, one.cluster_id)))


def _doubts(tried: _Tried, weight: Weight) -> list[str]:
    """Why the detector should not score yet, in words."""
    said = tried.replayed
    doubts = []
    if said.clusters == 0:
        doubts.append("it hits no cluster")
    if said.baseline >= USUAL:
        doubts.append(f"what it looks for is usual: random organizations have a value of {said.baseline:.2f}")
    if tried.told and len(tried.doubtful) / tried.told > DOUBTFUL:
        doubts.append(
            f"{len(tried.doubtful):,} of the {tried.told:,} members that it hits and people spoke about are"
            " legitimate or protected"
        )
    if tried.overlaps and tried.overlaps[0].jaccard >= SAME:
        doubts.append(
            f"it says what {tried.overlaps[0].signal} says ({tried.overlaps[0].jaccard:.0%} overlap)"
        )
    if not weight.bins:
        doubts.append("nothing speaks for giving it points")
    return doubts


def _failed(detector: HomeDetector, most: float, problems: tuple[str, ...]) -> Backtest:
    said = tuple(f"check: {problem}" for problem in problems)
    return Backtest(detector.id, detector.digest, (), (), (), (), (), "risk", most, said, ())


def _recorded(home: Home, detector: HomeDetector, found: Backtest) -> Backtest:
    """Keep what promotion asks for, bound to these bytes."""
    tested = BacktestRecord(
        digest=detector.digest,
        at=datetime.now(UTC),
        runs=tuple(one.run_id for one in found.runs),
        problems=found.problems,
        doubts=found.doubts,
        bins=found.bins,
        baseline=found.runs[0].baseline if found.runs else 0.0,
    )
    with changing(home) as records:
        records[detector.id] = records.get(detector.id, Record()).model_copy(update={"backtest": tested})
    return found
