"""Simulated worlds and ingested homes, made once and kept under `bench/.work` until the code changes."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from bench.commands import ROOT, WORK, Measured, ringfence

JUDGES = {"evaluate.py", "metrics.py", "baselines.py", "own_features.py", "report.py", "ground_truth.py"}
"""Files of `sim/` that do not shape a world."""
JUDGE_FOLDERS = {"replay", "adversary"}
"""Nor does anything in these folders of it."""


@dataclass(frozen=True)
class World:
    """One simulated input and its truth."""

    folder: Path
    organizations: int
    seed: int
    difficulty: str

    @property
    def events(self) -> Path:
        """The events as Parquet."""
        return self.folder / "events.parquet"

    @property
    def truth(self) -> Path:
        """Who is abusive."""
        return self.folder / "truth.parquet"

    @property
    def rows(self) -> int:
        """How many events there are."""
        return int(pq.read_metadata(self.events).num_rows)


def world(organizations: int, seed: int, difficulty: str = "plain") -> World:
    """A world, simulated now unless the same simulator has made it before."""
    made = _place(organizations, seed, difficulty)
    if not made.truth.exists():
        simulate(made)
    return made


def simulate(made: World) -> Measured:
    """Simulate a world anew and measure it."""
    scratch = made.folder.with_name(made.folder.name + ".new")
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.rmtree(made.folder, ignore_errors=True)
    scratch.parent.mkdir(parents=True, exist_ok=True)
    size = ("--organizations", made.organizations, "--seed", made.seed)
    done = ringfence(
        "simulate", *size, "--difficulty", made.difficulty, "-o", scratch, home=WORK / "homes" / "none"
    )
    scratch.rename(made.folder)
    return done


def place(organizations: int, seed: int, difficulty: str = "plain") -> World:
    """Where a world is or would be."""
    return _place(organizations, seed, difficulty)


def ingested(made: World) -> Path:
    """A home that holds a world's events and nothing else; to be cloned, never run in."""
    code = _digest("graph", "ingest")
    home = WORK / "homes" / f"{made.folder.name}-{code}"
    if not (home / "complete").exists():
        shutil.rmtree(home, ignore_errors=True)
        ringfence("ingest", made.events, home=home)
        (home / "complete").touch()
    return home


def clone(home: Path, name: str) -> Path:
    """A home to work in. Parquet files of the facts are never changed in place, so they are linked."""
    target = WORK / "homes" / name
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(home, target, copy_function=_link_parquet)
    return target


def _link_parquet(source: str, target: str) -> str:
    if source.endswith(".parquet"):
        os.link(source, target)
    else:
        shutil.copy2(source, target)
    return target


def _place(organizations: int, seed: int, difficulty: str) -> World:
    name = f"{difficulty}-{organizations}-{seed}-{_digest('sim')}"
    return World(WORK / "worlds" / name, organizations, seed, difficulty)


def _digest(*packages: str) -> str:
    state = hashlib.sha256()
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            judges = path.name in JUDGES or path.parent.name in JUDGE_FOLDERS
            if package != "sim" or not judges:
                state.update(path.read_bytes())
    return state.hexdigest()[:10]
