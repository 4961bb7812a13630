"""Taking an organization's id and values out of files that are not facts: tables of runs, reports, lists.

Rows stay where they are, since tables refer to each other by place: an id becomes a name that leads nowhere, a value
a dash.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from graph.durable import sync

SHORTEST = 5
"""Shorter values are looked for as whole cells only: as a part of some text they would be anything."""
GONE = "—"
TEXTS = (".json", ".ndjson", ".csv", ".txt", ".md", ".svg", ".html")


@dataclass(frozen=True)
class Scrub:
    """What to take out: the id, replaced by `known_as`, and values that only this organization had."""

    org_id: str
    known_as: str
    texts: frozenset[str]

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        words = "|".join(re.escape(each) for each in sorted(self._looked_for, key=len, reverse=True))
        return re.compile(rf"(?<![A-Za-z0-9_])(?:{words or '(?!)'})(?![A-Za-z0-9_])")

    @cached_property
    def _looked_for(self) -> set[str]:
        """The long ones, as they are and as JSON writes them."""
        long = {each for each in {*self.texts, self.org_id} if len(each) >= SHORTEST}
        return long | {json.dumps(each)[1:-1] for each in long}

    def text(self, given: str) -> str:
        """A text without them."""
        if given == self.org_id:
            return self.known_as
        if given in self.texts:
            return GONE
        return self._pattern.sub(self._instead, given)

    def _instead(self, match: re.Match[str]) -> str:
        return self.known_as if match.group() == self.org_id else GONE

    def parquet(self, path: Path, *, drop: bool = False) -> bool:
        """Write a Parquet file anew where it holds any of it; whether it did. `drop`: without the rows about it."""
        with pq.ParquetFile(path) as file:
            if not any(_textual(entry.type) for entry in file.schema_arrow):
                return False
            groups = [file.read_row_group(at) for at in range(file.metadata.num_row_groups)]
        cleaned = [self._table(group, drop) for group in groups]
        if not any(changed for _, changed in cleaned):
            return False
        target = path.with_name(f".{path.name}.tmp")
        schema = cleaned[0][0].schema
        with pq.ParquetWriter(target, schema, compression="zstd") as writer:
            for table, _ in cleaned:
                writer.write_table(table.cast(schema), row_group_size=max(1, table.num_rows))
        _replace(target, path)
        return True

    def _table(self, table: pa.Table, drop: bool) -> tuple[pa.Table, bool]:
        changed = False
        if drop and "org_id" in table.column_names:
            kept = pc.fill_null(pc.not_equal(table["org_id"].cast(pa.string()), self.org_id), True)
            left = table.filter(kept)
            table, changed = left, left.num_rows < table.num_rows
        for at, entry in enumerate(table.schema):
            column = self._column(table.column(at), entry.type)
            if column is not None:
                table, changed = table.set_column(at, entry, column), True
        return table, changed

    def _column(self, column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | None:
        """The column without them; None where there is nothing to do."""
        if pa.types.is_dictionary(kind) and _plain(kind.value_type):
            column = column.cast(kind.value_type)
        if _plain(column.type):
            distinct = pc.unique(column).drop_null().to_pylist()
            other = {each: new for each in distinct if (new := self.text(each)) != each}
            if not other:
                return None
            found = pc.index_in(column, value_set=pa.array(list(other), column.type))
            fresh = pa.array(list(other.values()), column.type).take(found.combine_chunks())
            return pc.coalesce(fresh, column.combine_chunks()).cast(kind)
        if pa.types.is_nested(kind) and _textual(kind):
            rows = column.to_pylist()
            cleaned = [self._value(row) for row in rows]
            return None if cleaned == rows else pa.chunked_array([pa.array(cleaned, kind)])
        return None

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {name: self._value(one) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return [self._value(one) for one in value]
        return value

    def lines(self, path: Path) -> bool:
        """Write a text file anew where it holds any of it; whether it did. It is read line by line.

        Every line keeps its length: whoever follows the file knows it by how far they have read.
        """
        target = path.with_name(f".{path.name}.tmp")
        changed = False
        options: Any = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}
        with path.open(**options) as lines, target.open("w", **options) as out:
            for line in lines:
                new = self._pattern.sub(_as_long, line)
                changed |= new != line
                out.write(new)
        if not changed:
            target.unlink()
            return False
        _replace(target, path)
        return True


def files(folder: Path, apart: Iterable[Path]) -> Iterator[Path]:
    """The Parquet and text files below a folder, but for those below some others."""
    left = {path.resolve() for path in apart}
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if (Path(root) / name).resolve() not in left]
        for name in sorted(names):
            path = Path(root) / name
            if path.suffix in (".parquet", *TEXTS) and not path.is_symlink():
                yield path


def _as_long(match: re.Match[str]) -> str:
    return "-" * len(match.group().encode("utf-8", "surrogateescape"))


def _plain(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _textual(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _textual(kind.value_type)
    if pa.types.is_nested(kind):
        return any(_textual(kind.field(at).type) for at in range(kind.num_fields))
    return _plain(kind)


def _replace(target: Path, path: Path) -> None:
    target.chmod(path.stat().st_mode & 0o777)
    sync(target)
    target.replace(path)
    sync(path.parent)
