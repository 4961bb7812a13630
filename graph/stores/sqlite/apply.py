"""Patching a copy of the graph with what changed, in the one transaction that the caller holds.

New nodes get ids between those of their neighbours. Where no room is left they get ids at the end; the caller
is told, and has the graph written anew, in the order of keys.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import pyarrow as pa

from graph.schema import NODES, RELATIONSHIPS, NodeType, PropertyType, RelationshipType
from graph.store import GraphChanges, GraphView, Progress
from graph.stores.sqlite.load import STAGE, check_schema, unfit
from graph.stores.sqlite.nodes import scan
from graph.stores.sqlite.schema import (
    GAP,
    Connection,
    insert_node,
    insert_relationship,
    key_match,
    quoted,
    to_sql,
)


def apply(connection: Connection, changes: GraphChanges, progress: Progress) -> bool:
    """Remove and put what changed; returns whether ids still ascend with keys.

    Raises RingfenceError when a relationship is to be put between nodes of which one is not there.
    """
    patch = _Patch(connection, progress)
    for rel in RELATIONSHIPS.values():
        patch.drop_relationships(rel, changes.gone_relationships(rel.name))
    for node in NODES.values():
        patch.drop_nodes(node, changes.gone_nodes(node.label))
    for node in NODES.values():
        patch.put_nodes(node, changes.nodes(node.label))
    for rel in RELATIONSHIPS.values():
        patch.put_relationships(rel, changes.relationships(rel.name))
    connection.execute("UPDATE published SET run_id = ?", [changes.run_id])
    return not patch.crowded


class StoredView:
    """A stored graph as a view, in the order of keys whatever its ids are."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def run_id(self) -> str:
        """See `GraphView.run_id`."""
        return str(next(iter(self._connection.execute("SELECT run_id FROM published")))[0])

    def nodes(self, label: str) -> Iterator[pa.RecordBatch]:
        """See `GraphView.nodes`."""
        return iter(scan(self._connection, label, by_key=True))

    def relationships(self, name: str) -> Iterator[pa.RecordBatch]:
        """See `GraphView.relationships`."""
        return iter(scan(self._connection, name, by_key=True))

    def changes_since(self, run_id: str) -> None:
        """See `GraphView.changes_since`: not known."""


def stored_view(connection: Connection) -> GraphView:
    """The graph that a connection holds."""
    return StoredView(connection)


class _Patch:
    def __init__(self, connection: Connection, progress: Progress) -> None:
        self._connection = connection
        self._progress = progress
        self._done = 0
        self.crowded: set[str] = set()

    def drop_relationships(self, rel: RelationshipType, batches: Iterator[pa.RecordBatch]) -> None:
        """Remove relationships; what is not there needs no removing."""
        statement = f"DELETE FROM {quoted(rel.name)} WHERE target = ? AND source = ?"
        for batch in batches:
            ends = zip(
                self._ids(NODES[rel.target], batch.column(1)),
                self._ids(NODES[rel.source], batch.column(0)),
                strict=True,
            )
            self._connection.executemany(statement, (pair for pair in ends if None not in pair))
            self._report(batch.num_rows)

    def drop_nodes(self, node: NodeType, parts: Iterator[pa.Array]) -> None:
        """Remove nodes with all their relationships."""
        statements = [f"DELETE FROM {quoted(node.label)} WHERE id = ?"]
        for rel in RELATIONSHIPS.values():
            for end, label in (("source", rel.source), ("target", rel.target)):
                if label == node.label:
                    statements.append(f"DELETE FROM {quoted(rel.name)} WHERE {end} = ?")
        for keys in parts:
            ids = [(found,) for found in self._ids(node, keys) if found is not None]
            for statement in statements:
                self._connection.executemany(statement, ids)
            self._report(len(keys))

    def put_nodes(self, node: NodeType, batches: Iterator[pa.RecordBatch]) -> None:
        """Insert new nodes, update the others."""
        assigned = ", ".join(f"{quoted(one.name)} = excluded.{quoted(one.name)}" for one in node.properties)
        statement = f"{insert_node(node)} ON CONFLICT (id) DO UPDATE SET {assigned}"
        for batch in batches:
            check_schema(batch, node.arrow, node.label)
            columns = [to_sql(column) for column in batch.columns]
            ids = self._ids(node, batch.column(0))
            fresh = [key for key, found in zip(columns[0], ids, strict=True) if found is None]
            following = iter(self._room(node, fresh))
            placed = [next(following) if found is None else found for found in ids]
            self._connection.executemany(statement, zip(placed, *columns, strict=True))
            self._report(batch.num_rows)

    def put_relationships(self, rel: RelationshipType, batches: Iterator[pa.RecordBatch]) -> None:
        """Insert new relationships, update the others."""
        assigned = ", ".join(f"{quoted(one.name)} = excluded.{quoted(one.name)}" for one in rel.properties)
        otherwise = f"UPDATE SET {assigned}" if assigned else "NOTHING"
        statement = f"{insert_relationship(rel)} ON CONFLICT (target, source) DO {otherwise}"
        for batch in batches:
            check_schema(batch, rel.arrow, rel.name)
            sources = self._ids(NODES[rel.source], batch.column(0))
            targets = self._ids(NODES[rel.target], batch.column(1))
            for label, ids in ((rel.source, sources), (rel.target, targets)):
                if None in ids:
                    raise unfit(rel, label)
            properties = [to_sql(column) for column in batch.columns[2:]]
            self._connection.executemany(statement, zip(targets, sources, *properties, strict=True))
            self._report(batch.num_rows)

    def _ids(self, node: NodeType, keys: pa.Array) -> list[int | None]:
        """The ids of keys, None for those that are not there."""
        values = to_sql(keys)
        asked = [key.hex() for key in values] if node.key.type is PropertyType.KEY else values
        query = (
            f"SELECT f.key, n.id FROM json_each(?) f CROSS JOIN {quoted(node.label)} n "
            f"ON n.{quoted(node.key.name)} = {key_match(node, 'f.value')}"
        )
        found: list[int | None] = [None] * len(asked)
        for place, number in self._connection.execute(query, [json.dumps(asked)]):
            found[place] = number
        return found

    def _room(self, node: NodeType, keys: Sequence[Any]) -> list[int]:
        """Ids for new keys, ascending: evenly between those of the keys around them."""
        ids: list[int] = []
        beside = f"SELECT id FROM {quoted(node.label)} WHERE {quoted(node.key.name)}"
        key_name = quoted(node.key.name)

        def after(key: Any) -> int | None:
            return self._first(f"{beside} > ? ORDER BY {key_name} LIMIT 1", [key])

        for high, group in groupby(keys, after):
            if node.label in self.crowded:
                break
            crowd = list(group)
            low = self._first(f"{beside} < ? ORDER BY {key_name} DESC LIMIT 1", [crowd[0]]) or 0
            step = GAP if high is None else (high - low) // (len(crowd) + 1)
            if step == 0:
                self.crowded.add(node.label)
            else:
                ids += [low + step * place for place in range(1, len(crowd) + 1)]
        if len(ids) < len(keys):
            last = self._first(f"SELECT max(id) FROM {quoted(node.label)}", []) or 0
            last = max([last, *ids])
            ids += range(last + 1, last + 1 + len(keys) - len(ids))
        return ids

    def _first(self, query: str, bindings: Sequence[Any]) -> int | None:
        row = next(iter(self._connection.execute(query, bindings)), None)
        return None if row is None else row[0]

    def _report(self, rows: int) -> None:
        self._done += rows
        self._progress(STAGE, self._done, None)
