"""How fast the adversary writes its world."""

from __future__ import annotations

from bench.plan import Plan
from bench.results import Result, Target
from bench.worlds import place, simulate


def run(plan: Plan) -> Result:
    """Simulate the large world, and the middle one for each seed."""
    figures: dict[str, float] = {}
    plan.say(f"simulating {plan.large:,} organizations")
    large = place(plan.large, plan.seeds[0])
    done = simulate(large)
    figures["large_s"] = done.seconds
    figures["large_peak_mib"] = done.peak_mib
    figures["large_events"] = large.rows
    times = []
    for seed in plan.seeds:
        plan.say(f"simulating {plan.middle:,} organizations, seed {seed}")
        times.append(simulate(place(plan.middle, seed)).seconds)
    figures["middle_s_mean"] = sum(times) / len(times)
    return Result(
        "simulation",
        f"Simulator: {plan.large:,} organizations, {large.rows:,} events",
        figures,
        (Target("large_s", 180), Target("large_peak_mib", 4096)),
        plan.seeds,
        {"large": plan.large, "middle": plan.middle},
    )
