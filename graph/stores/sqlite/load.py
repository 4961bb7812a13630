"""Filling an empty SQLite database from a view, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graph.errors import RingfenceError
from graph.keys import Index, Keys, KeySet, concat
from graph.schema import NODES, RELATIONSHIPS, NodeType, PropertyType, RelationshipType
from graph.store import GraphView, Progress
from graph.stores.sqlite.schema import (
    GAP,
    Connection,
    indexes,
    insert_node,
    insert_relationship,
    tables,
    to_sql,
)

ROWS = 32_768
"""Rows that are turned into Python objects at a time."""

STAGE = "publish graph"
INDEX_STAGE = "index graph"


def create(connection: Connection) -> None:
    """Every table, with the indexes of an empty graph."""
    for statement in [*tables(), *indexes()]:
        connection.execute(statement)


def load(connection: Connection, view: GraphView, progress: Progress) -> None:
    """Every table filled from the view, then the indexes.

    Raises RingfenceError when the view breaks its promises: unsorted keys, relationships to nowhere.
    """
    for statement in tables():
        connection.execute(statement)
    connection.execute("INSERT INTO published VALUES (?)", [view.run_id])
    loader = _Loader(connection, progress)
    for node in NODES.values():
        loader.nodes(node, view.nodes(node.label))
    for rel in RELATIONSHIPS.values():
        loader.relationships(rel, view.relationships(rel.name))
    statements = indexes()
    for done, statement in enumerate(statements):
        progress(INDEX_STAGE, done, len(statements))
        connection.execute(statement)
    progress(INDEX_STAGE, len(statements), len(statements))


class UnfitError(RingfenceError):
    """A relationship names a node that is not in the graph."""


class _Ranks:
    """Which rank each key of a label has."""

    def __init__(self, keys: list[pa.Array], node: NodeType) -> None:
        self._binary = node.key.type is PropertyType.KEY
        if self._binary:
            self._set = KeySet(concat([Keys.of(part) for part in keys]))
        else:
            self._texts = pa.concat_arrays(keys) if keys else pa.array([], node.key.type.arrow)

    def of(self, keys: pa.Array) -> Index | None:
        """The ranks of keys; None where one is not among them."""
        if self._binary:
            at, place = self._set.locate(Keys.of(keys))
            return place if len(at) == len(keys) else None
        ranks = pc.index_in(keys, value_set=self._texts)
        return None if ranks.null_count else ranks.to_numpy().astype(np.intp)


class _Loader:
    def __init__(self, connection: Connection, progress: Progress) -> None:
        self._connection = connection
        self._progress = progress
        self._ranks: dict[str, _Ranks] = {}
        self._done = 0

    def nodes(self, node: NodeType, batches: Iterator[pa.RecordBatch]) -> None:
        """Insert the nodes of a label; their ids follow from the rank of their key."""
        statement = insert_node(node)
        keys: list[pa.Array] = []
        rank = 0
        for batch in _slices(batches, node.arrow, node.label):
            _check_ascending(keys[-1] if keys else None, batch.column(0), node)
            columns = [to_sql(column) for column in batch.columns]
            ids = range((rank + 1) * GAP, (rank + 1 + batch.num_rows) * GAP, GAP)
            self._connection.executemany(statement, zip(ids, *columns, strict=True))
            keys.append(batch.column(0))
            rank += batch.num_rows
            self._report(batch.num_rows)
        self._ranks[node.label] = _Ranks(keys, node)

    def relationships(self, rel: RelationshipType, batches: Iterator[pa.RecordBatch]) -> None:
        """Insert the relationships of a type."""
        statement = insert_relationship(rel)
        for batch in batches:
            check_schema(batch, rel.arrow, rel.name)
            sources = self._ids(batch.column(0), rel.source, rel)
            targets = self._ids(batch.column(1), rel.target, rel)
            for start in range(0, batch.num_rows, ROWS):
                rows = slice(start, start + ROWS)
                properties = [to_sql(column[rows]) for column in batch.columns[2:]]
                ends = [targets[rows].tolist(), sources[rows].tolist()]
                self._connection.executemany(statement, zip(*ends, *properties, strict=True))
                self._report(len(ends[0]))

    def _ids(self, keys: pa.Array, label: str, rel: RelationshipType) -> Index:
        ranks = self._ranks[label].of(keys)
        if ranks is None:
            raise unfit(rel, label)
        return (ranks + 1) * GAP

    def _report(self, rows: int) -> None:
        self._done += rows
        self._progress(STAGE, self._done, None)


def _slices(batches: Iterator[pa.RecordBatch], schema: pa.Schema, name: str) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        check_schema(batch, schema, name)
        for start in range(0, batch.num_rows, ROWS):
            yield batch.slice(start, ROWS)


def unfit(rel: RelationshipType, label: str) -> UnfitError:
    """What to say of a relationship whose end is not in the graph."""
    return UnfitError(
        f"a {rel.name} relationship names a {label} that is not among the nodes",
        "The run's files do not fit together: start it again with `ringfence run`.",
    )


def check_schema(batch: pa.RecordBatch, schema: pa.Schema, name: str) -> None:
    """Raise RingfenceError unless a batch is as the schema declares."""
    if batch.schema != schema:
        raise RingfenceError(
            f"record batches of {name} do not have the schema of graph/schema.py",
            f"Expected:\n{schema}\nfound:\n{batch.schema}",
        )


def _check_ascending(before: pa.Array | None, keys: pa.Array, node: NodeType) -> None:
    joined = keys if before is None else pa.concat_arrays([before.slice(len(before) - 1), keys])
    if len(joined) > 1 and not pc.all(pc.less(joined.slice(0, len(joined) - 1), joined.slice(1))).as_py():
        raise RingfenceError(
            f"nodes of {node.label} do not come in ascending order of their unique {node.key.name}",
            "The run's files hold a node twice: start it again with `ringfence run`.",
        )
