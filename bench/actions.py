"""Decisions: previews, containment, undo and effects on both databases, and kills of the worker at random points."""

from __future__ import annotations

import resource
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from actions import planning, undo, waves
from actions.ledger import Ledger, plans
from actions.model import Action, PlanState
from actions.settings import ActionSettings, OutboxSettings
from actions.sinks.feed import FeedSink, pull
from actions.worker import run as work
from bench.plan import Plan
from bench.results import Result, Target
from tests.contract.desk import ALICE, OSCAR, People, request, ring
from tests.contract.killing import survive
from tests.contract.postgres_server import BACKENDS, Server

MANY, CONTAINED = 50_000, 20_000
KILLS = 100
QUICK = OutboxSettings(poll=timedelta(milliseconds=20), poll_max=timedelta(milliseconds=200))


def run(plan: Plan) -> Result:
    """Figures of each database, and what kills left behind."""
    many, contained = (2_000, 800) if plan.quick else (MANY, CONTAINED)
    figures: dict[str, float] = {}
    notes: list[str] = []
    for backend in BACKENDS:
        with _ledger(backend) as (where, folder):
            plan.say(f"previews, containment and undo on {backend}")
            figures |= {f"{backend}_{name}": value for name, value in _speed(where, many, contained).items()}
        with _ledger(backend) as (where, folder):
            plan.say(f"kills on {backend}")
            left = survive(
                where,
                folder,
                members=600 if plan.quick else MANY,
                kills=2 if plan.quick else KILLS,
                seed=plan.seeds[0],
            )
            figures |= {
                f"{backend}_kills": left.kills,
                f"{backend}_lost": left.lost,
                f"{backend}_applied_twice": left.twice,
                f"{backend}_unsettled": left.unsettled,
                f"{backend}_audit_problems": len(left.problems),
            }
            notes += left.problems
            if left.lost or left.twice or left.unsettled:
                notes.append(f"{backend}: not every item came to exactly one end state")
    return Result(
        "actions",
        f"mass actions: preview and undo of {many:,}, containment of {contained:,}, {KILLS} kills on each database",
        figures,
        tuple(target for backend in BACKENDS for target in _targets(backend)),
        (plan.seeds[0],),
        {"organizations": many, "contained": contained},
        tuple(notes) or ("every item came to exactly one end state",),
    )


def _targets(backend: str) -> list[Target]:
    return [
        Target(f"{backend}_preview_s", 5),
        Target(f"{backend}_preview_rss_mb", 50),
        Target(f"{backend}_containment_s", 30),
        Target(f"{backend}_effects_per_s", 2_000, lower=False),
        Target(f"{backend}_undo_s", 60),
        Target(f"{backend}_lost", 0),
        Target(f"{backend}_applied_twice", 0),
        Target(f"{backend}_unsettled", 0),
        Target(f"{backend}_audit_problems", 0),
    ]


@contextmanager
def _ledger(backend: str) -> Iterator[tuple[str, Path]]:
    """A fresh ledger that waits for the disk, as in production, and a folder beside it."""
    folder = Path(tempfile.mkdtemp(prefix="ringfence-bench-"))
    server = Server(durable=True) if backend == "postgresql" else None
    where = str(folder / "ledger.sqlite") if server is None else server.url()
    try:
        ledger = Ledger.open(where)
        ledger.migrate()
        ledger.close()
        yield where, folder
    finally:
        if server is not None:
            server.remove()
        shutil.rmtree(folder)


def _speed(where: str, many: int, contained: int) -> dict[str, float]:
    ledger = Ledger.open(where, ActionSettings(outbox=QUICK))
    everybody, some = People(*ring(many)), People(*ring(contained))
    stop = threading.Event()
    worker = threading.Thread(
        target=work, args=(ledger, lambda: everybody, [FeedSink()]), kwargs={"holder": "bench", "stop": stop}
    )
    worker.start()
    try:
        return _measured(ledger, everybody, some)
    finally:
        stop.set()
        worker.join()
        ledger.close()


def _measured(ledger: Ledger, everybody: People, some: People) -> dict[str, float]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    preview_s, _ = _timed(lambda: planning.preview(ledger, request(Action.THROTTLE), ALICE, everybody))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    containment_s, _ = _timed(lambda: _apply(ledger, _contain(ledger, Action.THROTTLE, some), some))
    plan_id = _contain(ledger, Action.VERIFY, everybody)
    effects_s, _ = _timed(lambda: _apply(ledger, plan_id, everybody))
    pull_s, pulled = _timed(lambda: _pull_all(ledger))
    undo_s, _ = _timed(lambda: _undo(ledger, plan_id, everybody))
    return {
        "preview_s": preview_s,
        "preview_rss_mb": grown,
        "containment_s": containment_s,
        "effects_per_s": len(everybody.members) / effects_s,
        "pulled_per_s": pulled / pull_s,
        "undo_s": undo_s,
    }


def _timed(do: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    done = do()
    return time.perf_counter() - started, done


def _contain(ledger: Ledger, action: Action, people: People) -> str:
    with ledger.transaction() as tx:
        return planning.plan(tx, request(action), ALICE, people).plan_id


def _undo(ledger: Ledger, plan_id: str, people: People) -> None:
    with ledger.transaction() as tx:
        inverse = undo.undo_plan(tx, plan_id, OSCAR, reason="measured")
    _apply(ledger, inverse.plan_id, people)


def _apply(ledger: Ledger, plan_id: str, people: People) -> None:
    """From the start of a plan to its last effect."""
    waves.apply(ledger, plan_id, OSCAR, people)
    while True:
        with ledger.reading() as reading:
            state = plans.get(reading, plan_id).state
        if state is PlanState.COMPLETED:
            return
        if state is not PlanState.EXECUTING:
            raise RuntimeError(f"{plan_id} is {state}")
        time.sleep(0.02)


def _pull_all(ledger: Ledger) -> int:
    after = count = 0
    while True:
        with ledger.reading() as reading:
            page = pull(reading, after=after, limit=5_000)
        if not page:
            return count
        count, after = count + len(page), page[-1].seq
