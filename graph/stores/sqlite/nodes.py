"""Nodes by key, and whole tables as Arrow."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice

import pyarrow as pa

from graph.schema import NODES, RELATIONSHIPS, NodeType, Property
from graph.store import Node, NodeRef, Value
from graph.stores.sqlite.schema import (
    NODE_READERS,
    Connection,
    kept_table,
    key_match,
    quoted,
    select_list,
    to_arrow,
)

SCAN_ROWS = 65_536


def get_nodes(connection: Connection, refs: Sequence[NodeRef]) -> dict[NodeRef, Node]:
    """See `GraphStore.get_nodes`."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for ref in refs:
        if ref.label in NODES:
            wanted[ref.label].append(ref.key)
    return {node.ref: node for label, keys in wanted.items() for node in _nodes(connection, label, keys)}


def _nodes(connection: Connection, label: str, keys: Sequence[str]) -> Iterator[Node]:
    node, read = NODES[label], NODE_READERS[label]
    for row in connection.execute(_by_key(label), [json.dumps(keys)]):
        yield to_node(node, row[0], read(row[1:]))


@cache
def _by_key(label: str) -> str:
    node = NODES[label]
    columns, join = with_kept(node, "n")
    return (
        f"SELECT f.value{columns} FROM json_each(?) f CROSS JOIN {quoted(label)} n "
        f"ON n.{quoted(node.key.name)} = {key_match(node, 'f.value')} {join}"
    )


def with_kept(node: NodeType, alias: str) -> tuple[str, str]:
    """All columns of a label with what actions set, each led by a comma, and the join that they need."""
    columns = select_list(node.columns, alias)
    if not node.kept:
        return columns, ""
    key = quoted(node.key.name)
    join = f"LEFT JOIN {kept_table(node)} kept ON kept.{key} = {alias}.{key}"
    return f"{columns}{select_list(node.kept, 'kept')}", join


def to_node(node: NodeType, key: str, properties: dict[str, Value]) -> Node:
    """A node of a label."""
    name, degree = properties[node.name], properties[node.degree] if node.degree else None
    return Node(
        ref=NodeRef(node.label, key),
        name=None if name is None else str(name),
        degree=degree if isinstance(degree, int) else None,
        properties=properties,
    )


def scan(connection: Connection, name: str, *, by_key: bool = False) -> pa.RecordBatchReader:
    """See `GraphStore.scan`. `by_key` sorts by keys also where ids do not ascend with them."""
    if name in NODES:
        node = NODES[name]
        order = quoted(node.key.name) if by_key else "id"
        query = f"SELECT id{select_list(node.columns, 'n')} FROM {quoted(name)} n ORDER BY {order}"
        return _reader(connection, query, node.arrow, node.columns)
    rel = RELATIONSHIPS[name]
    source, target = NODES[rel.source], NODES[rel.target]
    keys = f"s.{quoted(source.key.name)}", f"t.{quoted(target.key.name)}"
    order = f"{keys[1]}, {keys[0]}" if by_key else "e.target, e.source"
    query = (
        f"SELECT e.target, {', '.join(keys)}{select_list(rel.properties, 'e')} FROM {quoted(name)} e "
        f"CROSS JOIN {quoted(source.label)} s ON s.id = e.source "
        f"CROSS JOIN {quoted(target.label)} t ON t.id = e.target ORDER BY {order}"
    )
    return _reader(connection, query, rel.arrow, (source.key, target.key, *rel.properties))


def _reader(
    connection: Connection, query: str, schema: pa.Schema, columns: Sequence[Property]
) -> pa.RecordBatchReader:
    rows = iter(connection.execute(query))

    def batches() -> Iterator[pa.RecordBatch]:
        while chunk := list(islice(rows, SCAN_ROWS)):
            stored = list(zip(*chunk, strict=True))[1:]
            arrays = [to_arrow(values, column) for values, column in zip(stored, columns, strict=True)]
            yield pa.record_batch(arrays, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())
