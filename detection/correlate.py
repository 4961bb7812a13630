"""Links to ties: who shares what with whom, when, and how much that is worth."""

from __future__ import annotations

import pyarrow as pa

from detection.engines.duckdb import Engine
from detection.links import Progress
from detection.settings import WEIGHT_UNIT, DetectionSettings

STAGES = ("shared_identifiers", "uses", "degrees", "appearances", "reasons", "ties")
LOOKED_AT = ("consumer", "promo_code")
SMALLEST_POPULATION = 1_000
"""ln(N/d)/ln(N) says how rare an identifier is among N; below this N it would call everything common."""


def correlate(engine: Engine, settings: DetectionSettings, population: int, progress: Progress) -> None:
    """Run the stages from `links_parts` and `organizations` to `ties` (a, b, weight) and their `reasons`."""
    engine.register("tie_kinds", tie_kinds(settings))
    engine.register("linked_kinds", linked_kinds(settings))
    engine.register("recipe", recipe(settings, population))
    for done, name in enumerate(STAGES):
        progress("ties", done, len(STAGES))
        engine.stage(name)
    engine.drop("appearances")
    progress("ties", len(STAGES), len(STAGES))


def tie_kinds(settings: DetectionSettings) -> pa.Table:
    """The settings of every tying kind as rows; times in microseconds."""
    kinds = sorted(settings.tie_kinds.items())
    return pa.table(
        {
            "kind": pa.array([name for name, _ in kinds], pa.string()),
            "base": pa.array([kind.base or name for name, kind in kinds], pa.string()),
            "prior": pa.array([kind.prior for _, kind in kinds], pa.float64()),
            "tau": pa.array([kind.tau_s * 1_000_000 for _, kind in kinds], pa.int64()),
            "gap": pa.array([kind.gap_s * 1_000_000 for _, kind in kinds], pa.int64()),
            "cap": pa.array([kind.cap for _, kind in kinds], pa.int64()),
            "strong": pa.array([kind.strong for _, kind in kinds], pa.bool_()),
        }
    )


def linked_kinds(settings: DetectionSettings) -> pa.Table:
    """Every kind of identifier whose sharing is kept: those that tie, and those that are only looked at."""
    bases = {name: kind.base or name for name, kind in settings.tie_kinds.items()}
    bases |= {name: name for name in LOOKED_AT if name not in bases}
    return pa.table({"kind": list(bases), "base": list(bases.values())})


def recipe(settings: DetectionSettings, population: int) -> pa.Table:
    """The one row of constants that the weight formula reads."""
    return pa.table(
        {
            "unit": pa.array([WEIGHT_UNIT], pa.int64()),
            "population": pa.array([float(max(population, SMALLEST_POPULATION))], pa.float64()),
            "predecessors": pa.array([settings.predecessors], pa.int64()),
            "strong_floor": pa.array([settings.strong_floor], pa.float64()),
            "strong_memory": pa.array([settings.strong_memory_s * 1_000_000], pa.int64()),
            "min_weight": pa.array([round(settings.min_weight * WEIGHT_UNIT)], pa.int64()),
        }
    )
