"""Facts to links: partial aggregates, one a file of events, made once and added up by every run.

A day that is added to thirty costs that day: files are immutable, and what was aggregated stays aggregated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Protocol

from detection.engines.duckdb import Engine
from graph.durable import sync
from graph.facts import EventFile
from graph.home import Home
from queries import load

Progress = Callable[[str, int, int | None], None]

PARTS = ("links", "activity", "referrals")
_EVENTS = "*, epoch_us(occurred_at) AS happened_at"


class Facts(Protocol):
    """What a run needs to know of the facts."""

    def event_files(self) -> list[EventFile]:
        """The committed files of events, in a stable order."""

    def value_files(self) -> list[Path]:
        """The committed files of raw and canonical values."""


@dataclass(frozen=True)
class Parts:
    """Files of partial aggregates, by kind of aggregate."""

    links: list[Path]
    activity: list[Path]
    referrals: list[Path]
    made: int
    """How many files of events had to be aggregated now."""


def aggregate(
    engine: Engine, home: Home, files: Sequence[EventFile], as_of: datetime, scratch: Path, progress: Progress
) -> Parts:
    """Aggregate each file of events that has not been yet; a file that reaches past `as_of` is cut, and not kept."""
    found: dict[str, list[Path]] = {part: [] for part in PARTS}
    made = 0
    known = [file for file in files if file.day <= as_of.astimezone(UTC).date()]
    for done, file in enumerate(known):
        progress("links", done, len(known))
        cut = file.day == as_of.date() and file.last > as_of
        root = scratch if cut else home.facts
        targets = {part: _target(root, part, file) for part in PARTS}
        if cut or not all(target.exists() for target in targets.values()):
            _aggregate_file(engine, file, targets, as_of if cut else None)
            made += 1
        for part, target in targets.items():
            found[part].append(target)
    progress("links", len(known), len(known))
    return Parts(**found, made=made)


def _target(root: Path, part: str, file: EventFile) -> Path:
    """Named after the SQL that makes it too, so that a new version aggregates anew."""
    return root / part / f"day={file.day}" / f"{file.path.stem}.{_version(part)}.parquet"


@cache
def _version(part: str) -> str:
    return hashlib.sha256(load(f"day_{part}").sql.encode()).hexdigest()[:8]


def _aggregate_file(
    engine: Engine, file: EventFile, targets: dict[str, Path], as_of: datetime | None
) -> None:
    where = "TRUE" if as_of is None else f"epoch_us(occurred_at) <= {microseconds(as_of)}"
    engine.read("events", [file.path], _EVENTS, where)
    for part, target in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.with_suffix(".partial")
        engine.write(load(f"day_{part}").sql, scratch)
        sync(scratch)
        scratch.replace(target)
        for older in target.parent.glob(f"{file.path.stem}.*parquet"):
            if older != target:
                older.unlink()


def microseconds(at: datetime) -> int:
    """Microseconds since 1970 in UTC, exactly."""
    delta = at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
