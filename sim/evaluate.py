"""A run against the truth: who was put together, how well risk ranks, and what acting on it would hit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detection.runs import RunFiles, Runs
from graph.errors import RingfenceError
from graph.facts import FactsReader
from graph.home import Home
from sim import baselines as simpler
from sim import metrics
from sim.ground_truth import GroundTruth, Names, read_truth
from sim.metrics import LEGITIMATE, UNLISTED, BCubed, Flags, Floats, Integers, RingsFound
from sim.own_features import own_features
from sim.report import NOT_ADMITTED, Baseline, EvaluationReport, Flagged, Spared

Progress = Callable[[str, int, int | None], None]

PRECISIONS = (0.9, 0.95, 0.99, 0.999)
THRESHOLDS = (50.0, 70.0, 90.0)
RING_SIZE = 8
SEED = 4
UNCLUSTERED = "in no cluster"


@dataclass(frozen=True)
class Outcome:
    """What a run says about each organization of the truth, in its order."""

    clusters: Integers
    risks: Floats
    cluster_risks: Floats
    actionable: Flags
    admitted: bool
    """Was admission evaluated at all?"""
    spared: Names
    """Why each is not actionable; `""` for whoever is."""


def evaluate(
    home: Home,
    truth: Path,
    run_id: str | None = None,
    *,
    baselines: bool = True,
    progress: Progress | None = None,
) -> EvaluationReport:
    """Judge a run (the current one by default) against a truth file, beside baselines on the same input.

    Raises RingfenceError when there is no such run, the truth cannot be read, or they do not meet.
    """
    report = progress or _silent
    report("Reading the truth", 0, None)
    known = read_truth(truth)
    runs = Runs(home)
    chosen = run_id or runs.current()
    if chosen is None:
        raise RingfenceError("there is no run to evaluate", "Run `ringfence run` first.", exit_code=3)
    files = runs.open(chosen)
    members, organizations = files.table("members"), files.table("organizations")
    known, warnings = _meet(known, members, organizations)
    outcome = outcome_of(known, members)
    report("Comparing with the truth", 0, None)
    judged = judge(chosen, known, outcome, warnings)
    if not baselines:
        return judged
    return replace(judged, baselines=tuple(_baselines(home, files, known, organizations, report)))


def outcome_of(truth: GroundTruth, members: pa.Table) -> Outcome:
    """A run's members laid beside the truth; members that the truth does not name must be in it already."""
    rows = simpler.positions(truth.org_ids, members.column("org_id"))
    clusters = np.full(len(truth), UNLISTED, dtype=np.int64)
    risks, cluster_risks = np.zeros(len(truth)), np.zeros(len(truth))
    actionable = np.zeros(len(truth), dtype=np.bool_)
    names = members.column("cluster_id").cast(pa.string()).combine_chunks().dictionary_encode()
    clusters[rows] = names.indices.to_numpy(zero_copy_only=False)
    risks[rows] = members.column("member_risk").to_numpy()
    cluster_risks[rows] = members.column("cluster_risk").to_numpy()
    actionable[rows] = members.column("actionable").to_numpy()
    reasons = members.column("spared_reason").cast(pa.string())
    admitted = any(reason != NOT_ADMITTED for reason in pc.unique(reasons).to_pylist())
    spared = np.full(len(truth), UNCLUSTERED, dtype=object)
    spared[rows] = pc.fill_null(reasons, "").to_pylist()
    return Outcome(clusters, risks, cluster_risks, actionable, admitted, spared.astype(np.str_))


def judge(
    run_id: str, truth: GroundTruth, outcome: Outcome, warnings: tuple[str, ...] = ()
) -> EvaluationReport:
    """All figures that need nothing but the truth and what the run said."""
    clusters, rings = outcome.clusters, truth.rings
    precisions, recalls = metrics.b_cubed_items(clusters, rings)
    together = metrics.rings_together(clusters, rings, RING_SIZE)
    return EvaluationReport(
        run_id=run_id,
        organizations=len(truth),
        abusive=int(truth.abusive.sum()),
        listed=int((clusters != UNLISTED).sum()),
        clusters=len(np.unique(clusters[clusters != UNLISTED])),
        b_cubed=metrics.summarise_b_cubed(precisions, recalls),
        b_cubed_by_level=_grouped(precisions, recalls, truth.levels, truth),
        b_cubed_by_kind=_grouped(precisions, recalls, truth.kinds, truth),
        rings_together=_count(together),
        rings_together_by_level=_rings_by_level(together, truth),
        recall_at=tuple(metrics.recall_at_precision(outcome.risks, truth.abusive, PRECISIONS)),
        auc=metrics.auc(outcome.risks, truth.abusive),
        auc_of_size=metrics.auc(metrics.cluster_sizes(clusters).astype(np.float64), truth.abusive),
        actionable=_flagged("actionable", outcome.actionable, truth, clusters) if outcome.admitted else None,
        would_be=tuple(
            _flagged(f"member risk {risk:g} or more", outcome.risks >= risk, truth, clusters)
            for risk in THRESHOLDS
        ),
        spared=_spared(outcome, truth) if outcome.admitted else (),
        framed_in_risky_clusters=tuple(
            (risk, _share(outcome.cluster_risks >= risk, truth.framed)) for risk in THRESHOLDS
        ),
        baselines=(),
        warnings=warnings,
    )


def _flagged(name: str, flagged: Flags, truth: GroundTruth, clusters: Integers) -> Flagged:
    legitimate = ~truth.abusive
    hit = truth.abusive[flagged]
    found = metrics.rings_flagged(flagged, truth.rings, RING_SIZE)
    return Flagged(
        name=name,
        flagged=int(flagged.sum()),
        precision=metrics.clopper_pearson(int(hit.sum()), len(hit)),
        precision_by_cluster=metrics.cluster_bootstrap(hit, clusters[flagged], seed=SEED),
        recall=_share(flagged, truth.abusive).value,
        recall_by_level={
            level: _share(flagged, truth.abusive & (truth.levels == level)).value
            for level in _names(truth.levels, truth.abusive)
        },
        rings=_count(found),
        rings_by_level=_rings_by_level(found, truth),
        legitimate=_share(flagged, legitimate),
        bystanders={
            kind: _share(flagged, legitimate & (truth.kinds == kind))
            for kind in _names(truth.kinds, legitimate)
        },
        framed=_share(flagged, truth.framed),
        framed_by={
            f"{what} {name}": _share(flagged, truth.framed & (values == name))
            for what, values in (("by", truth.framings), ("of kind", truth.kinds))
            for name in _names(values, truth.framed)
            if name
        },
    )


def _spared(outcome: Outcome, truth: GroundTruth) -> tuple[Spared, ...]:
    """Why organizations are not actionable, what spares most of the abusive ones first."""
    found = [
        Spared(
            reason,
            int(((outcome.spared == reason) & truth.abusive).sum()),
            int(((outcome.spared == reason) & ~truth.abusive).sum()),
        )
        for reason in np.unique(outcome.spared).tolist()
        if reason
    ]
    return tuple(sorted(found, key=lambda one: (-one.abusive, one.reason)))


def _share(flagged: Flags, among: Flags) -> metrics.Share:
    return metrics.clopper_pearson(int((flagged & among).sum()), int(among.sum()))


def _names(values: Names, among: Flags) -> list[str]:
    return sorted({str(value) for value in np.unique(values[among])})


def _grouped(precisions: Floats, recalls: Floats, values: Names, truth: GroundTruth) -> dict[str, BCubed]:
    return {
        name: metrics.summarise_b_cubed(precisions, recalls, values == name)
        for name in _names(values, truth.abusive)
    }


def _count(rings: dict[int, bool]) -> RingsFound:
    return RingsFound(sum(rings.values()), len(rings))


def _rings_by_level(together: dict[int, bool], truth: GroundTruth) -> dict[str, RingsFound]:
    names, first = np.unique(truth.rings, return_index=True)
    level_of = dict(zip(names.tolist(), truth.levels[first].tolist(), strict=True))
    return {
        level: _count({ring: found for ring, found in together.items() if level_of[ring] == level})
        for level in _names(truth.levels, truth.abusive)
    }


def _meet(
    truth: GroundTruth, members: pa.Table, organizations: pa.Table
) -> tuple[GroundTruth, tuple[str, ...]]:
    """The truth completed by organizations only the run knows, as legitimate ones, and what to say of it."""
    seen = organizations.column("org_id").cast(pa.string())
    here = simpler.positions(truth.org_ids, seen)
    if not (here >= 0).any():
        raise RingfenceError(
            "the truth names no organization of this run",
            "Give the truth.parquet that was written beside the events of this home.",
        )
    warnings = []
    strangers = seen.filter(pa.array(here < 0)).to_pylist()
    listed = members.column("org_id").cast(pa.string())
    strangers += listed.filter(pa.array(simpler.positions(truth.org_ids, listed) < 0)).to_pylist()
    strangers = sorted(set(strangers))
    if strangers:
        warnings.append(f"of the run, {len(strangers):,} are not in the truth: counted as legitimate")
    missing = len(truth) - int((here >= 0).sum())
    if missing:
        warnings.append(f"of the truth, {missing:,} are not in the run: counted as unlisted")
    return truth.with_strangers(strangers), tuple(warnings)


def _baselines(
    home: Home, files: RunFiles, truth: GroundTruth, organizations: pa.Table, report: Progress
) -> Iterator[Baseline]:
    report("Baseline: connected components", 0, None)
    components = simpler.shared_components(truth.org_ids, files.table("links"))
    note = f"shared identifiers of at most {simpler.DEGREE_CAP} organizations"
    yield _partition("connected components", note, components, truth)
    report("Baseline: multilevel modularity", 0, None)
    membership = simpler.modularity(truth.org_ids, files.table("ties"), SEED)
    yield _partition("multilevel modularity", "igraph, on the ties of this run", membership, truth)
    yield _unlinked(home, truth, organizations, report)


def _partition(name: str, note: str, clusters: Integers, truth: GroundTruth) -> Baseline:
    rings = _count(metrics.rings_together(clusters, truth.rings, RING_SIZE))
    sizes = metrics.cluster_sizes(clusters).astype(np.float64)
    return Baseline(
        name, note, metrics.b_cubed(clusters, truth.rings), rings, auc=metrics.auc(sizes, truth.abusive)
    )


def _unlinked(home: Home, truth: GroundTruth, organizations: pa.Table, report: Progress) -> Baseline:
    name = "single organizations"
    events = FactsReader(home).event_files()
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        report("Baseline: reading events", done, len(events))

    as_of = pc.max(organizations.column("last_at")).as_py()
    features, _ = own_features(organizations, [file.path for file in events], as_of, step)
    rows = simpler.positions(truth.org_ids, organizations.column("org_id"))
    report("Baseline: boosted trees", 0, None)
    found = simpler.boosted_scores(features, truth.rings[rows], seed=SEED)
    if found is None:
        return Baseline(name, "not trained: the truth has fewer than two rings, or nobody legitimate")
    scores = np.zeros(len(truth))
    scores[rows] = found
    return Baseline(
        name,
        f"boosted trees without any linking, {simpler.FOLDS}-fold by ring",
        recall_at=tuple(metrics.recall_at_precision(scores, truth.abusive, PRECISIONS)),
        auc=metrics.auc(scores, truth.abusive),
    )


def _silent(stage: str, done: int, total: int | None) -> None:
    del stage, done, total


__all__ = ["LEGITIMATE", "EvaluationReport", "Outcome", "evaluate", "judge", "outcome_of"]
