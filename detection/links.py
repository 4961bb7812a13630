"""Facts to links: partial aggregates of files of events, made once and added up by every run.

A day that is added to thirty costs that day: files are immutable, and what was aggregated stays aggregated. Small files
are aggregated in bundles, as each aggregation costs some time whatever its size.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from detection.engines.duckdb import Engine
from graph.durable import sync
from graph.facts import EventFile
from graph.home import Home
from queries import load

Progress = Callable[[str, int, int | None], None]

AGGREGATES = (
    "links",
    "activity",
    "referrals",
    "decisions",
    "sources",
    "repeats",
    "addresses",
    "clients",
    "hours",
    "keys",
    "proofs",
)
"""What is kept of the events: each is the stage `day_NAME` of queries/sql, and the run reads it as `NAME_parts`."""
FOLDER = "aggregates"
BUNDLE_ROWS = 250_000
_LISTING = "files.json"
EVENT_COLUMNS = (
    "*, epoch_us(occurred_at) AS happened_at, epoch_us(ingested_at) AS arrived_at,"
    " epoch_us(occurred_at) // 43200000000 AS half_day, epoch_us(occurred_at) // 86400000000 AS day_number"
)
"""What the stages `day_NAME` read as `events`: the facts, with times as whole numbers (µs, half days, days)."""


@dataclass(frozen=True)
class Parts:
    """Files of partial aggregates, by the names of `AGGREGATES`."""

    files: dict[str, list[Path]]
    made: int
    """How many files of events had to be aggregated now."""


@dataclass(frozen=True)
class _Bundle:
    """A folder with one file a part: the aggregates of these files of events, named from the facts on."""

    folder: Path
    files: frozenset[str]


def aggregate(
    engine: Engine, home: Home, files: Sequence[EventFile], as_of: datetime, scratch: Path, progress: Progress
) -> Parts:
    """Aggregate the files of events that have not been yet; those that reach past `as_of` are cut, and not kept."""
    known = {_name(home, file): file for file in files if file.first <= as_of}
    whole = {name for name, file in known.items() if file.last <= as_of}
    kept = list(_kept(home))
    used = [bundle for bundle in kept if bundle.files <= whole]
    done = len(_covered(used))
    for names in _bundles({name: file.rows for name, file in known.items() if name not in _covered(used)}):
        progress("links", done, len(known))
        # A file of a bundle that cannot be used as it is has a kept aggregate already, in another company.
        lasting = whole.issuperset(names) and not _covered(kept).intersection(names)
        paths = [known[name].path for name in names]
        root = home.facts / FOLDER if lasting else scratch
        used.append(_aggregate(engine, root, names, paths, None if whole.issuperset(names) else as_of))
        done += len(names)
    progress("links", len(known), len(known))
    made = len(known) - len(_covered(bundle for bundle in used if bundle in kept))
    return Parts({name: [bundle.folder / f"{name}.parquet" for bundle in used] for name in AGGREGATES}, made)


def _name(home: Home, file: EventFile) -> str:
    return file.path.relative_to(home.facts).as_posix()


def _covered(bundles: Iterable[_Bundle]) -> frozenset[str]:
    return frozenset().union(*(bundle.files for bundle in bundles))


def _bundles(rows: dict[str, int]) -> Iterator[list[str]]:
    """Files in order, as many together as have few rows."""
    bundle: list[str] = []
    size = 0
    for name, count in rows.items():
        if bundle and size + count > BUNDLE_ROWS:
            yield bundle
            bundle, size = [], 0
        bundle.append(name)
        size += count
    if bundle:
        yield bundle


def _kept(home: Home) -> Iterator[_Bundle]:
    """The bundles of this version's SQL; those of others, and what a killed run left, are removed."""
    for folder in sorted((home.facts / FOLDER).glob("*")):
        try:
            listing = json.loads((folder / _LISTING).read_bytes())
        except (OSError, ValueError):
            listing = {}
        if listing.get("version") == _version():
            yield _Bundle(folder, frozenset(listing["files"]))
        else:
            shutil.rmtree(folder)


@cache
def _version() -> str:
    return hashlib.sha256("".join(load(f"day_{part}").sql for part in AGGREGATES).encode()).hexdigest()


def _aggregate(
    engine: Engine, root: Path, names: list[str], paths: list[Path], as_of: datetime | None
) -> _Bundle:
    where = "TRUE" if as_of is None else f"epoch_us(occurred_at) <= {microseconds(as_of)}"
    engine.read("events", paths, EVENT_COLUMNS, where)
    folder = root / secrets.token_hex(8)
    making = folder.with_name(f".{folder.name}")
    making.mkdir(parents=True)
    for part in AGGREGATES:
        engine.write(load(f"day_{part}").sql, making / f"{part}.parquet")
        sync(making / f"{part}.parquet")
    (making / _LISTING).write_text(json.dumps({"version": _version(), "files": names}), encoding="utf-8")
    sync(making / _LISTING)
    making.replace(folder)
    sync(root)
    return _Bundle(folder, frozenset(names))


def microseconds(at: datetime) -> int:
    """Microseconds since 1970 in UTC, exactly."""
    delta = at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
