"""The graph's schema compiled to SQLite: one table a label, one a relationship type, integer ids inside.

Ids of a label's nodes ascend with their keys, so that ordering by id is ordering by key; `GAP` apart at first,
so that later ones find room between. Relationships are clustered by (target, source), with an index the other
way round. What actions set (`kept`) is in a file of its own, in one table a label that has any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pyarrow as pa

from graph.schema import NODES, RELATIONSHIPS, NodeType, Property, PropertyType, RelationshipType
from graph.store import ClusterOrder, Value

APPLICATION_ID = 0x52464752
KEPT_APPLICATION_ID = 0x5246474B
KEPT_VERSION = 1
INDEXED_CHARACTERS = 256
GAP = 1024
"""Distance of the ids of neighbours when a graph is published anew."""

FILTERED = '"cluster_id", "risk", "size", "pattern"'
"""Columns that clusters are filtered by: every index of an order holds them, so that it answers alone."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SQL: Mapping[PropertyType, str] = {
    PropertyType.KEY: "BLOB",
    PropertyType.TEXT: "TEXT",
    PropertyType.INTEGER: "INTEGER",
    PropertyType.REAL: "REAL",
    PropertyType.BOOLEAN: "BOOLEAN INTEGER",  # what stands before INTEGER tells a query's reader the type
    PropertyType.TIMESTAMP: "TIMESTAMP INTEGER",
}


class Connection(Protocol):
    """As much of a driver's connection as reading and loading need."""

    def execute(self, statements: str, bindings: Sequence[Any] = ...) -> Any:
        """Run statements; iterate over the result for rows."""

    def executemany(self, statements: str, sequenceofbindings: Iterable[Sequence[Any]]) -> Any:
        """Run one statement for each of many bindings."""


def quoted(name: str) -> str:
    """An identifier as SQL."""
    return '"' + name.replace('"', '""') + '"'


def tables() -> list[str]:
    """Statements that create every table, and none of the indexes."""
    nodes = [
        f"CREATE TABLE {quoted(node.label)} (id INTEGER PRIMARY KEY, {_columns(node.columns)})"
        for node in NODES.values()
    ]
    relationships = [_relationship_table(rel) for rel in RELATIONSHIPS.values()]
    return ["CREATE TABLE published (run_id TEXT NOT NULL)", *nodes, *relationships]


def _relationship_table(rel: RelationshipType) -> str:
    ends = ["target INTEGER NOT NULL", "source INTEGER NOT NULL"]
    columns = ", ".join([*ends, *_column_list(rel.properties), "PRIMARY KEY (target, source)"])
    return f"CREATE TABLE {quoted(rel.name)} ({columns}) WITHOUT ROWID"


def kept_table(node: NodeType) -> str:
    """The name of the table with what actions set on nodes of a label."""
    return quoted(f"{node.label}Kept")


def kept_tables(*, temporary: bool = False) -> list[str]:
    """Statements that create the tables of what actions set; temporary ones stand in where nothing is set."""
    create = "CREATE TEMP TABLE" if temporary else "CREATE TABLE"
    return [
        f"{create} {kept_table(node)} ({_columns((node.key, *node.kept))}, PRIMARY KEY ({quoted(node.key.name)})) "
        "WITHOUT ROWID"
        for node in NODES.values()
        if node.kept
    ]


def sorting(order: ClusterOrder) -> str:
    """The expression that clusters are sorted by: null counts as 0."""
    return f"ifnull({quoted(order.value)}, 0)"


def sorting_index(order: ClusterOrder) -> str:
    """The name of the index that has clusters in that order."""
    return quoted(f"Cluster in order of {order.value}")


def source_index(rel: RelationshipType) -> str:
    """The name of the index from a relationship's source."""
    return quoted(f"{rel.name} by source")


def create_source_index(rel: RelationshipType) -> str:
    """The statement that creates it."""
    return f"CREATE INDEX {source_index(rel)} ON {quoted(rel.name)} (source)"


def indexes() -> list[str]:
    """Statements that create every index, to be run after loading."""
    statements = []
    for node in NODES.values():
        table = quoted(node.label)
        key = f"CREATE UNIQUE INDEX {quoted(f'{node.label} by key')} ON {table} ({quoted(node.key.name)})"
        statements.append(key)
        texts = [*node.search, *([node.look_alike] if node.look_alike else [])]
        statements += [
            f"CREATE INDEX {quoted(f'{node.label} by {text}')} ON {table} ({head(text)}) "
            f"WHERE {quoted(text)} IS NOT NULL"
            for text in texts
        ]
    statements += [
        f'CREATE INDEX {sorting_index(order)} ON "Cluster" ({sorting(order)} DESC, {FILTERED})'
        for order in ClusterOrder
    ]
    statements.append(
        f'CREATE INDEX "Cluster by pattern" ON "Cluster" (pattern, {sorting(ClusterOrder.RISK)}, '
        f"{sorting(ClusterOrder.SIZE)})"
    )
    statements += [create_source_index(rel) for rel in RELATIONSHIPS.values()]
    return statements


def head(column: str) -> str:
    """The part of a text column that is indexed."""
    return f"substr({quoted(column)}, 1, {INDEXED_CHARACTERS})"


def insert_node(node: NodeType) -> str:
    """The statement that inserts a node: id, then its columns in order."""
    return f"INSERT INTO {quoted(node.label)} VALUES (?{', ?' * len(node.columns)})"


def insert_relationship(rel: RelationshipType) -> str:
    """The statement that inserts a relationship: ids of target and source, then its properties in order."""
    return f"INSERT INTO {quoted(rel.name)} VALUES (?, ?{', ?' * len(rel.properties)})"


def select_list(columns: Sequence[Property], alias: str) -> str:
    """Columns to select from a table's alias, each led by a comma."""
    return "".join(f", {alias}.{quoted(column.name)}" for column in columns)


def to_sql(column: pa.Array) -> list[Any]:
    """A column of a record batch as values to bind."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    values: list[Any] = column.to_pylist()
    return values


def to_arrow(values: Sequence[Any], column: Property) -> pa.Array:
    """Stored values as an Arrow column."""
    if column.type is PropertyType.TIMESTAMP:
        return pa.array(values, pa.int64()).cast(column.type.arrow)
    if column.type is PropertyType.BOOLEAN:
        return pa.array(values, pa.int8()).cast(column.type.arrow)
    return pa.array(values, column.type.arrow)


_CONVERTERS: Mapping[PropertyType, Callable[[Any], Value]] = {
    PropertyType.KEY: bytes.hex,
    PropertyType.BOOLEAN: bool,
    PropertyType.TIMESTAMP: lambda stored: _EPOCH + timedelta(0, 0, stored),
}


class Reader:
    """Makes plain values by name out of the stored values of some columns."""

    def __init__(self, columns: Sequence[Property]) -> None:
        self.columns = tuple(columns)
        self._names = [column.name for column in columns]
        self._converters = [
            (column.name, _CONVERTERS[column.type]) for column in columns if column.type in _CONVERTERS
        ]

    def __call__(self, stored: Sequence[Any]) -> dict[str, Value]:
        """The values of one row."""
        values = dict(zip(self._names, stored, strict=True))
        for name, convert in self._converters:
            value = values[name]
            if value is not None:
                values[name] = convert(value)
        return values


NODE_READERS: Mapping[str, Reader] = {
    node.label: Reader((*node.columns, *node.kept)) for node in NODES.values()
}
"""By label: all columns of a node, and what actions set on it."""

READERS: Mapping[str, Reader] = {rel.name: Reader(rel.properties) for rel in RELATIONSHIPS.values()}
"""By type: the properties of a relationship."""


def to_stored(value: Value) -> Any:
    """A plain value as it is stored: times as microseconds."""
    return (value - _EPOCH) // timedelta(microseconds=1) if isinstance(value, datetime) else value


def key_text(stored: Any) -> str:
    """A stored key as text."""
    return stored.hex() if isinstance(stored, bytes) else str(stored)


def key_match(node: NodeType, value: str) -> str:
    """The SQL that turns a key given as text into the stored one."""
    return f"unhex({value})" if node.key.type is PropertyType.KEY else value


def _columns(columns: Sequence[Property]) -> str:
    return ", ".join(_column_list(columns))


def _column_list(columns: Sequence[Property]) -> list[str]:
    return [f"{quoted(column.name)} {_SQL[column.type]}" for column in columns]
