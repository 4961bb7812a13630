"""Named queries, and a person's own Cypher, answered by whichever store holds the graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

import pyarrow as pa

from graph.errors import RingfenceError
from graph.store import GraphStore, Rows, Value
from queries import named
from queries.named import LIMIT, NamedQuery, QueryError, ValueType

TIMEOUT_S = 30.0
"""Seconds after which a query is given up."""

CYPHER = "cypher"

_ARROW: Mapping[ValueType, pa.DataType] = {
    ValueType.TEXT: pa.string(),
    ValueType.INTEGER: pa.int64(),
    ValueType.NUMBER: pa.float64(),
    ValueType.BOOLEAN: pa.bool_(),
    ValueType.TIMESTAMP: pa.timestamp("us", tz="UTC"),
}


def describe(name: str) -> NamedQuery:
    """A named query. Raises RingfenceError (exit 2) for an unknown one; it suggests the nearest."""
    with _misused():
        return named.load(name)


def bind(name: str, parameters: Mapping[str, object]) -> dict[str, Value]:
    """The values of all parameters of a named query. Raises RingfenceError (exit 2) for an unfit one."""
    with _misused():
        return named.load(name).bind(parameters)


def run_named(
    store: GraphStore, name: str, parameters: Mapping[str, object], *, timeout_s: float = TIMEOUT_S
) -> Rows:
    """The answer to a named query in the store's language, with at most as many rows as its limit says.

    Parameters are values, or text that is read as what they are. Raises RingfenceError: exit 2 for an unknown
    query, an unknown, missing or unfit parameter, and a query that the store's language has not; otherwise as
    `GraphStore.query`.
    """
    with _misused():
        query = named.load(name)
        values = query.bind(parameters)
        text = query.text(store.language)
    limit = values[LIMIT]
    if not isinstance(limit, int):
        raise TypeError(f"{name} has no limit")
    found = store.query(text, {**values, LIMIT: limit + 1}, limit=limit, timeout_s=timeout_s)
    truths = [column.type is ValueType.BOOLEAN for column in query.columns]
    return replace(found, rows=tuple(_with_booleans(row, truths) for row in found.rows))


def _with_booleans(row: tuple[Value, ...], truths: list[bool]) -> tuple[Value, ...]:
    """A row as the header says: what SQLite computes is a number even where it is true or false."""
    if not any(truths):
        return row
    return tuple(
        bool(value) if truth and value is not None else value
        for value, truth in zip(row, truths, strict=True)
    )


def run_cypher(
    store: GraphStore,
    text: str,
    parameters: Mapping[str, Value],
    *,
    limit: int = 1_000,
    timeout_s: float = TIMEOUT_S,
) -> Rows:
    """The answer to a person's own Cypher, read only. Raises RingfenceError (exit 2) where the store has none."""
    if store.language != CYPHER:
        raise RingfenceError(
            "this store does not understand Cypher",
            "Ask a Neo4j store: --store neo4j. The named queries run on every store: ringfence query list",
            exit_code=2,
        )
    return store.query(text, parameters, limit=limit, timeout_s=timeout_s)


def arrow_table(found: Rows, query: NamedQuery | None = None) -> pa.Table:
    """The rows by column: of the types that the query's header says, else of those that the values have."""
    columns = list(zip(*found.rows, strict=True)) if found.rows else [()] * len(found.columns)
    if query is None:
        arrays = [_inferred(values) for values in columns]
    else:
        types = [_ARROW[column.type] for column in query.columns]
        arrays = [pa.array(values, kind) for values, kind in zip(columns, types, strict=True)]
    return pa.table(arrays, names=list(found.columns))


def _inferred(values: Sequence[Value]) -> pa.Array:
    """A column of a person's own query; text where its values have no type in common."""
    if any(isinstance(value, datetime) for value in values):
        kind = pa.timestamp("us", tz="UTC")
    else:
        kind = pa.string() if any(isinstance(value, str) for value in values) else None
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, TypeError):
        return pa.array([None if value is None else str(value) for value in values], pa.string())


@contextmanager
def _misused() -> Iterator[None]:
    try:
        yield
    except QueryError as error:
        raise RingfenceError(error.message, error.hint, exit_code=2) from error
