"""The files in HOME/detectors, and where each of them stands."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from detection.lifecycle.definition import (
    LONGEST,
    SUFFIXES,
    FaultyError,
    HomeDetector,
    Language,
    define,
    id_problems,
)
from detection.lifecycle.records import Record, State, folder, read
from graph.durable import write_atomically
from graph.errors import RingfenceError
from graph.home import Home


@dataclass(frozen=True)
class Standing:
    """One detector of a home.

    `state` is the one that holds: a file that was changed after it was promoted is a draft again (`changed`), and so
    is one that is faulty (`detector` is None, `problems` says why). `file` is None when it is gone.
    """

    id: str
    file: Path | None
    language: Language | None
    state: State
    record: Record
    detector: HomeDetector | None
    problems: tuple[str, ...]
    changed: bool

    @property
    def warning(self) -> str | None:
        """What has to be said of it in a run that it should have been part of; None when all is well."""
        if self.record.state not in ("shadow", "active"):
            return None
        who = f"the detector {self.id} ({self.record.state})"
        if self.file is None:
            return f"{who} has no file any more and did not run: put it back, or retire it"
        if self.changed:
            by = self.record.history[-1].by if self.record.history else "somebody"
            return (
                f"{who} was changed after {by} promoted it, so that it is a draft again and did not run:"
                " backtest and promote it, or put the file back as it was"
            )
        return f"{who} cannot be read and did not run: {'; '.join(self.problems)}" if self.problems else None


def standings(home: Home) -> list[Standing]:
    """Every detector that has a file, or had one that was moved, by id."""
    records = read(home)
    paths: dict[str, list[Path]] = {}
    place = folder(home)
    for path in sorted(place.iterdir()) if place.is_dir() else ():
        if path.suffix in SUFFIXES and not path.name.startswith("."):
            paths.setdefault(path.stem, []).append(path)
    return [
        _standing(name, paths.get(name, []), records.get(name, Record()))
        for name in sorted({*paths, *(name for name, record in records.items() if record.history)})
    ]


def standing(home: Home, name: str) -> Standing:
    """One detector. Raises RingfenceError when there is no such file."""
    for one in standings(home):
        if one.id == name and one.file is not None:
            return one
    raise RingfenceError(
        f"there is no detector {name!r} in {folder(home)}",
        "'ringfence detectors list' shows those that are there; make one with 'ringfence detectors new ID'.",
        exit_code=2,
    )


def usable(home: Home, name: str) -> tuple[Standing, HomeDetector]:
    """One detector whose file can be run. Raises RingfenceError that lists what is wrong with it."""
    found = standing(home, name)
    if found.detector is None:
        raise RingfenceError(
            f"the detector {name} cannot run: {'; '.join(found.problems)}",
            f"Correct {found.file}, then: ringfence detectors check {name}",
        )
    return found, found.detector


def _standing(name: str, paths: list[Path], record: Record) -> Standing:
    problems: list[str] = []
    detector: HomeDetector | None = None
    if len(paths) > 1:
        problems.append(f"there are {' and '.join(path.name for path in paths)}: one file a detector")
    elif paths:
        try:
            detector = define(name, SUFFIXES[paths[0].suffix], content(paths[0]))
        except FaultyError as error:
            problems += error.problems
    held = detector is not None and detector.digest == record.digest
    return Standing(
        id=name,
        file=paths[0] if paths else None,
        language=SUFFIXES[paths[0].suffix] if paths else None,
        state=record.state if held else "draft",
        record=record,
        detector=detector,
        problems=tuple(problems),
        changed=detector is not None and bool(record.digest) and not held,
    )


def content(path: Path) -> bytes:
    """A detector's file, read once. Raises FaultyError when it is not a file of one's own, or not to be read."""
    try:
        if path.is_symlink():
            raise FaultyError(["it is a link; a detector is a plain file"])
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            told = os.fstat(descriptor)
            if not stat.S_ISREG(told.st_mode):
                raise FaultyError(["it is no plain file"])
            if told.st_mode & stat.S_IWOTH:
                raise FaultyError([f"everybody on this machine may write to it: chmod o-w {path.name}"])
            return file.read(LONGEST + 1)
    except OSError as error:
        raise FaultyError([f"it cannot be read: {error.strerror or error}"]) from error


def create(home: Home, name: str, language: Language, text: bytes) -> Path:
    """Write a new detector's file. Raises RingfenceError when the id cannot be one, or there is such a detector."""
    problems = id_problems(name)
    if problems:
        raise RingfenceError("; ".join(problems), "For example: night_shift", exit_code=2)
    place = folder(home)
    taken = [place / f"{name}{suffix}" for suffix in SUFFIXES if (place / f"{name}{suffix}").exists()]
    if taken:
        raise RingfenceError(f"{taken[0]} is there already", "Edit it, or choose another id.", exit_code=2)
    suffix = next(suffix for suffix, one in SUFFIXES.items() if one == language)
    path = place / f"{name}{suffix}"
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(path, text)
        path.chmod(0o600)
    except OSError as error:
        raise RingfenceError(
            f"cannot write {path}: {error.strerror or error}", "Correct that, then try again."
        ) from error
    return path


def written(path: Path) -> tuple[Language, bytes]:
    """A detector's file that lies elsewhere, as it is. Raises RingfenceError when it cannot be one."""
    language = SUFFIXES.get(path.suffix)
    if language is None:
        raise RingfenceError(f"{path} is neither .sql nor .py", "A detector is one of both.", exit_code=2)
    try:
        return language, content(path)
    except FaultyError as error:
        raise RingfenceError(f"{path}: {error}", "Name another file.", exit_code=2) from error
