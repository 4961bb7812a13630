"""What a detector answers, as bytes between two processes: written by the one, trusted in nothing by the other.

A row has a fixed width, so that there is nothing to parse: a length that does not fit, a value out of range or a
member that does not exist is nonsense, and said to be.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from detection.detector import COLUMNS

ROW = np.dtype(
    [
        ("cluster", "<i8"),
        ("org", "<i4"),
        ("value", "<f8"),
        ("kind", "<i2"),
        ("has_key", "u1"),
        ("key", "V16"),
        ("has_happened_at", "u1"),
        ("happened_at", "<i8"),
        ("has_count", "u1"),
        ("count", "<i8"),
    ]
)
"""One row on the wire. `kind` is a place in the kinds that go before the rows, or -1."""
TYPES: dict[str, pa.DataType] = {
    "cluster": pa.int64(),
    "org": pa.int32(),
    "value": pa.float64(),
    "kind": pa.string(),
    "key": pa.binary(16),
    "happened_at": pa.int64(),
    "count": pa.int64(),
}
SLACK = 1e-9
"""Sums of doubles overshoot 1 by less than this."""
_PAIR = struct.Struct("<I")

Rows = npt.NDArray[Any]


class NonsenseError(Exception):
    """An answer that cannot be used; the message says what is wrong with it, in words for its author."""


def encode(table: pa.Table) -> bytes:
    """An answer as bytes. Raises NonsenseError when columns are missing, too many, or of other types."""
    columns = {name: _column(table, name) for name in _named(table)}
    rows = np.zeros(len(table), dtype=ROW)
    for name in ("cluster", "org"):
        if columns[name].null_count:
            raise NonsenseError(f"{name} is null in {columns[name].null_count:,} rows")
        rows[name] = columns[name].to_numpy()
    rows["value"] = columns["value"].to_numpy(zero_copy_only=False)
    rows["value"][_nulls(columns["value"])] = np.nan
    kinds = columns["kind"].dictionary_encode()
    rows["kind"] = kinds.indices.fill_null(-1).to_numpy()
    rows["has_key"] = ~_nulls(columns["key"])
    rows["key"] = _bytes(columns["key"])
    for name in ("happened_at", "count"):
        rows[f"has_{name}"] = ~_nulls(columns[name])
        rows[name] = columns[name].fill_null(0).to_numpy()
    judged = rows[~_nulls(columns["value"])]
    head = json.dumps(kinds.dictionary.to_pylist()).encode()
    return _PAIR.pack(len(head)) + head + judged.tobytes()


def decode(content: bytes, members: pa.Table, known: frozenset[str]) -> pa.Table:
    """The rows of an answer about `members` (cluster, org), in the order of their members, with `COLUMNS`.

    `known` are the kinds of identifiers that there are. Raises NonsenseError: other lengths, kinds that do not exist,
    values that are no numbers from 0 to 1, members that are not in the view or come twice.
    """
    kinds, rows = _split(content, known)
    places = _places(rows, members)
    _check_values(rows)
    rows = rows[np.argsort(places, kind="stable")]
    return pa.table(
        {
            "cluster": pa.array(rows["cluster"]),
            "org": pa.array(rows["org"]),
            "value": pa.array(np.clip(rows["value"], 0, 1)),
            "kind": _kinds(kinds, rows["kind"]),
            "key": _keys(rows),
            "happened_at": pa.array(rows["happened_at"], mask=rows["has_happened_at"] == 0),
            "count": pa.array(rows["count"], mask=rows["has_count"] == 0),
        }
    )


def _named(table: pa.Table) -> Sequence[str]:
    missing = [name for name in COLUMNS if name not in table.column_names]
    more = [name for name in table.column_names if name not in COLUMNS]
    twice = len(set(table.column_names)) != len(table.column_names)
    if missing or more or twice:
        said = [f"lacks {', '.join(missing)}"] if missing else []
        said += [f"has {', '.join(map(repr, more))} too many"] if more else []
        said += ["has a column twice"] if twice else []
        raise NonsenseError(f"the answer {' and '.join(said)}; its columns are {', '.join(COLUMNS)}")
    return COLUMNS


def _column(table: pa.Table, name: str) -> pa.Array:
    column = table[name].combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # no rows, no chunks
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    wanted = TYPES[name]
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), wanted)
    try:
        return column.cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        said = str(error).splitlines()[0]
        raise NonsenseError(f"{name} is {column.type}, {wanted} is wanted ({said})") from error


def _nulls(column: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(column.is_null().to_numpy(zero_copy_only=False), dtype=np.bool_)


def _bytes(column: pa.Array) -> Rows:
    """The sixteen bytes of each key, zeros where there is none."""
    whole = pa.concat_arrays([column])  # without an offset
    if len(whole) == 0 or whole.null_count == len(whole):
        return np.zeros(len(whole), dtype="V16")
    found = np.frombuffer(whole.buffers()[1], dtype="V16")[whole.offset : whole.offset + len(whole)].copy()
    found[_nulls(whole)] = np.zeros(1, dtype="V16")[0]
    return found


def _split(content: bytes, known: frozenset[str]) -> tuple[list[str], Rows]:
    try:
        (length,) = _PAIR.unpack_from(content)
        kinds = json.loads(content[_PAIR.size : _PAIR.size + length])
        rows = np.frombuffer(content, dtype=ROW, offset=_PAIR.size + length)
    except (struct.error, ValueError, RecursionError) as error:
        raise NonsenseError("the answer is no table of rows") from error
    if not isinstance(kinds, list) or not all(isinstance(kind, str) for kind in kinds):
        raise NonsenseError("the answer is no table of rows")
    unknown = sorted(set(kinds) - known)
    if unknown:
        raise NonsenseError(f"kind {unknown[0][:40]!r} is none of {', '.join(sorted(known))}")
    if np.any(rows["kind"] >= len(kinds)):
        raise NonsenseError("the answer is no table of rows")
    return kinds, rows


def _places(rows: Rows, members: pa.Table) -> npt.NDArray[np.int64]:
    """Where each row's member stands in the view."""
    known = _pairs(members["cluster"].to_numpy(), members["org"].to_numpy())
    order = np.argsort(known)
    asked = _pairs(rows["cluster"], rows["org"])
    places = np.searchsorted(known[order], asked)
    found = np.zeros(len(asked), dtype=np.bool_)
    inside = places < len(known)
    found[inside] = known[order][places[inside]] == asked[inside]
    if not found.all():
        row = rows[np.argmin(found)]
        raise NonsenseError(
            f"organization {row['org']} is no member of group {row['cluster']} (one of {np.sum(~found):,} rows)"
        )
    if len(np.unique(asked)) != len(asked):
        raise NonsenseError(f"{len(asked) - len(np.unique(asked)):,} members come twice: one row a member")
    return np.asarray(order[places], dtype=np.int64)


def _pairs(clusters: Rows, orgs: Rows) -> npt.NDArray[np.int64]:
    """One number a pair; groups and organizations that nobody has are -1."""
    exists = (clusters >= 0) & (clusters < 1 << 31) & (orgs >= 0)
    return np.where(exists, (np.where(exists, clusters, 0) << 32) | orgs, -1)


def _check_values(rows: Rows) -> None:
    values = rows["value"]
    if not np.isfinite(values).all():
        raise NonsenseError(f"value is no finite number in {np.sum(~np.isfinite(values)):,} rows")
    outside = (values < -SLACK) | (values > 1 + SLACK)
    if outside.any():
        raise NonsenseError(
            f"value is outside 0 to 1 in {outside.sum():,} rows, such as {values[np.argmax(outside)]:g}"
        )
    if np.any(rows["count"][rows["has_count"] != 0] < 0):
        raise NonsenseError("count is below zero")
    if np.any((rows["has_key"] != 0) & (rows["kind"] < 0)):
        raise NonsenseError("key is given without its kind")


def _kinds(kinds: list[str], places: Rows) -> pa.Array:
    return pa.array([None, *kinds], pa.string()).take(pa.array(np.maximum(places, -1).astype(np.int64) + 1))


def _keys(rows: Rows) -> pa.Array:
    packed = np.ascontiguousarray(rows["key"])
    mask = pa.py_buffer(np.packbits(rows["has_key"] != 0, bitorder="little"))
    storage = pa.Array.from_buffers(pa.binary(16), len(rows), [mask, pa.py_buffer(packed)])
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)
