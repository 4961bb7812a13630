"""Commits: the files that say which facts exist. What no commit names does not exist."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import orjson

from graph.errors import RingfenceError
from graph.home import Home


@dataclass(frozen=True)
class InputEntry:
    """What one commit took from one input: rows = stored + duplicates + quarantined + erased."""

    path: str
    source: str
    rows: int
    stored: int
    duplicates: int
    quarantined: int
    erased: int = 0
    """Rows about erased organizations: they were left out."""


@dataclass(frozen=True)
class EventFile:
    """A file of canonical events of one UTC day, with the span of their `occurred_at`."""

    path: Path
    day: date
    rows: int
    first: datetime
    last: datetime


@dataclass(frozen=True)
class Commit:
    """One commit; paths are absolute.

    The `replaced` ones are files of earlier commits that this one makes void: runs of the duplicate index
    that were merged, and quarantine files that were retried. `quarantine` is the file of refused rows and how
    many of its bytes are committed: bytes after them are leftovers of a killed ingest.
    """

    ingest: str
    sequence: int
    committed_at: datetime
    inputs: tuple[InputEntry, ...]
    events: tuple[EventFile, ...]
    values: tuple[Path, ...]
    ids: tuple[Path, ...]
    replaced_ids: tuple[Path, ...] = ()
    replaced_quarantine: tuple[Path, ...] = ()
    quarantine: tuple[Path, int] | None = None
    latest_occurred_at: datetime | None = None


@dataclass
class Draft:
    """What a commit is going to say; paths are relative to the facts, those of quarantine files to the home."""

    ingest: str
    sequence: int
    committed_at: datetime
    inputs: list[InputEntry]
    events: list[tuple[str, date, int, datetime, datetime]] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    replaced_ids: list[str] = field(default_factory=list)
    replaced_quarantine: list[str] = field(default_factory=list)
    quarantine: tuple[str, int] | None = None


def commit_name(sequence: int, ingest: str) -> str:
    """File name of a commit: they sort by sequence."""
    return f"{sequence:020d}-{ingest}.json"


def sequence_of(path: Path) -> int:
    """The sequence of a commit's file."""
    return int(path.name.partition("-")[0])


def encode(draft: Draft) -> bytes:
    """The commit as the JSON that is stored."""
    latest = max((last for *_, last in draft.events), default=None)
    entry: dict[str, Any] = {
        "ingest": draft.ingest,
        "sequence": draft.sequence,
        "committed_at": draft.committed_at.isoformat(),
        "inputs": [vars(one) for one in draft.inputs],
        "files": {
            "events": [
                {
                    "path": path,
                    "day": day.isoformat(),
                    "rows": rows,
                    "min": first.isoformat(),
                    "max": last.isoformat(),
                }
                for path, day, rows, first, last in draft.events
            ],
            "values": draft.values,
            "ids": draft.ids,
        },
        "replaced": {"ids": draft.replaced_ids, "quarantine": draft.replaced_quarantine},
        "quarantine": None
        if draft.quarantine is None
        else {"path": draft.quarantine[0], "bytes": draft.quarantine[1]},
        "latest_occurred_at": None if latest is None else latest.isoformat(),
    }
    return orjson.dumps(entry, option=orjson.OPT_INDENT_2)


def read_commit(path: Path, home: Home) -> Commit:
    """Read one commit file. Raises RingfenceError when it is damaged."""
    try:
        return _decode(orjson.loads(path.read_bytes()), home)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RingfenceError(
            f"the commit file {path} cannot be read: {error}",
            "Restore it from a backup: without it, the facts that it names cannot be told from leftovers.",
        ) from error


def _decode(entry: dict[str, Any], home: Home) -> Commit:
    latest = entry["latest_occurred_at"]
    quarantine = entry["quarantine"]
    return Commit(
        ingest=entry["ingest"],
        sequence=entry["sequence"],
        committed_at=datetime.fromisoformat(entry["committed_at"]),
        inputs=tuple(InputEntry(**one) for one in entry["inputs"]),
        events=tuple(
            EventFile(
                path=home.facts / one["path"],
                day=date.fromisoformat(one["day"]),
                rows=one["rows"],
                first=datetime.fromisoformat(one["min"]),
                last=datetime.fromisoformat(one["max"]),
            )
            for one in entry["files"]["events"]
        ),
        values=tuple(home.facts / one for one in entry["files"]["values"]),
        ids=tuple(home.facts / one for one in entry["files"]["ids"]),
        replaced_ids=tuple(home.facts / one for one in entry["replaced"]["ids"]),
        replaced_quarantine=tuple(home.path / one for one in entry["replaced"]["quarantine"]),
        quarantine=None if quarantine is None else (home.path / quarantine["path"], quarantine["bytes"]),
        latest_occurred_at=None if latest is None else datetime.fromisoformat(latest),
    )
