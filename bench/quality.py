"""How well clusters agree with the truth, over seeds and difficulties, beside simpler methods."""

from __future__ import annotations

import math
import shutil
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.commands import ringfence
from bench.plan import Plan
from bench.results import Result, Target
from bench.worlds import clone, ingested, world
from sim.baselines import positions
from sim.ground_truth import GroundTruth, read_truth
from sim.metrics import UNLISTED, b_cubed

DIFFICULTIES = ("plain", "mimic", "rotate", "adaptive", "serial")
LOUVAIN_SEED = 1


def run(plan: Plan) -> Result:
    """Simulate, ingest, run and evaluate each seed and difficulty; the mean over seeds, and the worst."""
    figures: dict[str, float] = {}
    details: dict[str, Any] = {}
    for difficulty in DIFFICULTIES:
        seeds = plan.seeds if difficulty == "plain" else plan.other_seeds
        found: dict[str, list[float]] = {}
        for seed in seeds:
            plan.say(f"quality: {difficulty}, seed {seed}")
            report = judged(plan, difficulty, seed)
            details[f"{difficulty} {seed}"] = report
            for name, value in summary(report).items():
                found.setdefault(name, []).append(value)
        for name, values in found.items():
            figures[f"{difficulty}_{name}"] = statistics.fmean(values)
        figures[f"{difficulty}_b_cubed_f_worst"] = min(found["b_cubed_f"])
    return Result(
        "quality",
        f"Agreement with the truth, {plan.middle:,} organizations; means over seeds",
        figures,
        (
            Target("plain_b_cubed_f", 0.97, 0.99, lower=False),
            Target("plain_b_cubed_f_worst", 0.97, 0.99, lower=False),
        ),
        plan.seeds,
        {"organizations": plan.middle},
        (f"difficulties other than plain: seeds {', '.join(map(str, plan.other_seeds))}",),
        details,
    )


def judged(plan: Plan, difficulty: str, seed: int) -> dict[str, Any]:
    """The report of `ringfence evaluate` on one world, with networkx's Louvain added to the baselines."""
    made = world(plan.middle, seed, difficulty)
    home = clone(ingested(made), "quality")
    ringfence("run", "--store", "none", home=home)
    report: dict[str, Any] = ringfence("evaluate", "--truth", made.truth, "--json", home=home).json()
    folder = home / "runs" / str(report["run_id"])
    report["baselines"].append(louvain(read_truth(made.truth), folder / "ties.parquet"))
    shutil.rmtree(home)
    return report


def louvain(truth: GroundTruth, ties: Path) -> dict[str, Any]:
    """networkx's Louvain on a run's ties."""
    table = pq.read_table(ties, columns=["a", "b", "weight"])
    graph = nx.Graph()
    columns = (table.column(name).to_pylist() for name in ("a", "b", "weight"))
    graph.add_weighted_edges_from(sorted(zip(*columns, strict=True)))
    communities = nx.community.louvain_communities(graph, seed=LOUVAIN_SEED)
    clusters = np.full(len(truth), UNLISTED, dtype=np.int64)
    for number, members in enumerate(communities):
        clusters[positions(truth.org_ids, pa.array(sorted(members), pa.string()))] = number
    found = b_cubed(clusters, truth.rings)
    agreement = {"precision": found.precision, "recall": found.recall, "f": found.f}
    return {"name": "networkx Louvain", "note": "on the ties of this run", "b_cubed": agreement}


def summary(report: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a report that are worth a mean over seeds."""
    figures = {f"b_cubed_{name}": report["b_cubed"][name] for name in ("f", "precision", "recall")}
    figures["rings_together"] = report["rings_together"]["share"]
    figures |= {f"recall_at_{each['precision']}": each["recall"] for each in report["recall_at"]}
    figures["auc"], figures["auc_of_size"] = report["auc"], report["auc_of_size"]
    for each in report["would_be"]:
        at = each["name"].split()[2]
        figures[f"risk_{at}_precision"] = each["precision"]["value"]
        figures[f"risk_{at}_recall"] = each["recall"]
        hit = each["legitimate"]["value"]
        figures[f"risk_{at}_legitimate_per_10000"] = math.nan if hit is None else hit * 10_000
    for baseline in report["baselines"]:
        name = baseline["name"].replace(" ", "_")
        if baseline.get("b_cubed"):
            figures[f"{name}_b_cubed_f"] = baseline["b_cubed"]["f"]
        for each in baseline.get("recall_at") or ():
            figures[f"{name}_recall_at_{each['precision']}"] = each["recall"]
        if baseline.get("auc") is not None:
            figures[f"{name}_auc"] = baseline["auc"]
    return {name: math.nan if value is None else float(value) for name, value in figures.items()}
