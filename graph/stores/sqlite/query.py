"""A person's own SQL over the graph: one statement that reads, for so long, with so many rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from graph.errors import RingfenceError
from graph.store import Rows, Value
from graph.stores.sqlite.schema import to_stored

STEPS = 10_000
"""SQLite instructions, a fraction of a millisecond's, between two looks at the clock."""

LONGEST = 10_000_000
"""Bytes of the longest value and of the longest statement."""

_READS = frozenset({20, 21, 31, 33})  # SQLITE_READ, SELECT, FUNCTION, RECURSIVE
_ALLOW, _DENY = 0, 1
_LIMIT_LENGTH = 0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENTS = timedelta(days=365 * 2_000) // timedelta(microseconds=1)


class Querying(Protocol):
    """As much of a driver's connection as a guarded query needs."""

    def cursor(self) -> Any:
        """A cursor whose `exec_trace` is called before each statement."""

    def set_authorizer(self, asked: Callable[..., int] | None, /) -> None:
        """Ask about everything that a statement would do."""

    def set_progress_handler(self, stop: Callable[[], bool] | None, steps: int, /) -> None:
        """Ask now and then whether to stop."""

    def limit(self, what: int, most: int, /) -> int:
        """Bound what a statement may use."""


def query(
    connection: Querying, text: str, parameters: Mapping[str, Value], limit: int, timeout_s: float
) -> Rows:
    """See `GraphStore.query`. The connection is for this alone; the driver's errors go through."""
    described: list[tuple[str, str | None]] = []

    def begin(cursor: Any, *_: Any) -> bool:
        columns = cursor.get_description()  # none: a comment
        if columns and described:
            raise RingfenceError(
                "there is more than one statement", "Ask with one SELECT at a time.", exit_code=2
            )
        described.extend((name, declared) for name, declared in columns)
        return True

    end = time.monotonic() + timeout_s
    connection.limit(_LIMIT_LENGTH, LONGEST)
    connection.set_authorizer(lambda action, *_: _ALLOW if action in _READS else _DENY)
    connection.set_progress_handler(lambda: time.monotonic() > end, STEPS)
    cursor = connection.cursor()
    cursor.exec_trace = begin
    rows: list[tuple[Any, ...]] = []
    for row in cursor.execute(text, {name: _bound(value) for name, value in parameters.items()}):
        if len(rows) > limit:
            break
        rows.append(row)
    if not described:
        raise RingfenceError("there is no statement to run", "Write a SELECT.", exit_code=2)
    readers = [_reader(name, declared) for name, declared in described]
    shown = tuple(
        tuple(read(value) for read, value in zip(readers, row, strict=True)) for row in rows[:limit]
    )
    return Rows(tuple(name for name, _ in described), shown, cut=len(rows) > limit)


def _bound(value: Value) -> Any:
    stored = to_stored(value)
    return int(stored) if isinstance(stored, bool) else stored


def _reader(name: str, declared: str | None) -> Callable[[Any], Value]:
    """How to show a column: by its declared type or, where it is computed, by its name."""
    kind = (declared or "").split(" ")[0]
    if kind == "BOOLEAN":
        return lambda value: bool(value) if isinstance(value, int) else _plain(value)
    if kind == "TIMESTAMP" or (declared is None and name.endswith("_at")):
        return _moment
    return _plain


def _moment(value: Any) -> Value:
    if isinstance(value, int) and abs(value) < _MOMENTS:
        return _EPOCH + timedelta(microseconds=value)
    return _plain(value)


def _plain(value: Any) -> Value:
    plain: Value = value.hex() if isinstance(value, bytes) else value
    return plain
