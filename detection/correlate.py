"""Links to ties: who shares what with whom, when, and how much that is worth."""

from __future__ import annotations

import pyarrow as pa

from detection import bystanders
from detection.engines.duckdb import Engine
from detection.links import Progress
from detection.settings import LOG_ODDS, WEIGHT_UNIT, DetectionSettings

STAGES = ("shared_identifiers", "uses", "degrees", *bystanders.STAGES, "appearances", "reasons", "ties")
LOOKED_AT = ("promo_code",)
DERIVED = ("payment_bin",)
"""Kinds of tie whose values are no identifiers: what several look alike in. The graph has no nodes for them."""


def correlate(engine: Engine, settings: DetectionSettings, population: int, progress: Progress) -> None:
    """Run the stages from `links_parts` and `organizations` to `ties` (a, b, weight) and their `reasons`."""
    register(engine, settings, population)
    for done, name in enumerate(STAGES):
        progress("ties", done, len(STAGES))
        engine.stage(name)
    engine.drop("appearances")
    progress("ties", len(STAGES), len(STAGES))


def register(engine: Engine, settings: DetectionSettings, population: int) -> None:
    """Make the settings readable to the stages; `population` counts the organizations."""
    engine.register("tie_kinds", tie_kinds(settings))
    engine.register("linked_kinds", linked_kinds(settings))
    engine.register("recipe", recipe(settings))
    engine.register("bystander_recipe", bystanders.recipe(settings.bystanders, population))


def tie_kinds(settings: DetectionSettings) -> pa.Table:
    """The settings of every tying kind as rows; times in microseconds. `part` numbers its family."""
    kinds = sorted(settings.tie_kinds.items())
    families = sorted({kind.family for _, kind in kinds})
    return pa.table(
        {
            "kind": pa.array([name for name, _ in kinds], pa.string()),
            "base": pa.array([kind.base or name for name, kind in kinds], pa.string()),
            "evidence": pa.array([kind.evidence for _, kind in kinds], pa.float64()),
            "fade": pa.array([kind.fade for _, kind in kinds], pa.float64()),
            "crowd": pa.array([kind.crowd for _, kind in kinds], pa.float64()),
            "gap": pa.array([kind.gap_s * 1_000_000 for _, kind in kinds], pa.int64()),
            "cap": pa.array([kind.cap for _, kind in kinds], pa.int64()),
            "strong": pa.array([kind.strong for _, kind in kinds], pa.bool_()),
            "family": pa.array([kind.family for _, kind in kinds], pa.string()),
            "part": pa.array([families.index(kind.family) for _, kind in kinds], pa.int16()),
            "counts": pa.array([kind.counts for _, kind in kinds], pa.bool_()),
        }
    )


def linked_kinds(settings: DetectionSettings) -> pa.Table:
    """Every kind of identifier whose sharing is kept: those that tie, and those that are only looked at."""
    bases = {name: kind.base or name for name, kind in settings.tie_kinds.items()}
    bases |= {name: name for name in LOOKED_AT if name not in bases}
    return pa.table(
        {
            "kind": list(bases),
            "base": list(bases.values()),
            "derived": [name in DERIVED for name in bases],
        }
    )


def recipe(settings: DetectionSettings) -> pa.Table:
    """The one row of constants that the weight formula reads; `unit` is a log-odds of one, in fixed point."""
    unit = WEIGHT_UNIT / LOG_ODDS
    return pa.table(
        {
            "unit": pa.array([unit], pa.float64()),
            "weight_unit": pa.array([WEIGHT_UNIT], pa.int64()),
            "prior": pa.array([round(settings.tie_prior * unit)], pa.int64()),
            "predecessors": pa.array([settings.predecessors], pa.int64()),
            "memory": pa.array([settings.memory_s * 1_000_000], pa.int64()),
            "min_weight": pa.array([round(settings.min_weight * WEIGHT_UNIT)], pa.int64()),
        }
    )
