"""The same recipe in plain pandas + networkx and in polars + igraph, side by side with Ringfence."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from bench.commands import WORK, Measured, python_module, ringfence
from bench.plan import Plan
from bench.results import Result, Target
from bench.worlds import World, clone, ingested, world
from sim.baselines import positions
from sim.ground_truth import read_truth
from sim.metrics import UNLISTED, b_cubed

PIPELINES = {"pandas": "bench.with_pandas", "polars": "bench.with_polars"}


def run(plan: Plan) -> Result:
    """Measure in turns, so that a slow minute of the machine hits all alike; medians are compared."""
    middle = world(plan.middle, plan.seeds[0])
    base = ingested(middle)
    times: dict[str, list[Measured]] = {}
    contestants = _contestants(middle, base)
    for turn in range(plan.repeats):
        for name, measured in contestants.items():
            plan.say(f"{name}, {turn + 1} of {plan.repeats}")
            times.setdefault(name, []).append(measured())
    figures: dict[str, float] = {}
    for name, each in times.items():
        figures[f"{name}_s"] = statistics.median(one.seconds for one in each)
        figures[f"{name}_peak_mib"] = statistics.median(one.peak_mib for one in each)
    for name in PIPELINES:
        figures[f"{name}_time_ratio"] = figures[f"{name}_s"] / figures["run_s"]
        figures[f"{name}_memory_ratio"] = figures[f"{name}_peak_mib"] / figures["run_peak_mib"]
        whole = figures["ingest_s"] + figures["run_s"]
        peak = max(figures["ingest_peak_mib"], figures["run_peak_mib"])
        figures[f"{name}_time_ratio_with_ingest"] = figures[f"{name}_s"] / whole
        figures[f"{name}_memory_ratio_with_ingest"] = figures[f"{name}_peak_mib"] / peak
        figures[f"{name}_b_cubed_f"] = _quality(middle, WORK / f"{name}.parquet")
    return Result(
        "pipelines",
        f"The same recipe, {plan.middle:,} organizations, {middle.rows:,} events",
        figures,
        (
            Target("pandas_time_ratio", 10, 30, lower=False),
            Target("pandas_memory_ratio", 3, lower=False),
            Target("polars_time_ratio", 2, 4, lower=False),
        ),
        (plan.seeds[0],),
        {"organizations": plan.middle, "events": middle.rows},
        (
            "the pipelines go from events to communities; run goes from facts to scored, explained clusters",
            "with_ingest counts ingest too, which validates, canonicalises and stores once for all runs",
            "networkx has no Leiden of its own: that pipeline uses Louvain",
        ),
    )


def _contestants(middle: World, base: Path) -> dict[str, Callable[[], Measured]]:
    def ingest() -> Measured:
        return ringfence("ingest", middle.events, home=_empty("pipelines-ingest"))

    def detect() -> Measured:
        return ringfence("run", "--store", "none", home=clone(base, "pipelines-run"))

    def pipeline(name: str, module: str) -> Callable[[], Measured]:
        return lambda: python_module(module, middle.events, WORK / f"{name}.parquet")

    others = {name: pipeline(name, module) for name, module in PIPELINES.items()}
    return {"ingest": ingest, "run": detect, **others}


def _empty(name: str) -> Path:
    nothing = WORK / "homes" / "nothing"
    nothing.mkdir(parents=True, exist_ok=True)
    return clone(nothing, name)


def _quality(middle: World, found: Path) -> float:
    truth = read_truth(middle.truth)
    table = pq.read_table(found)
    rows = positions(truth.org_ids, table.column("org_id"))
    clusters = np.full(len(truth), UNLISTED, dtype=np.int64)
    clusters[rows] = table.column("cluster").to_numpy()
    return b_cubed(clusters, truth.rings).f
