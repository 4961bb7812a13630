"""A run that is killed, crossed by another, out of space or given damaged files: what served before still serves."""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import detection.run
from detection.links import Progress
from detection.run import run
from detection.runs import TABLES, RunFiles, Runs
from detection.settings import DetectionSettings, EngineSettings
from graph.errors import RingfenceError
from graph.home import Home
from tests.unit.worlds import Event, add, beside, drawn, home_of

ROOT = Path(__file__).resolve().parents[2]
KILLED = """
import os, signal, sys
from pathlib import Path
from detection.run import run
from graph.home import Home

left = int(sys.argv[2])

def die(*_):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)

class Publisher:
    def publish(self, run, progress):
        die(progress("publish", 0, 1))

run(Home(Path(sys.argv[1])), publisher=Publisher(), progress=die)
"""


def first_days() -> list[Event]:
    return [one for seed in range(2) for one in beside(drawn(seed, 10, 60, days=(1, 2)), seed)]


def last_days() -> list[Event]:
    return beside(drawn(2, 10, 60, days=(2, 3)), 2)


def serving(home: Home) -> tuple[str, dict[str, str]]:
    """The run that serves, and the checksums of its files as they are now."""
    files = Runs(home).open()
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(files.folder.glob("*.parquet"))
    }
    return files.manifest.run_id, found


def leftovers(home: Home) -> set[str]:
    """What lies among the runs that is neither a finished run, nor the pointer, nor the lock."""
    finished = {one.run_id for one in Runs(home).list()}
    return {path.name for path in home.runs.iterdir()} - finished - {"current", ".lock"}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with a run, and newer facts that no run has seen."""
    home = home_of(tmp_path_factory.mktemp("prepared"), first_days())
    run(home)
    add(home, last_days())
    return home


@pytest.fixture
def home(prepared: Home, tmp_path: Path) -> Home:
    """Such a home, to be harmed."""
    shutil.copytree(prepared.path, tmp_path / "home")
    return Home(tmp_path / "home")


@pytest.fixture(scope="module")
def unharmed(prepared: Home, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFiles, int]:
    """The second run of such a home when nothing happens, and how often it reports progress."""
    copy = Home(tmp_path_factory.mktemp("unharmed") / "home")
    shutil.copytree(prepared.path, copy.path)
    calls: list[str] = []
    return run(copy, progress=lambda stage, *_: calls.append(stage)), len(calls)


@pytest.mark.parametrize("seed", [1, 2, 3, "published, not switched"])
def test_a_killed_run_leaves_the_one_before_and_a_retry_completes(
    home: Home, unharmed: tuple[RunFiles, int], seed: int | str
) -> None:
    before = serving(home)
    expected, most = unharmed
    point = random.Random(seed).randrange(most) if isinstance(seed, int) else most
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(home.path), str(point)],
        env=_environment(),
        check=False,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL
    assert serving(home) == before
    for one in Runs(home).list():
        assert Runs(home).open(one.run_id).manifest == one
    again = run(home)
    assert Runs(home).current() == again.manifest.run_id
    assert again.manifest.previous == before[0]
    for table in TABLES:
        assert again.table(table).equals(expected.table(table)), table
    assert leftovers(home) == set()


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def test_of_two_runs_at_once_the_second_waits(home: Home) -> None:
    heard: list[str] = []
    second: list[RunFiles] = []
    waiting = threading.Thread(
        target=lambda: second.append(run(home, progress=lambda *_: heard.append("second")))
    )

    def start_the_other(*_: object) -> None:
        if not heard:
            heard.append("first")
            waiting.start()
        heard.append("first")

    first = run(home, progress=start_the_other)
    waiting.join(timeout=60)
    assert heard.index("second") > len(heard) - 1 - heard[::-1].index("first")
    assert second[0].manifest.previous == first.manifest.run_id == Runs(home).list()[-2].run_id
    assert Runs(home).current() == second[0].manifest.run_id


def test_who_waits_too_long_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detection.run, "LOCK_TIMEOUT_S", 0)
    caught: list[RingfenceError] = []

    def run_another(*_: object) -> None:
        if not caught:
            with pytest.raises(RingfenceError, match="another run has held this home") as told:
                run(home)
            caught.append(told.value)

    run(home, progress=run_another)
    assert "run again" in caught[0].remedy


class Broken:
    """A graph store that fails."""

    def publish(self, run: RunFiles, progress: Progress) -> None:
        progress("publish", 0, None)
        raise RingfenceError(f"cannot publish {run.manifest.run_id}", "Try again.")


def test_what_cannot_be_published_does_not_serve(home: Home) -> None:
    before = serving(home)
    with pytest.raises(RingfenceError, match="cannot publish run_"):
        run(home, publisher=Broken())
    assert serving(home) == before
    assert run(home).manifest.previous == before[0]
    assert leftovers(home) == set()


class Watching:
    """A graph store that looks at the home while it is published to."""

    def __init__(self, home: Home) -> None:
        self.runs = Runs(home)
        self.seen: list[tuple[str | None, str]] = []

    def publish(self, run: RunFiles, progress: Progress) -> None:
        progress("publish", 1, 1)
        assert {path.name for path in run.folder.iterdir()} == {
            "manifest.json",
            *(f"{t}.parquet" for t in TABLES),
        }
        self.seen.append((self.runs.current(), run.manifest.run_id))


def test_a_run_is_complete_before_it_is_published_and_serves_after(home: Home) -> None:
    before = Runs(home).current()
    watching = Watching(home)
    found = run(home, publisher=watching)
    assert watching.seen == [(before, found.manifest.run_id)]
    assert Runs(home).current() == found.manifest.run_id


def test_without_facts_there_is_nothing_to_do(tmp_path: Path) -> None:
    home = Home(tmp_path / "empty")
    with pytest.raises(RingfenceError, match="there are no events yet") as told:
        run(home)
    assert (told.value.exit_code, "ringfence ingest" in told.value.remedy) == (3, True)
    with pytest.raises(RingfenceError, match="there is no run yet") as told:
        Runs(home).open()
    assert (told.value.exit_code, "ringfence run" in told.value.remedy) == (3, True)
    assert (Runs(home).current(), Runs(home).list(), home.path.exists()) == (None, [], False)


@pytest.mark.parametrize("hours", [-1, -1_000])
def test_before_the_first_event_there_is_nothing_to_do(home: Home, hours: float) -> None:
    before = serving(home)
    with pytest.raises(RingfenceError, match="no events") as told:
        run(
            home,
            as_of=datetime.fromisoformat(min(one["occurred_at"] for one in first_days()))
            + timedelta(hours=hours),
        )
    assert told.value.exit_code == 3
    assert (serving(home), leftovers(home)) == (before, set())


@pytest.mark.parametrize("name", ["run_none", "../facts", "current", ".lock", "run_/../../facts"])
def test_an_unknown_run_is_said_to_be_unknown(home: Home, name: str) -> None:
    with pytest.raises(RingfenceError, match="there is no run") as told:
        Runs(home).open(name)
    assert (told.value.exit_code, told.value.remedy) == (2, "List them: ringfence runs")


def test_a_damaged_manifest_is_said_and_the_remedy_works(home: Home) -> None:
    folder = Runs(home).open().folder
    (folder / "manifest.json").write_text('{"run_id": ')
    for ask in (Runs(home).open, Runs(home).list, lambda: run(home)):
        with pytest.raises(RingfenceError, match="manifest") as told:
            ask()
        assert told.value.remedy == "Delete its folder, then run again: ringfence run"
    shutil.rmtree(folder)
    assert run(home).manifest.counts["clusters"] > 0


@pytest.mark.parametrize("damage", [b"", b"PAR1 and then nothing"], ids=["empty", "cut"])
@pytest.mark.parametrize("part", ["events", "links", "activity"])
def test_a_damaged_file_is_named(home: Home, part: str, damage: bytes) -> None:
    before = serving(home)
    pattern = "events/*/*.parquet" if part == "events" else f"aggregates/*/{part}.parquet"
    newest = max(home.facts.glob(pattern))
    newest.write_bytes(damage)
    if part == "events":
        shutil.rmtree(home.facts / "aggregates")
    with pytest.raises(RingfenceError) as told:
        run(home)
    assert newest.name in told.value.message
    assert told.value.remedy
    assert serving(home) == before


@contextmanager
def full_at(size: int) -> Iterator[None]:
    """No file may grow beyond so many bytes: the nearest thing to a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 1_000, 4_100])
def test_a_full_disk_stops_the_run_and_nothing_else(
    home: Home, unharmed: tuple[RunFiles, int], size: int
) -> None:
    before = serving(home)
    with full_at(size), pytest.raises(RingfenceError) as told:
        run(home)
    assert "space" in told.value.remedy
    assert serving(home) == before
    again = run(home)
    assert again.path("members").read_bytes() == unharmed[0].path("members").read_bytes()
    assert leftovers(home) == set()


def test_too_little_memory_is_said(home: Home) -> None:
    before = serving(home)
    with pytest.raises(RingfenceError, match="more memory") as told:
        run(home, DetectionSettings(engine=EngineSettings(memory_limit="1MB")))
    assert "memory_limit" in told.value.remedy
    assert serving(home) == before


def test_what_serves_is_whole_at_every_moment(home: Home) -> None:
    """Whoever reads while a run goes on finds the run before, with all its files and their checksums."""
    before = serving(home)
    seen: list[tuple[str, dict[str, str]]] = []
    found = run(home, progress=lambda *_: seen.append(serving(home)))
    assert all(one == before for one in seen)
    checksums = json.loads((found.folder / "manifest.json").read_text())["checksums"]
    assert serving(home) == (found.manifest.run_id, checksums)
