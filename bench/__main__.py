"""`python -m bench [names…]`: measure, record, and compare with the last figures and the targets."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace

from bench import (
    ablation,
    actions,
    api,
    detection,
    framing,
    fuzz,
    graph,
    ingestion,
    kills,
    pipelines,
    publications,
    quality,
    running,
    simulation,
    webhooks,
)
from bench.machine import busy_warning
from bench.plan import Plan
from bench.plan import quick as small
from bench.results import Result, last, record, table

BENCHMARKS: dict[str, Callable[[Plan], Result]] = {
    "simulation": simulation.run,
    "ingestion": ingestion.run,
    "running": running.run,
    "pipelines": pipelines.run,
    "quality": quality.run,
    "graph": graph.run,
    "kills": kills.run,
    "publications": publications.run,
    "api": api.run,
    "detection": detection.run,
    "ablation": ablation.run,
    "actions": actions.run,
    "framing": framing.run,
    "webhooks": webhooks.run,
    "fuzz": fuzz.run,
}
LONG = {"detection", "ablation", "actions", "framing", "fuzz"}
"""Many minutes or hours: only on demand."""


def main() -> int:
    """Run the named benchmarks, all by default; 1 when one of them failed (a missed target is no failure)."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"which: {', '.join(BENCHMARKS)}; default all but {', '.join(sorted(LONG))}",
    )
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes: shows that it works, records nothing"
    )
    parser.add_argument("--organizations", type=int, metavar="N", help="the middle size, 100,000 by default")
    parser.add_argument("--cases", type=int, default=Plan.cases, metavar="N", help="requests that fuzz makes")
    parser.add_argument(
        "--minutes",
        type=float,
        default=Plan.minutes,
        metavar="M",
        help="after which fuzz ends with what it has",
    )
    chosen = parser.parse_args()
    unknown = set(chosen.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    plan = replace(_plan(chosen.quick, chosen.organizations), cases=chosen.cases, minutes=chosen.minutes)
    warning = busy_warning()
    if warning:
        print(f"warning: {warning}", file=sys.stderr)
    names = chosen.names or [name for name in BENCHMARKS if name not in LONG or plan.quick]
    failed = [name for name in names if not _measure(name, plan)]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _plan(quick: bool, organizations: int | None) -> Plan:
    if quick:
        return small()
    return Plan() if organizations is None else Plan(middle=organizations)


def _measure(name: str, plan: Plan) -> bool:
    print(f"== {name}", flush=True)
    before = last(name, quick=plan.quick)
    try:
        result = BENCHMARKS[name](plan)
        if plan.quick:
            result = replace(result, targets=())  # at this size a verdict would mislead
    except Exception:
        traceback.print_exc()
        return False
    record(result, quick=plan.quick)
    print(table(result, before), flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
