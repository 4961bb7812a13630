"""How many of those whom rings frame may be acted on: every kind of victim in every way, over difficulties and seeds.

`python -m bench framing` keeps each world's figures, and goes on where it was stopped. A world frames fifty victims of
each kind in each way, so that ten worlds make five hundred: more of them in one would tie its rings by forgeries alone.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq

from bench import cells
from bench.cells import Cell, cached
from bench.commands import WORK, ringfence
from bench.plan import Plan
from bench.results import Result, Target
from detection.runs import Runs
from graph.home import Home
from sim.campaigns import Campaign, simulate
from sim.rings import Difficulty
from sim.victims import METHODS, VICTIMS

DIFFICULTIES: tuple[Difficulty, ...] = ("plain", "mimic", "adaptive", "rotate", "serial")
SEEDS = 2
ORGANIZATIONS = 20_000
EACH = 50
"""Victims of each kind and way in one world."""
RISKY = 60.0
"""Victims in clusters of so much risk are those whom the framing reached."""


def run(plan: Plan) -> Result:
    """Frame, run, and count; figures by way, details by kind and way."""
    code = cells.digest("framing")
    organizations, each = (2_000, 2) if plan.quick else (ORGANIZATIONS, EACH)
    counts: dict[str, Counter[str]] = {"framed": Counter(), "reached": Counter(), "hit": Counter()}
    legitimate = Counter[str]()
    for difficulty in DIFFICULTIES[:1] if plan.quick else DIFFICULTIES:
        for seed in plan.seeds[:SEEDS]:
            name = f"framing-{difficulty}-{organizations}-{seed}"
            found = cached(name, code, partial(measure, difficulty, seed, organizations, each), plan.say)
            for what, seen in counts.items():
                seen.update(found[what])
            legitimate.update(found["legitimate"])
    return Result(
        "framing",
        f"Framed victims who are actionable, {organizations:,} organizations a world",
        figures(counts) | {"other_legitimate_hit": float(legitimate["hit"])},
        (Target("victims_hit", 0), Target("other_legitimate_hit", 0)),
        plan.seeds[:SEEDS],
        {"organizations": organizations, "victims": counts["framed"].total()},
        (f"difficulties: {', '.join(DIFFICULTIES)}; reached: in a cluster of risk {RISKY:g} or more",),
        {what: dict(sorted(seen.items())) for what, seen in counts.items()},
    )


def figures(counts: dict[str, Counter[str]]) -> dict[str, float]:
    """Totals, and by way: framed, reached, hit; by kind: hit."""
    found = {f"victims_{what}": float(seen.total()) for what, seen in counts.items()}
    for method in METHODS:
        name = method.replace(" ", "_")
        for what, seen in counts.items():
            total = sum(count for how, count in seen.items() if how.endswith(f": {method}"))
            found[f"{name}_{what}"] = float(total)
    for kind in VICTIMS:
        found[f"{kind}_hit"] = float(
            sum(count for how, count in counts["hit"].items() if how.startswith(f"{kind}:"))
        )
    return found


def measure(difficulty: Difficulty, seed: int, organizations: int, each: int) -> Cell:
    """One world: victims by kind and way, how many rings reached, and how many are actionable."""
    WORK.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK, prefix="framing-") as folder:
        made = simulate(
            Campaign(
                organizations=organizations,
                seed=seed,
                difficulty=difficulty,
                framed_victims=each * len(VICTIMS) * len(METHODS),
            ),
            Path(folder),
        )
        home = Path(folder) / "home"
        ringfence("ingest", made.events_path, home=home)
        ringfence("run", "--store", "none", home=home)
        members = Runs(Home(home)).open().table("members", ["org_id", "cluster_risk", "actionable"])
        truth = pq.read_table(made.truth_path, columns=["org_id", "campaign", "framing"])
    standing = {row["org_id"]: row for row in members.to_pylist()}
    found: dict[str, Counter[str]] = {"framed": Counter(), "reached": Counter(), "hit": Counter()}
    others = Counter[str]()
    for row in truth.to_pylist():
        member = standing.get(row["org_id"])
        acted = member is not None and member["actionable"]
        if row["framing"]:
            found["framed"][row["framing"]] += 1
            found["reached"][row["framing"]] += member is not None and member["cluster_risk"] >= RISKY
            found["hit"][row["framing"]] += acted
        elif row["campaign"] < 0:
            others["hit"] += acted
    return {**found, "legitimate": others}
