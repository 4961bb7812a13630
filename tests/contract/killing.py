"""Killing a worker at random moments while it applies and undoes a plan, and counting what is lost."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from actions import approvals, audit, planning, undo, waves
from actions.ledger import Ledger, chain, items, plans
from actions.model import Action, ItemState, Plan, PlanState
from tests.contract.desk import ALICE, BOB, CAROL, OSCAR, People, request, ring
from tests.contract.ledger_process import RULES

ROOT = Path(__file__).parents[2]
LIMIT = 300
SECONDS_A_MEMBER = 0.001
"""About what a member takes: kills are spread over the whole of the work."""


@dataclass(frozen=True)
class Outcome:
    """What is left after the kills."""

    kills: int
    members: int
    lost: int
    twice: int
    unsettled: int
    problems: tuple[str, ...]


def survive(where: str, folder: Path, *, members: int, kills: int, seed: int) -> Outcome:
    """Ban everybody and undo it, each under half of the kills, then look at every member, line and entry."""
    ledger = Ledger.open(where, RULES)
    people = People(*ring(members), active=members * 100)
    file = folder / "effects.ndjson"
    ban = _ban(ledger, people)
    done = _kill_until_done(ledger, where, file, ban, members, (kills + 1) // 2, seed)
    with ledger.transaction() as tx:
        inverse = undo.undo_plan(tx, ban.plan_id, OSCAR, reason="mistake")
    waves.apply(ledger, inverse.plan_id, OSCAR, people)
    done += _kill_until_done(ledger, where, file, inverse, members, kills - done, seed + 1)
    outcome = _judge(ledger, file, ban, inverse, members, done)
    ledger.close()
    return outcome


def _ban(ledger: Ledger, people: People) -> Plan:
    with ledger.transaction() as tx:
        plan = planning.plan(tx, request(Action.BAN, controls=False, sinks=("file", "feed")), ALICE, people)
    for person in (BOB, CAROL):
        with ledger.transaction() as tx:
            if plans.get(tx, plan.plan_id).state is PlanState.PLANNED:
                approvals.approve(tx, plan.plan_id, person, digest=plan.digest, typed_count=plan.size)
    waves.apply(ledger, plan.plan_id, ALICE, people)
    return plan


def _kill_until_done(
    ledger: Ledger, where: str, file: Path, plan: Plan, members: int, kills: int, seed: int
) -> int:
    """Start workers and kill them; the last one may finish. How many were killed at work."""
    chance = random.Random(seed)
    pace = members * SECONDS_A_MEMBER / max(kills, 1)
    count = 0
    deadline = time.monotonic() + LIMIT + members / 25
    command = [sys.executable, "-m", "tests.contract.ledger_process", where, str(file), str(members)]
    while _state(ledger, plan) is PlanState.EXECUTING:
        if time.monotonic() > deadline:
            raise AssertionError("the plan does not come to an end")
        before = _progress(ledger)
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) as worker:
            if count < kills and _moves(ledger, before, worker):
                time.sleep(chance.random() * pace)
                worker.kill()
                count += 1
            _, problems = worker.communicate(timeout=LIMIT)
            if worker.returncode not in {0, -9}:
                raise AssertionError(problems.decode())
    return count


def _moves(ledger: Ledger, before: int, worker: subprocess.Popen[bytes]) -> bool:
    """Wait until the worker has written something, so that a kill hits work; False if it ended first."""
    while worker.poll() is None:
        if _progress(ledger) != before:
            return True
        time.sleep(0.002)
    return False


def _progress(ledger: Ledger) -> int:
    with ledger.reading() as reading:
        return chain.head(reading)[0]


def _state(ledger: Ledger, plan: Plan) -> PlanState:
    with ledger.reading() as reading:
        return plans.get(reading, plan.plan_id).state


def _judge(ledger: Ledger, file: Path, ban: Plan, inverse: Plan, members: int, kills: int) -> Outcome:
    with ledger.reading() as reading:
        states = Counter(
            item.state for plan in (ban, inverse) for item in items.everyone(reading, plan.plan_id)
        )
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    seen = Counter((line["org_id"], line["generation"]) for line in lines)
    last = {line["org_id"]: line for line in lines}
    restored = sum(1 for line in last.values() if line["desired_state"] == [])
    return Outcome(
        kills=kills,
        members=members,
        lost=2 * members - len(seen) + members - restored,
        twice=sum(count - 1 for count in seen.values()),
        unsettled=2 * members - states[ItemState.APPLIED],
        problems=tuple(audit.verify(ledger).problems),
    )
