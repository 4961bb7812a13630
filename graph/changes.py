"""What makes one run's graph out of another's: their tables compared by column, never row by row.

Rows are matched by 64-bit numbers made of their keys, and the keys of matched rows are compared: a coincidence,
which digests of that size do not meet in practice, makes the changes unknown and never wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graph.keys import U64, Index, Keys, storage_of
from graph.schema import KEY_BYTES

Mask = npt.NDArray[np.bool_]

_WIDE = 8
_ODD = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B19E3779F9))


class UnknownError(Exception):
    """Two tables cannot be compared: rows that differ have the same number."""


@dataclass(frozen=True)
class Difference:
    """Rows to put, in the order of the newer table, and the keys or ends of rows that are there no more."""

    put: pa.Table
    gone: pa.Table

    @property
    def rows(self) -> int:
        """How many rows that are."""
        return int(self.put.num_rows + self.gone.num_rows)


@dataclass(frozen=True)
class Matched:
    """Places of rows: of both tables where they match, and of each alone."""

    old: Index
    new: Index
    gone: Index
    fresh: Index


class Changes:
    """GraphChanges held in memory."""

    def __init__(
        self, run_id: str, nodes: Mapping[str, Difference], relationships: Mapping[str, Difference]
    ) -> None:
        self._run_id = run_id
        self._nodes = nodes
        self._relationships = relationships

    @property
    def run_id(self) -> str:
        """See `GraphChanges.run_id`."""
        return self._run_id

    def nodes(self, label: str) -> Iterator[pa.RecordBatch]:
        """See `GraphChanges.nodes`."""
        return _batches(self._nodes, label)

    def gone_nodes(self, label: str) -> Iterator[pa.Array]:
        """See `GraphChanges.gone_nodes`."""
        if label in self._nodes:
            yield from self._nodes[label].gone.column(0).chunks

    def relationships(self, name: str) -> Iterator[pa.RecordBatch]:
        """See `GraphChanges.relationships`."""
        return _batches(self._relationships, name)

    def gone_relationships(self, name: str) -> Iterator[pa.RecordBatch]:
        """See `GraphChanges.gone_relationships`."""
        if name in self._relationships:
            yield from self._relationships[name].gone.to_batches()


def _batches(differences: Mapping[str, Difference], name: str) -> Iterator[pa.RecordBatch]:
    if name in differences:
        yield from differences[name].put.to_batches()


def compare(old: pa.Table, new: pa.Table, key: list[str], given: Collection[str] = ()) -> Difference:
    """Rows of two runs that the columns of `key` name; those of `given` follow from the key.

    Raises UnknownError where rows cannot be told apart.
    """
    rows = match(old, new, key)
    changed = differing(old, new, rows, [name for name in new.column_names if name not in {*key, *given}])
    put = np.sort(np.concatenate([rows.fresh, rows.new[changed]]))
    return Difference(new.take(pa.array(put)), old.select(key).take(pa.array(rows.gone)))


def match(old: pa.Table, new: pa.Table, key: list[str]) -> Matched:
    """Match the rows of two tables. Raises UnknownError where they cannot be told apart."""
    before, after = numbers(old, new, key)
    rows = _match(before, after)
    if differing(old, new, rows, key).any():
        raise UnknownError
    return rows


def numbers(old: pa.Table, new: pa.Table, columns: list[str]) -> tuple[U64, U64]:
    """A number for each row of two tables that depends on these columns only."""
    before, after = (np.zeros(table.num_rows, dtype=np.uint64) for table in (old, new))
    for odd, name in zip(_ODD, columns, strict=False):
        first = _codes(old[name], new[name])[0]
        before += first[0] * odd
        after += first[1] * odd
    return before, after


def _match(old: U64, new: U64) -> Matched:
    old_order, new_order = np.argsort(old), np.argsort(new)
    old, new = old[old_order], new[new_order]
    if (old[1:] == old[:-1]).any() or (new[1:] == new[:-1]).any():
        raise UnknownError
    place = np.searchsorted(old, new)
    same = place < len(old)
    same[same] = old[place[same]] == new[same]
    partner = np.full(
        len(new), -1, dtype=np.intp
    )  # in the order of the files, which is much the same in both
    partner[new_order[same]] = old_order[place[same]]
    left = np.ones(len(old), dtype=np.bool_)
    matched = np.flatnonzero(partner >= 0)
    left[partner[matched]] = False
    return Matched(partner[matched], matched, np.flatnonzero(left), np.flatnonzero(partner < 0))


def differing(old: pa.Table, new: pa.Table, rows: Matched, columns: list[str]) -> Mask:
    """Which matched rows differ in any of the columns; nulls are equal to each other."""
    found = np.zeros(len(rows.old), dtype=np.bool_)
    for name in columns:
        for before, after in _codes(old[name], new[name]):
            found |= before[rows.old] != after[rows.new]
    return found


def _codes(old: pa.ChunkedArray, new: pa.ChunkedArray) -> list[tuple[U64, U64]]:
    """Pairs of numbers by row for two columns: values are equal where all their numbers are."""
    if pa.types.is_string(old.type) or pa.types.is_dictionary(old.type):
        return [_text_codes(old, new)]
    sides = [_fixed_codes(column) for column in (old, new)]
    if len(sides[0]) != len(sides[1]):  # only one has nulls
        nulls = [pc.is_null(column).to_numpy().astype(np.uint64) for column in (old, new)]
        sides = [[*side[: min(map(len, sides))], null] for side, null in zip(sides, nulls, strict=True)]
    return list(zip(*sides, strict=True))


def _text_codes(old: pa.ChunkedArray, new: pa.ChunkedArray) -> tuple[U64, U64]:
    encoded = [
        chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()
        for column in (old, new)
        for chunk in column.chunks
    ]
    unified = pa.chunked_array(encoded, pa.dictionary(pa.int32(), pa.string())).unify_dictionaries()
    parts = [chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False) for chunk in unified.chunks]
    codes = np.concatenate([np.empty(0, dtype=np.int32), *parts]).astype(np.uint64)
    return codes[: len(old)], codes[len(old) :]


def _fixed_codes(column: pa.ChunkedArray) -> list[U64]:
    whole = storage_of(column)
    nulls = [pc.is_null(whole).to_numpy(zero_copy_only=False).astype(np.uint64)] if whole.null_count else []
    if pa.types.is_fixed_size_binary(whole.type):
        keys = Keys.of(whole.fill_null(bytes(KEY_BYTES)) if nulls else whole)
        return [keys.high, keys.low, *nulls]
    if pa.types.is_boolean(whole.type):
        whole = whole.cast(pa.uint8())
    if pa.types.is_timestamp(whole.type):
        whole = whole.cast(pa.int64())
    values = (whole.fill_null(0) if nulls else whole).to_numpy(zero_copy_only=False)
    return [values.view(np.uint64) if values.itemsize == _WIDE else values.astype(np.uint64), *nulls]
