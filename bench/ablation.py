"""What every part of detection is worth: each signal, tie and constant taken out, one at a time.

`python -m bench ablation` writes the table to `bench/results/ablation.md`. Nothing is trained again: a part that is
taken out is one that never spoke.
"""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench import cells
from bench.cells import Cell, cached
from bench.plan import Plan
from bench.results import RECORDED, SCRATCH, Result
from bench.worlds import clone, ingested, world
from detection import run as pipeline
from detection.scorecards import Scorecards
from detection.scoring import Scorecard, shipped
from detection.settings import DetectionSettings
from graph.home import Home
from sim.evaluate import evaluate

DIFFICULTIES = ("plain", "mimic", "adaptive", "rotate")
ORGANIZATIONS, QUICK_ORGANIZATIONS = 20_000, 500
SEEDS = (201, 202)
"""Neither those that anything was fitted on, nor those of the table of what must be reached."""
FOREVER = 10**9
FIGURES = {
    "b_cubed_f": "B³ F",
    "recall": "actionable",
    "rings_found": "rings found",
    "precision": "precision",
    "recall_at_99": "recall at 99% by risk",
}
Change = Callable[[dict[str, Any]], None]
"""Alters the settings of a run, as plain values."""


@dataclass(frozen=True)
class Variant:
    """One thing taken out: its group and name, and how."""

    group: str
    name: str
    change: Change | None = None
    signal: str | None = None


def variants() -> list[Variant]:
    """Everything that is taken out, in the order of the table; the first is nothing."""
    plain = DetectionSettings().model_dump(mode="json")
    found = [Variant("", "nothing (as it ships)")]
    found += [Variant("signal", name, signal=name) for name in shipped().bins]
    found += [Variant("tie", name, _without_tie(name)) for name in plain["tie_kinds"]]
    found += [Variant("ties", f"all of {name}", _without_family(name)) for name in _families(plain)]
    found += [Variant("constant", name, change) for name, change in _constants().items()]
    return found


def _families(plain: dict[str, Any]) -> list[str]:
    return sorted({kind["family"] for kind in plain["tie_kinds"].values()})


def _without_tie(name: str) -> Change:
    def change(settings: dict[str, Any]) -> None:
        # Evidence far below zero: sharing it says nothing, and it still counts as known to the views.
        settings["tie_kinds"][name]["evidence"] = -100.0

    return change


def _without_family(family: str) -> Change:
    def change(settings: dict[str, Any]) -> None:
        for kind in settings["tie_kinds"].values():
            if kind["family"] == family:
                kind["evidence"] = -100.0

    return change


def _each_tie(field: str, value: Any) -> Change:
    def change(settings: dict[str, Any]) -> None:
        for kind in settings["tie_kinds"].values():
            kind[field] = value

    return change


def _setting(*path: str, value: Any) -> Change:
    def change(settings: dict[str, Any]) -> None:
        place = settings
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value

    return change


def _constants() -> dict[str, Change]:
    return {
        "sessions (a weak identifier ties across any silence)": _each_tie("gap_s", FOREVER),
        "fading with time": _each_tie("fade", 0.0),
        "discount for crowds": _each_tie("crowd", 0.0),
        "caps on the users of an identifier": _each_tie("cap", FOREVER),
        "kinds that may not speak alone (all may)": _each_tie("counts", True),
        "ten predecessors (one)": _setting("predecessors", value=1),
        "ten predecessors (fifty)": _setting("predecessors", value=50),
        "least weight of a tie": _setting("min_weight", value=1e-6),
        "resolution halved": _setting("resolution", value=0.001),
        "resolution doubled": _setting("resolution", value=0.004),
        "joining upward": _setting("levels", value=0),
        "least share of a join": _setting("join_share", value=0.0),
        "admission: risk of the cluster": _setting("admission", "cluster_risk", value=0.0),
        "admission: risk of the member": _setting("admission", "member_risk", value=0.0),
        "admission: two types of ties (one)": _setting("admission", "min_types", value=1),
        "admission: time before a tie for independent life": _setting("admission", "life_before_s", value=0),
        "admission: own behaviour agrees": _setting("admission", "least_own_points", value=-1e6),
        "admission: the ring's window": _setting("admission", "window_least_s", value=FOREVER),
    }


def run(plan: Plan) -> Result:
    """Run every variant on every world and write the table."""
    code = cells.digest("ablation")
    size = QUICK_ORGANIZATIONS if plan.quick else ORGANIZATIONS
    difficulties, seeds = (DIFFICULTIES[:1], SEEDS[:1]) if plan.quick else (DIFFICULTIES, SEEDS)
    found: dict[str, dict[str, list[Cell]]] = {}
    for difficulty in difficulties:
        for seed in seeds:
            cell = _world(plan, code, difficulty, size, seed)
            for name, figures in cell["variants"].items():
                found.setdefault(name, {}).setdefault(difficulty, []).append(figures)
    table = markdown(found, difficulties, size, seeds)
    path = (SCRATCH if plan.quick else RECORDED) / "ablation.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(table)
    figures = {
        f"{difficulty}_{figure}": _mean(found[variants()[0].name][difficulty], figure)
        for difficulty in difficulties
        for figure in FIGURES
    }
    return Result(
        "ablation",
        f"Ablation, {size:,} organizations: what ships; the parts taken out are in {path.name}",
        figures,
        (),
        seeds,
        {"organizations": size},
        (),
        {"variants": found},
    )


def _world(plan: Plan, code: str, difficulty: str, size: int, seed: int) -> Cell:
    """All variants on one world; each is kept by itself, so that it can be gone on with."""
    made = world(size, seed, difficulty)
    home: list[Path] = []

    def place() -> Home:
        if not home:
            home.append(clone(ingested(made), f"ablation-{difficulty}-{seed}"))
        return Home(home[0])

    figures = {}
    for variant in variants():
        name = f"ablation-{difficulty}-{size}-{seed}-{variant.group}-{variant.name}".replace(
            " ", "_"
        ).replace("/", "")
        figures[variant.name] = cached(name, code, partial(_judged, place, made.truth, variant), _silent)
    plan.say(f"ablation: {difficulty}, seed {seed}")
    if home:
        shutil.rmtree(home[0])
    return {"variants": figures}


def _silent(said: str) -> None:
    del said


def _judged(place: Callable[[], Home], truth: Path, variant: Variant) -> Cell:
    home = place()
    settings = DetectionSettings().model_dump(mode="json")
    if variant.change is not None:
        variant.change(settings)
    shutil.rmtree(home.runs, ignore_errors=True)
    with _deaf_to(variant.signal):
        finished = pipeline.run(home, DetectionSettings.model_validate(settings))
    report = evaluate(home, truth, finished.manifest.run_id, baselines=False)
    acted = report.actionable
    return {
        "b_cubed_f": report.b_cubed.f,
        "recall": acted.recall if acted else 0.0,
        "rings_found": acted.rings.share if acted else 0.0,
        "precision": acted.precision.value if acted and acted.flagged else 1.0,
        "recall_at_99": next(one.recall for one in report.recall_at if one.precision == 0.99),
    }


@contextmanager
def _deaf_to(signal: str | None) -> Iterator[None]:
    """Let the scorecard give no points for a signal."""
    original = Scorecards.active

    def active(self: Scorecards) -> Scorecard:
        card = original(self)
        bins = {name: steps for name, steps in card.bins.items() if name != signal}
        return card.model_copy(update={"bins": bins})

    Scorecards.active = active  # type: ignore[method-assign]
    try:
        yield
    finally:
        Scorecards.active = original  # type: ignore[method-assign]


def _mean(parts: list[Cell], figure: str) -> float:
    return statistics.fmean(float(cell[figure]) for cell in parts)


def markdown(
    found: Mapping[str, Mapping[str, list[Cell]]],
    difficulties: tuple[str, ...],
    size: int,
    seeds: tuple[int, ...],
) -> str:
    """The table for people: what ships in points of 100, and below it by how many points each part moves that."""
    base, *rest = variants()
    shown = ("b_cubed_f", "recall", "precision")
    titles = [f"{difficulty}: {FIGURES[figure]}" for difficulty in difficulties for figure in shown]
    lines = [
        "# What every part is worth",
        "",
        f"{size:,} organizations, seeds {', '.join(map(str, seeds))} (means), without labels. The first line is what "
        "ships, in per cent; every other line is one thing taken out, and by how many points that moves the figure. "
        "Nothing is trained again. *Actionable* is the share of abusive organizations that may be acted on without a "
        "person, *precision* how many of all those are abusive.",
        "",
        "| taken out | " + " | ".join(titles) + " |",
        "|---|" + "---:|" * len(titles),
    ]
    start = {(d, f): 100 * _mean(found[base.name][d], f) for d in difficulties for f in shown}
    lines.append(
        f"| {base.name} | " + " | ".join(f"{start[d, f]:.1f}" for d in difficulties for f in shown) + " |"
    )
    for one in rest:
        moved = (100 * _mean(found[one.name][d], f) - start[d, f] for d in difficulties for f in shown)
        lines.append(f"| {one.group}: {one.name} | " + " | ".join(_points(each) for each in moved) + " |")
    return "\n".join(lines) + "\n"


def _points(moved: float) -> str:
    return "·" if abs(moved) < 0.05 else f"{moved:+.1f}".replace("-", "−")
