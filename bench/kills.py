"""`kill -9` at random points of ingest and run: nothing acknowledged is lost, nothing is doubled, the old run
serves, and the same command again completes."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.commands import RINGFENCE, WORK, CommandFailedError, ringfence, start
from bench.plan import Plan
from bench.results import Result, Target
from bench.running import later_events
from bench.worlds import clone, world
from graph.facts import FactsReader
from graph.home import Home

NOTHING_NEW = 3
_MEMBERS = ["org_id", "cluster_id", "member_risk"]


@dataclass(frozen=True)
class Scene:
    """A home in which one run serves, the command to be killed, and what it leads to when nobody kills it."""

    name: str
    home: Path
    command: tuple[str, ...]
    seconds: float
    facts: frozenset[str]
    run_id: str
    members: str
    facts_after: frozenset[str]
    members_after: str


def run(plan: Plan) -> Result:
    """Half of the kills hit an ingest, half a run."""
    base, more = _served_home(plan)
    full = clone(base, "kills-full")
    ringfence("ingest", more, home=full)
    scenes = [_scene("ingest", base, ("ingest", str(more))), _scene("run", full, ("run",))]
    chance = random.Random(plan.seeds[0])
    figures: dict[str, float] = {}
    faults: list[str] = []
    for scene in scenes:
        early = 0
        for number in range(plan.kills // len(scenes)):
            after = chance.uniform(0, scene.seconds)
            plan.say(f"kill {number + 1} of {scene.name}, after {after:.2f} s")
            killed, found = _kill(scene, after)
            early += killed
            faults += [f"{scene.name}, killed after {after:.3f} s: {fault}" for fault in found]
        figures[f"{scene.name}_kills"] = plan.kills // len(scenes)
        figures[f"{scene.name}_killed_before_end"] = early
    figures["faults"] = len(faults)
    return Result(
        "kills",
        f"kill -9 at {plan.kills} random points",
        figures,
        (Target("faults", 0),),
        (plan.seeds[0],),
        {"organizations": plan.kill_organizations},
        tuple(faults) or ("nothing lost, nothing doubled, the old run served, every retry completed",),
    )


def _served_home(plan: Plan) -> tuple[Path, Path]:
    """A home with a run over the first half of a world, and the file with the second half."""
    made = world(plan.kill_organizations, plan.seeds[0])
    table = pq.read_table(made.events)
    half = pc.less(table.column("occurred_at"), _median(table))
    first, rest = made.folder / "first.parquet", made.folder / "rest.parquet"
    pq.write_table(table.filter(half), first)
    later = pq.read_table(later_events(made, plan.seeds[0]))
    pq.write_table(pa.concat_tables([table.filter(pc.invert(half)), later.cast(table.schema)]), rest)
    home = WORK / "homes" / "kills"
    shutil.rmtree(home, ignore_errors=True)
    ringfence("ingest", first, home=home)
    ringfence("run", home=home)
    return home, rest


def _median(table: pa.Table) -> pa.Scalar:
    times = table.column("occurred_at")
    return times[pc.sort_indices(times)[len(times) // 2].as_py()]


def _scene(name: str, home: Path, command: tuple[str, ...]) -> Scene:
    served = _current(home)
    clean = clone(home, "kills-clean")
    done = ringfence(*command, home=clean)
    return Scene(
        name,
        home,
        command,
        done.seconds,
        _events(home),
        served,
        _members(home, served),
        _events(clean),
        _members(clean, _finish(clean)),
    )


def _kill(scene: Scene, after: float) -> tuple[bool, list[str]]:
    """Whether the command was still at work when it was killed, and everything that was wrong then or later."""
    home = clone(scene.home, "kills-victim")
    process = start([*RINGFENCE, *scene.command, "--home", str(home)])
    try:
        process.wait(after)
        killed = False
    except subprocess.TimeoutExpired:
        # The command alone, not its helpers: that is what the kernel does when memory runs out.
        process.kill()
        process.wait()
        killed = True
    faults: list[str] = []
    try:
        faults += _after_kill(scene, home)
        ringfence(*scene.command, home=home, expect=(0, NOTHING_NEW))
        faults += _after_retry(scene, home)
    except CommandFailedError as error:
        faults.append(str(error))
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
            faults.append("helpers of the killed command were still alive")
    shutil.rmtree(home)
    return killed, faults


def _after_kill(scene: Scene, home: Path) -> list[str]:
    faults = []
    try:
        facts = _events(home)
    except ValueError as error:
        return [str(error)]
    if not scene.facts <= facts:
        faults.append(f"{len(scene.facts - facts):,} acknowledged events are lost")
    current = _current(home)
    if current == scene.run_id and _members(home, current) != scene.members:
        faults.append("the old run does not serve what it served")
    ringfence("clusters", "--json", home=home)
    return faults


def _after_retry(scene: Scene, home: Path) -> list[str]:
    try:
        facts = _events(home)
    except ValueError as error:
        return [str(error)]
    if facts != scene.facts_after:
        return [f"{len(facts):,} events after the retry instead of {len(scene.facts_after):,}"]
    if not (home / "runs" / scene.run_id).exists() or _members(home, scene.run_id) != scene.members:
        return ["the old run can no longer be read as it was"]
    if _members(home, _finish(home)) != scene.members_after:
        return ["the run after the retry differs from one that nobody killed"]
    return []


def _finish(home: Path) -> str:
    """The run over everything that is in the home now."""
    ringfence("run", home=home, expect=(0, NOTHING_NEW))
    return _current(home)


def _events(home: Path) -> frozenset[str]:
    """The ids of all events that commits name. Raises ValueError when a file is short or an id is there twice."""
    ids: list[str] = []
    for file in FactsReader(Home(home)).event_files():
        column = pq.read_table(file.path, columns=["event_id"]).column("event_id")
        if len(column) != file.rows:
            raise ValueError(f"{file.path.name} holds {len(column)} rows, its commit says {file.rows}")
        ids += column.to_pylist()
    distinct = frozenset(ids)
    if len(distinct) != len(ids):
        raise ValueError(f"{len(ids) - len(distinct):,} events are doubled")
    return distinct


def _current(home: Path) -> str:
    listed: Any = ringfence("runs", "--json", home=home).json()
    return str(listed["current"])


def _members(home: Path, run_id: str) -> str:
    """A digest of who is in which cluster with which risk."""
    table = pq.read_table(home / "runs" / run_id / "members.parquet", columns=_MEMBERS)
    rows = "\n".join(
        map(str, sorted(zip(*(table.column(name).to_pylist() for name in _MEMBERS), strict=True)))
    )
    return hashlib.sha256(rows.encode()).hexdigest()
