"""What `ringfence doctor` looks at. Each check is a function of the home that returns one finding."""

from __future__ import annotations

import os
import platform
import re
import shutil
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Literal

from api.output import counted
from api.settings import load_settings
from graph.errors import RingfenceError
from graph.home import Home, load_pepper, pepper_file

State = Literal["ok", "warn", "fail"]

OLDEST_PYTHON = (3, 11)
OLDEST_SQLITE = (3, 51, 3)
"""Older versions can lose a write-ahead log while it is reset."""
SPARE_BYTES = 5 * 2**30


@dataclass(frozen=True)
class Check:
    """One finding: its state, what was found, and what to do unless it is ok."""

    name: str
    state: State
    found: str
    remedy: str = ""


def examine(home: Home) -> list[Check]:
    """All checks, in the order in which problems should be solved."""
    return [_guarded(check, home) for check in CHECKS]


def _guarded(check: Callable[[Home], Check], home: Home) -> Check:
    try:
        return check(home)
    except RingfenceError as error:
        name = check.__name__.strip("_").replace("_", " ")
        return Check(name, "fail", error.message, error.remedy)


def _python(home: Home) -> Check:
    del home
    found = f"{platform.python_version()} ({platform.system()}, {os.cpu_count()} cores)"
    if sys.version_info < OLDEST_PYTHON:
        return Check("python", "fail", found, "Install Python 3.11 or newer and set up again: make setup")
    return Check("python", "ok", found)


def _libraries(home: Home) -> Check:
    """Every declared dependency is there and not older than declared."""
    del home
    wrong = []
    count = 0
    for line in requires("ringfence") or []:
        found = re.fullmatch(r"([\w.-]+)>=([\d.]+)", line.split(";")[0].strip())
        if not found or "extra ==" in line:
            continue
        count += 1
        try:
            present = version(found[1])
        except PackageNotFoundError:
            wrong.append(f"{found[1]} is missing")
            continue
        if _numbers(present) < _numbers(found[2]):
            wrong.append(f"{found[1]} {present} is older than {found[2]}")
    if wrong:
        return Check("libraries", "fail", "; ".join(wrong), "Install what requirements.lock pins: make setup")
    return Check("libraries", "ok", f"all {count} present and new enough")


def _sqlite(home: Home) -> Check:
    del home
    from graph.stores.sqlite.store import sqlite_version

    found = sqlite_version()
    if _numbers(found) < OLDEST_SQLITE:
        wanted = ".".join(map(str, OLDEST_SQLITE))
        return Check(
            "SQLite",
            "fail",
            found,
            f"SQLite {wanted} or newer is needed: pip install --upgrade 'apsw>={wanted}'",
        )
    return Check("SQLite", "ok", found)


def _pepper(home: Home) -> Check:
    del home
    path = pepper_file()
    if not path.exists():
        return Check("pepper", "ok", f"{path} will be made by the first ingest")
    load_pepper(create=False)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return Check("pepper", "warn", f"others may read {path}", f"Take that away: chmod 600 {path}")
    return Check("pepper", "ok", f"{path}, readable by its owner only")


def _home(home: Home) -> Check:
    place = _existing(home)
    if not os.access(place, os.W_OK | os.X_OK):
        return Check(
            "home", "fail", f"{place} cannot be written", "Name another home: --home DIR or RINGFENCE_HOME"
        )
    if not home.path.exists():
        return Check("home", "ok", f"{home.path} will be made by the first ingest")
    return Check("home", "ok", str(home.path))


def _disk(home: Home) -> Check:
    free = shutil.disk_usage(_existing(home)).free
    found = f"{free / 2**30:,.1f} GiB free"
    if free < SPARE_BYTES:
        return Check("disk", "warn", found, "A run of a million organizations needs about 5 GiB: make room.")
    return Check("disk", "ok", found)


def _settings(home: Home) -> Check:
    load_settings(home)
    return Check("settings", "ok", str(home.settings_file) if home.settings_file.exists() else "defaults")


def _run(home: Home) -> Check:
    """Is there a current run, and does it know every commit of the facts?"""
    from detection.runs import Runs
    from graph.facts import FactsReader

    commits = FactsReader(home).commits()
    current = Runs(home).current()
    if not commits:
        return Check(
            "current run",
            "ok",
            "no events yet",
            "" if current is None else "The facts are gone; restore them.",
        )
    if current is None:
        return Check("current run", "warn", "events, but no run yet", "Detect: ringfence run")
    seen = Runs(home).open(current).manifest.inputs
    known = int(seen.get("last_sequence", 0))
    missing = sum(commit.sequence > known for commit in commits)
    if missing:
        return Check(
            "current run",
            "warn",
            f"{current} lacks {counted(missing, 'ingest')}",
            "Bring it up to date: ringfence run",
        )
    return Check("current run", "ok", f"{current}, knows {counted(len(commits), 'ingest')}")


def _graph(home: Home) -> Check:
    from api.stores import chosen
    from detection.runs import Runs
    from graph.stores import open_store

    current = Runs(home).current()
    name = chosen()
    store = open_store(name, home)
    try:
        shown = store.run_id()
    finally:
        store.close()
    if shown is None:
        state: State = "ok" if current is None else "warn"
        return Check(
            "graph", state, "not published", "" if current is None else "Publish it: ringfence rebuild"
        )
    if shown != current:
        return Check(
            "graph", "warn", f"shows {shown}, the current run is {current}", "Publish it: ringfence rebuild"
        )
    return Check("graph", "ok", f"{name} shows {shown}")


def _existing(home: Home) -> os.PathLike[str]:
    place = home.path
    while not place.exists():
        place = place.parent
    return place


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


CHECKS: tuple[Callable[[Home], Check], ...] = (
    _python,
    _libraries,
    _sqlite,
    _pepper,
    _home,
    _disk,
    _settings,
    _run,
    _graph,
)
