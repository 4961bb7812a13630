"""`kill -9` at random points of a publication: readers see one run or the other, whole, and the next one completes."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from bench.commands import RINGFENCE, ringfence, start
from bench.plan import Plan
from bench.results import Result, Target
from bench.running import later_events
from bench.worlds import clone, ingested, world
from detection.runs import Runs
from graph.home import Home
from graph.stores import STORES, open_store
from tests.contract.neo4j_server import environment, new_server

WATCHED = ("Run", "Cluster", "Signal", "Device", "MEMBER_OF", "SHOWS", "USED_DEVICE", "REFERRED_BY")


def run(plan: Plan) -> Result:
    """Half of the kills for each store."""
    made = world(plan.kill_organizations, plan.seeds[0])
    home = Home(clone(ingested(made), "publications"))
    ids = [_run(home.path)]
    ringfence("ingest", later_events(made, plan.seeds[0]), home=home.path)
    ids.append(_run(home.path))
    figures: dict[str, float] = {}
    faults: list[str] = []
    server = new_server(1024)
    try:
        server.start()
        os.environ |= environment(server)
        for name in STORES:
            early, found = _kills(plan, home, name, ids)
            figures[f"{name}_kills"] = plan.kills // 2
            figures[f"{name}_killed_before_end"] = early
            faults += found
    finally:
        server.remove()
    figures["faults"] = len(faults)
    return Result(
        "publications",
        f"kill -9 at {plan.kills // 2} random points of a publication to each store",
        figures,
        (Target("faults", 0),),
        (plan.seeds[0],),
        {"organizations": plan.kill_organizations},
        tuple(faults) or ("every reader saw one run or the other, whole; every next publication completed",),
    )


def _run(home: Path) -> str:
    ringfence("run", "--store", "none", home=home)
    return str(Runs(Home(home)).current())


def _kills(plan: Plan, home: Home, store: str, ids: list[str]) -> tuple[int, list[str]]:
    whole: dict[str, str] = {}
    seconds = 0.0
    for run_id in ids:
        Runs(home).switch(run_id)
        seconds = ringfence("rebuild", "--store", store, home=home.path).seconds
        whole[run_id] = _shown(home, store)
    chance = random.Random(plan.seeds[0])
    early = 0
    faults: list[str] = []
    for number in range(plan.kills // 2):
        wanted = ids[number % 2]
        Runs(home).switch(wanted)
        after = chance.uniform(0, seconds)
        plan.say(f"kill {number + 1} of a publication to {store}, after {after:.2f} s")
        early += _killed([*RINGFENCE, "rebuild", "--store", store, "--home", str(home.path)], after)
        if _shown(home, store) not in whole.values():
            faults.append(f"{store}, killed after {after:.3f} s: what is shown is neither run")
        ringfence("rebuild", "--store", store, home=home.path)
        if _shown(home, store) != whole[wanted]:
            faults.append(f"{store}, killed after {after:.3f} s: the next publication is not whole")
    return early, faults


def _killed(command: list[str], after: float) -> bool:
    process = start(command)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    return False


def _shown(home: Home, store: str) -> str:
    """A digest of what the store shows."""
    opened = open_store(store, home)
    try:
        return hashlib.sha256(b"".join(_bytes(opened.scan(name).read_all) for name in WATCHED)).hexdigest()
    finally:
        opened.close()


def _bytes(read: Callable[[], pa.Table]) -> bytes:
    return repr(read().to_pylist()).encode()
