"""The table of what detection must reach: every difficulty, seeds that nothing was tuned on, with and without labels.

`python -m bench detection` goes through cells of a few minutes each, keeps them, and goes on where it was stopped.
"""

from __future__ import annotations

import math
import shutil
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy.stats import t as student

from bench import cells, labelling
from bench.cells import Cell, cached
from bench.commands import WORK, ringfence
from bench.plan import Plan
from bench.results import Result, Target
from bench.worlds import World, clone, ingested, world
from sim.baselines import positions
from sim.replay.enforcement import NEVER, eighth_sign_up

DIFFICULTIES = ("plain", "mimic", "adaptive", "rotate", "serial")
SEEDS = 3
REPLAY_STEPS = 32
"""Fewer than the 96 of `ringfence replay`, so that a cell stays under ten minutes; both sides of the comparison, the
replay and the perfect detector, have the same steps."""
STRETCH_STEPS, STRETCH_S = 48, 14_400
"""Four hours at five minutes: what is prevented while rings are at work, and how soon they are contained."""
STRETCHES, BEFORE_S = 2, 300
REACTING_STEPS = 24
"""Fewer still: the world and its operators' reserve are simulated within the cell."""
QUICK_STEPS = 3
QUIET_KINDS = ("cgnat", "campus", "office", "vpn")
MUSTS = {
    "precision": (0.995,) * 5,
    "per_10000": (1.0,) * 5,
    "cumulative_per_10000": (1.0, 1.0, 1.0, 1.0, None),
    "quiet_kinds_hit": (0.0,) * 5,
    "b_cubed_f": (0.98, 0.95, 0.90, 0.85, 0.85),
    "rings_found": (0.95, 0.90, 0.85, 0.75, 0.75),
    "recall": (0.90, 0.80, 0.75, 0.60, 0.60),
    "prevented": (0.95, 0.85, 0.80, 0.60, None),
    "prevented_reacting": (None, None, 0.80, None, None),
}
REPLAYED = {"prevented", "prevented_reacting", "cumulative_per_10000"}
"""Without labels only: people label after the fact."""
LOWER = {"per_10000", "cumulative_per_10000", "quiet_kinds_hit", "containment_p90_min"}
ROWS = {
    "precision": "precision of actionable",
    "per_10000": "bystanders hit per 10,000 legitimate",
    "quiet_kinds_hit": "of them in CGNAT, campus, office, VPN",
    "b_cubed_f": "B³ F of abusive organizations",
    "rings_found": "rings of eight or more found",
    "recall": "abusive organizations actionable",
    "prevented": "consumption prevented, of a perfect detector's, at five minutes",
    "prevented_month": "the same at the steps of a month",
    "cumulative_per_10000": "bystanders hit per 10,000, over all steps of a month",
    "prevented_reacting": "the same, and operators react",
    "rings_contained": "rings contained within the stretches",
    "containment_p90_min": "p90 from the eighth organization to containment, min",
}


def run(plan: Plan) -> Result:
    """Fill the table; means over seeds, the worst seed and intervals in the details."""
    seeds = plan.seeds[:SEEDS]
    code = cells.digest("detection", "labelling")
    found: dict[str, list[Cell]] = {}
    for difficulty in DIFFICULTIES:
        for seed in seeds:
            for labelled in (False, True):
                column = f"{difficulty}{'_labelled' if labelled else ''}"
                found.setdefault(column, []).append(_cell(plan, code, difficulty, seed, labelled))
    figures, spread = _figures(found)
    result = Result(
        "detection",
        f"Detection, {plan.middle:,} organizations; means over seeds {', '.join(map(str, seeds))}",
        figures,
        _targets(),
        seeds,
        {"organizations": plan.middle, "replay_steps": REPLAY_STEPS},
        _notes(figures, found),
        {"spread": spread, "cells": found},
    )
    plan.say(markdown(result))
    return result


def _cell(plan: Plan, code: str, difficulty: str, seed: int, labelled: bool) -> Cell:
    name = f"{difficulty}-{plan.middle}-{seed}"

    def keep(kind: str, part: Callable[[World, Path, bool], Cell]) -> Cell:
        def compute() -> Cell:
            made = world(plan.middle, seed, difficulty)
            home = clone(ingested(made), f"detection-{kind}-{name}")
            try:
                return part(made, home, plan.quick)
            finally:
                shutil.rmtree(home)

        return cached(f"{kind}-{name}", code, compute, plan.say)

    if labelled:
        return keep("labelled", _labelled)
    found = keep("found", _found)
    if difficulty != "serial":
        found = {**found, **keep("replayed", _replayed)}
        places = range(1 if plan.quick else STRETCHES)
        stretches = [keep(f"stretch{place}", partial(_stretch, place=place)) for place in places]
        found = {**found, **_together(stretches)}
    if difficulty == "adaptive":
        found = {**found, **cached(f"reacting-{name}", code, lambda: _reacting(plan, seed), plan.say)}
    return found


def _found(made: World, home: Path, quick: bool) -> Cell:
    """What one run finds of a world."""
    del quick
    manifest = ringfence("run", "--store", "none", "--json", home=home).json()
    report = ringfence("evaluate", "--truth", made.truth, "--no-baselines", "--json", home=home).json()
    acted = report["actionable"]
    if not isinstance(acted, dict):
        raise RuntimeError("admission was not evaluated")
    kinds = {kind: share["hits"] for kind, share in acted["bystanders"].items()}
    return {
        "precision": acted["precision"]["value"],
        "precision_bounds": [acted["precision"]["low"], acted["precision"]["high"]],
        "precision_bounds_by_cluster": [
            acted["precision_by_cluster"]["low"],
            acted["precision_by_cluster"]["high"],
        ],
        "flagged": acted["flagged"],
        "per_10000": 1e4 * acted["legitimate"]["value"],
        "bystanders": {kind: hits for kind, hits in kinds.items() if hits},
        "quiet_kinds_hit": sum(kinds.get(kind, 0) for kind in QUIET_KINDS),
        "b_cubed_f": report["b_cubed"]["f"],
        "b_cubed": report["b_cubed"],
        "rings_found": acted["rings"]["share"],
        "rings_together": report["rings_together"]["share"],
        "recall": acted["recall"],
        "recall_by_level": acted["recall_by_level"],
        "spared": report["spared"],
        "recall_at_99": next(one["recall"] for one in report["recall_at"] if one["precision"] == 0.99),
        "auc": report["auc"],
        "auc_of_size": report["auc_of_size"],
        "run_s": sum(manifest["timings"].values()),
    }


def _labelled(made: World, home: Path, quick: bool) -> Cell:
    ringfence("ingest", labelling.labels(made), home=home)
    return _found(made, home, quick)


def _replayed(made: World, home: Path, quick: bool) -> Cell:
    """What acting would have prevented, at steps over the entire world."""
    report = ringfence(
        "replay",
        "--truth",
        made.truth,
        "--steps",
        QUICK_STEPS if quick else REPLAY_STEPS,
        "--json",
        home=home,
    ).json()
    automatic, person = report["enforced"]
    return {
        "prevented_month": automatic["share_of_ceiling"],
        "prevented_of_all": automatic["share_of_total"],
        "ceiling_of_all": automatic["ceiling_share_of_total"],
        "missed": automatic["missed"],
        "prevented_by_a_person": person["share_of_ceiling"],
        "cumulative_precision": automatic["precision"]["value"],
        "cumulative_per_10000": 1e4 * automatic["legitimate"]["value"],
        "cumulative_bystanders": {
            kind: share["hits"] for kind, share in automatic["bystanders"].items() if share["hits"]
        },
        "replay": report["covered"],
    }


def _stretch(made: World, home: Path, quick: bool, place: int) -> Cell:
    """The same at five-minute steps through a stretch in which many rings become known."""
    start = _stretches(made)[place]
    span = [datetime.fromtimestamp(at, UTC).isoformat() for at in (start, start + STRETCH_S)]
    report = ringfence(
        *("replay", "--truth", made.truth, "--from", span[0], "--until", span[1]),
        *("--steps", QUICK_STEPS if quick else STRETCH_STEPS, "--json"),
        home=home,
    ).json()
    automatic = report["enforced"][0]
    known = ("within_ceiling", "ceiling", "containment", "perfect_containment", "missed")
    return {"stretch": span, "total": report["total"], **{name: automatic[name] for name in known}}


def _together(stretches: Sequence[Cell]) -> Cell:
    """Stretches of one world as one: sums of money, and the longest of their times (each holds a few rings)."""
    ceiling = sum(one["ceiling"] for one in stretches)
    late = [one["containment"]["p90_s"] for one in stretches if one["containment"]["rings"]]
    rings = sum(one["containment"]["rings"] for one in stretches)
    return {
        "prevented": sum(one["within_ceiling"] for one in stretches) / ceiling if ceiling else None,
        "rings_contained": sum(one["containment"]["contained"] for one in stretches) / rings
        if rings
        else None,
        "containment_p90_min": max((math.inf if one is None else one / 60 for one in late), default=None),
        "stretches": list(stretches),
    }


def _reacting(plan: Plan, seed: int) -> Cell:
    """What acting prevents where the simulator is stepped and operators react to each stop."""
    steps = QUICK_STEPS if plan.quick else REACTING_STEPS
    size = ("--organizations", plan.middle, "--seed", seed, "--steps", steps)
    report = ringfence(
        "replay", "--simulate", "adaptive", *size, "--json", home=WORK / "homes" / "none"
    ).json()
    enforced = report["enforced"][0]
    return {
        "prevented_reacting": enforced["share_of_ceiling"],
        "prevented_reacting_of_all": enforced["share_of_total"],
        "reacting_ceiling_of_all": enforced["ceiling_share_of_total"],
        "reactions": report["warnings"],
    }


def _stretches(made: World) -> list[int]:
    """Epoch seconds from which on most rings' eighth organizations sign up within three hours, each apart."""
    events = pq.read_table(made.events, columns=["event_type", "org_id", "occurred_at"])
    created = events.filter(pc.equal(events.column("event_type").cast(pa.string()), "organization_created"))
    truth = pq.read_table(made.truth, columns=["org_id", "campaign"])
    place = positions(truth.column("org_id").to_pylist(), created.column("org_id"))
    campaign = truth.column("campaign").to_numpy()[place]
    at = pc.cast(created.column("occurred_at"), pa.int64()).to_numpy() // 1_000_000
    known = eighth_sign_up(at, campaign)
    eighths = np.unique(known[known != NEVER])
    found: list[int] = []
    while len(found) < STRETCHES and len(eighths):
        count = np.searchsorted(eighths, eighths + STRETCH_S * 3 // 4) - np.arange(len(eighths))
        found.append(int(eighths[int(np.argmax(count))]) - BEFORE_S)
        eighths = eighths[np.abs(eighths - found[-1]) > 2 * STRETCH_S]
    return found or [int(at.min())]


def _figures(found: dict[str, list[Cell]]) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Means over seeds, and beside each the worst seed and a 95% interval of the mean (Student's t)."""
    figures: dict[str, float] = {}
    spread: dict[str, dict[str, float]] = {}
    for column, parts in found.items():
        for row in ROWS:
            values = [float(cell[row]) for cell in parts if cell.get(row) is not None]
            if not values:
                continue
            name = f"{column}_{row}"
            figures[name] = statistics.fmean(values)
            spread[name] = {"worst": max(values) if row in LOWER else min(values), **_interval(values)}
    return figures, spread


def _interval(values: Sequence[float]) -> dict[str, float]:
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return {}
    half = float(student.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    mean = statistics.fmean(values)
    return {"low": mean - half, "high": mean + half}


def _targets() -> tuple[Target, ...]:
    return tuple(
        Target(f"{difficulty}{labels}_{row}", must, lower=row in LOWER)
        for row, marks in MUSTS.items()
        for difficulty, must in zip(DIFFICULTIES, marks, strict=True)
        for labels in ("", "_labelled")
        if must is not None and not (labels and row in REPLAYED)
    ) + tuple(Target(f"{difficulty}_containment_p90_min", 15) for difficulty in DIFFICULTIES[:-1])


def _notes(figures: dict[str, float], found: dict[str, list[Cell]]) -> tuple[str, ...]:
    """What the figures leave out, and what holds the missed cells back."""
    notes = [
        f"replays look at {REPLAY_STEPS} steps, the perfect detector at the same ones; they are run without labels",
        f"at five minutes: {STRETCHES} stretches of {STRETCH_S // 3600} hours a world, where most rings become known",
    ]
    missed: dict[str, list[str]] = {}
    for target in _targets():
        value = figures.get(target.figure)
        if value is not None and target.verdict(value) == "missed":
            column = next(
                one for one in sorted(found, key=len, reverse=True) if target.figure.startswith(f"{one}_")
            )
            missed.setdefault(column, []).append(f"{target.figure.removeprefix(f'{column}_')} {value:.3g}")
    for column, rows in missed.items():
        notes.append(f"{column} misses {', '.join(rows)}; {_held_back(found[column])}")
    return tuple(notes)


def _held_back(parts: Sequence[Cell]) -> str:
    spared: Counter[str] = Counter()
    hit: Counter[str] = Counter()
    for cell in parts:
        spared.update({one["reason"]: one["abusive"] for one in cell["spared"]})
        hit.update(cell["bystanders"])
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in spared.most_common(3))
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in hit.most_common(3))
    return f"abusive spared: {reasons}; bystanders hit: {kinds or 'none'}"


def markdown(result: Result) -> str:
    """The table as it stands in the issue, a column a difficulty, each with and without labels."""
    marks = {target.figure: target for target in result.targets}
    spread = result.details["spread"]
    lines = [
        "| mean over seeds (worst), without labels · with 2% labelled | " + " | ".join(DIFFICULTIES) + " |",
        "|---|" + "---|" * len(DIFFICULTIES),
    ]
    for row, title in ROWS.items():
        shown = []
        for difficulty in DIFFICULTIES:
            names = [f"{difficulty}_{row}", f"{difficulty}_labelled_{row}"]
            shown.append(
                " · ".join(_shown(name, result, marks, spread) for name in names if name in result.figures)
                or "–"
            )
        lines.append(f"| {title} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def _shown(name: str, result: Result, marks: dict[str, Target], spread: dict[str, dict[str, float]]) -> str:
    value = result.figures[name]
    share = not any(name.endswith(row) for row in ("per_10000", "quiet_kinds_hit", "_min"))
    form = "{:.1%}" if share and "b_cubed" not in name else "{:.3g}"
    target = marks.get(name)
    verdict = "" if target is None else " ✗" if target.verdict(value) == "missed" else " ✓"
    return f"{form.format(value)} ({form.format(spread[name]['worst'])}){verdict}"
