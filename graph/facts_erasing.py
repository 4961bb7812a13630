"""Taking one organization out of the facts: its events, what only it brought, and every mention of it.

Files of facts are never changed. Those that hold something of it are written anew beside the old ones, each commit
is switched to the new files in one step, and then the old ones are removed: killed in between, an erasure leaves
facts that are whole, and is finished by asking again.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from graph.durable import sync, write_atomically
from graph.facts_schema import EVENTS, KEY_COLUMNS, VALUES
from graph.home import Home
from graph.keys import storage_of
from graph.schema import KEY_BYTES

Progress = Callable[[str, int, int | None], None]
MENTIONS = ("other_organization", "referrer_organization")
"""Columns in which an event of one organization names another."""
AGGREGATES = "aggregates"
_BINARY = pa.binary(KEY_BYTES)
_KEYS = tuple(KEY_COLUMNS)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Erased:
    """What was taken out. `texts` are the values, in every spelling, that nobody else has: they stand nowhere now."""

    events: int = 0
    mentions: int = 0
    values: int = 0
    quarantined: int = 0
    texts: set[str] = field(default_factory=set)


def erase_from_facts(
    home: Home, key: bytes, tell: Progress, before: Callable[[frozenset[str]], None] | None = None
) -> Erased:
    """Take the organization with this key out of events and values. Hold the home against ingests meanwhile.

    A value that others use as well stays, theirs from then on, and in its canonical spelling. `before` is told the
    values that nobody else has while the facts still know them: what fails there can be tried again.
    """
    eraser = _Eraser(home, key)
    commits = sorted((home.facts / "commits").glob("*.json"))
    for done, path in enumerate(commits):
        tell("Reading events", done, len(commits))
        eraser.look(_Commit.read(path))
    eraser.look_for_others(tell)
    if before is not None:
        before(frozenset(eraser.found.texts))
    for done, path in enumerate(commits):
        tell("Writing facts without it", done, len(commits))
        eraser.rewrite(_Commit.read(path))
    _forget_aggregates(home, eraser.gone)
    return eraser.found


@dataclass
class _Commit:
    """A commit's file, as it is stored."""

    path: Path
    entry: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> _Commit:
        return cls(path, orjson.loads(path.read_bytes()))

    @property
    def events(self) -> list[dict[str, Any]]:
        return list(self.entry["files"]["events"])

    @property
    def values(self) -> list[str]:
        return list(self.entry["files"]["values"])


class _Eraser:
    """One erasure: first a look at everything, then new files."""

    def __init__(self, home: Home, key: bytes) -> None:
        self._facts = home.facts
        self._key = pa.scalar(key, _BINARY)
        self.found = Erased()
        self._token = secrets.token_hex(6)
        self._number = 0
        self._touched: set[str] = set()
        self._files: list[str] = []
        self._value_files: list[str] = []
        self._own: dict[bytes, bytes | None] = {}
        """Keys of values that lie with the organization; who else uses them, once that is known."""
        self._elsewhere: set[bytes] = set()
        self._spellings: dict[bytes, set[str]] = {}
        self.gone: set[str] = set()

    def look(self, commit: _Commit) -> None:
        """Note which files of events name the organization, and which values lie with it."""
        for one in commit.events:
            self._files.append(one["path"])
            columns = ("organization", *MENTIONS)
            if any(self._any(batch, columns) for batch in _batches(self._facts / one["path"], columns)):
                self._touched.add(one["path"])
        for name in commit.values:
            self._value_files.append(name)
            for batch in _batches(self._facts / name, None):
                mine = pc.or_(self._is(batch, "organization"), self._is(batch, "key"))
                for row in _plain(pa.Table.from_batches([batch.filter(mine)])):
                    self._touched.add(name)
                    self._own.setdefault(row["key"])
                    self._spellings.setdefault(row["key"], set()).update(
                        text for text in (row["raw"], row["canonical"], row["display"]) if text is not None
                    )

    def _also_elsewhere(self, name: str, wanted: pa.Array) -> None:
        """Note which of its values another one brought as well."""
        for batch in _batches(self._facts / name, ("key", "organization")):
            others = pc.invert(self._is(batch, "organization"))
            keys = storage_of(batch["key"])
            hit = pc.and_(others, pc.fill_null(pc.is_in(keys, value_set=wanted), False))
            self._elsewhere.update(keys.filter(hit).to_pylist())

    def look_for_others(self, tell: Progress) -> None:
        """Find whoever else uses the values that only the organization brought."""
        self._own.pop(self._key.as_py(), None)  # its own id is nobody else's, whoever names it
        own = pa.array(sorted(self._own), _BINARY)
        for name in self._value_files:
            self._also_elsewhere(name, own)
        wanted = pa.array(sorted(key for key in self._own if key not in self._elsewhere), _BINARY)
        for done, name in enumerate(self._files if len(wanted) else ()):
            tell("Looking for others with the same values", done, len(self._files))
            for batch in _batches(self._facts / name, _KEYS):
                self._note_others(batch, wanted)
        for key, texts in self._spellings.items():
            if key not in self._elsewhere and self._own.get(key) is None:
                self.found.texts.update(texts)

    def _note_others(self, batch: pa.RecordBatch, wanted: pa.Array) -> None:
        organization = storage_of(batch["organization"])
        others = pc.invert(self._is(batch, "organization"))
        for column in _KEYS[1:]:
            keys = storage_of(batch[column])
            hit = pc.and_(others, pc.fill_null(pc.is_in(keys, value_set=wanted), False))
            if pc.any(hit).as_py():
                pairs = zip(keys.filter(hit).to_pylist(), organization.filter(hit).to_pylist(), strict=True)
                for key, owner in pairs:
                    self._own[key] = self._own[key] or owner

    def rewrite(self, commit: _Commit) -> None:
        """Give a commit new files without the organization, and remove the old ones."""
        old = [one["path"] for one in commit.events if one["path"] in self._touched]
        old += [name for name in commit.values if name in self._touched]
        if not old:
            return
        events = [new for one in commit.events for new in self._without(one)]
        values = [new for name in commit.values for new in self._values_without(name)]
        commit.entry["files"].update(events=events, values=values)
        commit.entry["latest_occurred_at"] = max((one["max"] for one in events), default=None)
        write_atomically(commit.path, orjson.dumps(commit.entry, option=orjson.OPT_INDENT_2))
        for name in old:
            (self._facts / name).unlink(missing_ok=True)
        self.gone.update(old)

    def _without(self, one: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The entry of a file of events without it; none where nothing is left."""
        if one["path"] not in self._touched:
            yield one
            return
        target = self._new(one["path"])
        rows, first, last = 0, None, None
        with _events_writer(target) as writer:
            for batch in _batches(self._facts / one["path"], None):
                left = self._events_left(batch)
                if not left.num_rows:
                    continue
                span = pc.min_max(left["occurred_at"].cast(pa.int64())).as_py()
                first = span["min"] if first is None else min(first, span["min"])
                last = span["max"] if last is None else max(last, span["max"])
                rows += left.num_rows
                writer.write_table(left.unify_dictionaries(), row_group_size=left.num_rows)
        if first is None or last is None:
            target.unlink()
            return
        self._settle(target)
        spans = {"min": _moment(first), "max": _moment(last)}
        yield {**one, "path": self._name(target), "rows": rows, **spans}

    def _events_left(self, batch: pa.RecordBatch) -> pa.Table:
        mine = self._is(batch, "organization")
        self.found.events += pc.sum(mine).as_py() or 0
        left = pa.Table.from_batches([batch.filter(pc.invert(mine))])
        for column in MENTIONS:
            named = self._is(left, column)
            count = pc.sum(named).as_py() or 0
            if count:
                self.found.mentions += count
                storage = pc.if_else(named, None, storage_of(left[column]))
                kept = pa.ExtensionArray.from_storage(pa.uuid(), storage)
                left = left.set_column(left.schema.get_field_index(column), column, kept)
        return left.cast(EVENTS)

    def _values_without(self, name: str) -> Iterator[str]:
        if name not in self._touched:
            yield name
            return
        target, rows = self._new(name), 0
        with _values_writer(target) as writer:
            for batch in _batches(self._facts / name, None):
                left = self._values_left(batch)
                rows += left.num_rows
                if left.num_rows:
                    writer.write_table(left)
        if not rows:
            target.unlink()
            return
        self._settle(target)
        yield self._name(target)

    def _values_left(self, batch: pa.RecordBatch) -> pa.Table:
        """The values of others, and of those that lay with the organization the ones that others use, too."""
        mine = pc.or_(self._is(batch, "organization"), self._is(batch, "key"))
        kept = [pa.Table.from_batches([batch.filter(pc.invert(mine))])]
        for row in _plain(pa.Table.from_batches([batch.filter(mine)])):
            key = row["key"]
            owner = self._own.get(key)
            if owner is not None:
                self._own[key] = None  # one row is enough
                self._elsewhere.add(key)
                kept.append(_handed_over(row, owner))
                continue
            self.found.values += 1
        return pa.concat_tables([one.cast(VALUES) for one in kept]).unify_dictionaries()

    def _any(self, batch: pa.RecordBatch, columns: tuple[str, ...]) -> bool:
        return any(pc.any(self._is(batch, name)).as_py() for name in columns)

    def _is(self, batch: pa.RecordBatch | pa.Table, column: str) -> pa.Array:
        return pc.fill_null(pc.equal(storage_of(batch[column]), self._key), False)

    def _new(self, name: str) -> Path:
        self._number += 1
        return (self._facts / name).with_name(f"{self._token}-{self._number}.parquet")

    def _name(self, target: Path) -> str:
        return target.relative_to(self._facts).as_posix()

    def _settle(self, target: Path) -> None:
        sync(target)
        sync(target.parent)


def _events_writer(target: Path) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        target, EVENTS, compression="zstd", compression_level=1, write_statistics=["occurred_at"]
    )


def _values_writer(target: Path) -> pq.ParquetWriter:
    return pq.ParquetWriter(target, VALUES, compression="zstd", compression_level=1, write_statistics=False)


def _batches(path: Path, columns: tuple[str, ...] | None) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        for group in range(file.metadata.num_row_groups):
            table = file.read_row_group(group, columns=None if columns is None else list(columns))
            yield from table.combine_chunks().to_batches()


def _plain(table: pa.Table) -> Iterator[dict[str, Any]]:
    """Rows with keys as bytes."""
    keys = storage_of(table["key"]).to_pylist()
    rest = table.drop_columns(["key", "organization"]).to_pylist()
    for key, row in zip(keys, rest, strict=True):
        yield {**row, "key": key}


def _handed_over(row: dict[str, Any], owner: bytes) -> pa.Table:
    """A value as another one's: in the canonical spelling, since how the organization wrote it is its own."""
    text = row["canonical"]
    display = row["display"] if text is None else text
    columns = {
        "kind": pa.array([row["kind"]]).dictionary_encode(),
        "key": _uuid(row["key"]),
        "organization": _uuid(owner),
        "raw": pa.array([text], pa.string()),
        "canonical": pa.array([text], pa.string()),
        "display": pa.array([display], pa.string()),
        "hidden": pa.array([False]),
    }
    return pa.table(columns, VALUES)


def _uuid(key: bytes) -> pa.Array:
    return pa.ExtensionArray.from_storage(pa.uuid(), pa.array([key], _BINARY))


def _moment(microseconds: int) -> str:
    return (_EPOCH + timedelta(microseconds=microseconds)).isoformat()


def _forget_aggregates(home: Home, gone: set[str]) -> None:
    """Remove what was summed up over files that are no more: the next run sums up the new ones."""
    for listing in (home.facts / AGGREGATES).glob("*/files.json"):
        if gone.intersection(json.loads(listing.read_bytes())["files"]):
            shutil.rmtree(listing.parent)
