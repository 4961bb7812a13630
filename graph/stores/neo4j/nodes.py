"""Nodes by key, and whole labels or types as Arrow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from typing import Any

import pyarrow as pa

from graph.errors import RingfenceError
from graph.schema import NODES, RELATIONSHIPS, NodeType, Property
from graph.store import Node, NodeRef, Value
from graph.stores.neo4j.schema import (
    KEPT,
    Transaction,
    by_key,
    by_name,
    lists,
    match,
    quoted,
    rows,
    select,
    table,
    to_arrow,
    to_properties,
)

SCAN_ROWS = 65_536


def get_nodes(tx: Transaction, run: int, refs: Sequence[NodeRef]) -> dict[NodeRef, Node]:
    """See `GraphStore.get_nodes`."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for ref in refs:
        if ref.label in NODES and encodable(ref.key):
            wanted[ref.label].add(ref.key)
    if not wanted:
        return {}
    found: dict[NodeRef, Node] = {}
    asked = {label: sorted(wanted.get(label, ())) for label in NODES}
    for label, keys, stored in rows(tx, _by_keys(), run=run, keys=asked):
        node = NODES[label]
        for key, properties in zip(keys, by_name(stored, (*node.columns, *node.kept)), strict=True):
            found[NodeRef(label, key)] = _node(node, key, properties)
    return {ref: found[ref] for ref in refs if ref in found}


@cache
def _by_keys() -> str:
    """Nodes of any label by key, each label's by column."""
    parts = [
        f"UNWIND $keys.{quoted(label)} AS key MATCH {match('n', node, 'key')} "
        "WITH collect(key) AS keys, collect(n) AS found WHERE size(keys) > 0 "
        f"RETURN '{label}' AS label, keys, [{lists((*node.columns, *node.kept), 'found')}] AS stored"
        for label, node in NODES.items()
    ]
    return " UNION ALL ".join(parts)


def to_node(node: NodeType, key: str, stored: Sequence[Any]) -> Node:
    """A node from its key, and its columns and kept ones as `select` gives them."""
    return _node(node, key, to_properties(stored, (*node.columns, *node.kept)))


def _node(node: NodeType, key: str, properties: dict[str, Value]) -> Node:
    name, degree = properties[node.name], properties[node.degree] if node.degree else None
    return Node(
        ref=NodeRef(node.label, key),
        name=None if name is None else str(name),
        degree=degree if isinstance(degree, int) else None,
        properties=properties,
    )


def statuses(tx: Transaction, run: int) -> pa.Table:
    """See `GraphStore.statuses`."""
    organization = NODES["Organization"]
    columns = (organization.key, *organization.kept)
    found = rows(
        tx,
        f"MATCH (k:{KEPT}) MATCH {match('n', organization, 'k.key')} RETURN {select(columns, 'n')}",
        run=run,
    )
    return table(sorted(found, key=lambda row: str(row[0])), columns)


def schema_of(name: str) -> pa.Schema:
    """The schema of a label's or a type's batches. Raises RingfenceError for what the graph has not."""
    if name not in NODES and name not in RELATIONSHIPS:
        raise RingfenceError(
            f"the graph has no {name}",
            f"Choose from: {', '.join([*NODES, *RELATIONSHIPS])}.",
            exit_code=2,
        )
    return NODES[name].arrow if name in NODES else RELATIONSHIPS[name].arrow


def scan(tx: Transaction, run: int, name: str) -> Iterator[pa.RecordBatch]:
    """Batches of a label or a type in the order of keys, which the index of keys gives without sorting all."""
    if name in NODES:
        node = NODES[name]
        key = f"n.{quoted(node.key.name)}"
        statement = (
            f"MATCH (n:{quoted(name)}) {by_key('n', node)} WHERE n.run = $run AND {key} >= '' "
            f"WITH n ORDER BY n.run, {key} RETURN {select(node.columns, 'n')}"
        )
        return _batches(tx, statement, run, node.arrow, node.columns)
    rel = RELATIONSHIPS[name]
    source, target = NODES[rel.source], NODES[rel.target]
    keys = f"s.{quoted(source.key.name)}", f"t.{quoted(target.key.name)}"
    properties = f", {select(rel.properties, 'r')}" if rel.properties else ""
    statement = (
        f"MATCH (t:{quoted(target.label)}) {by_key('t', target)} WHERE t.run = $run AND {keys[1]} >= '' "
        f"WITH t ORDER BY t.run, {keys[1]} MATCH (t)<-[r:{quoted(rel.name)}]-(s) "
        f"WITH r, s, t ORDER BY t.run, {keys[1]}, {keys[0]} RETURN {', '.join(keys)}{properties}"
    )
    return _batches(tx, statement, run, rel.arrow, (source.key, target.key, *rel.properties))


def _batches(
    tx: Transaction, statement: str, run: int, schema: pa.Schema, columns: Sequence[Property]
) -> Iterator[pa.RecordBatch]:
    found = iter(tx.run(statement, {"run": run}))
    while chunk := [record.values() for record in islice(found, SCAN_ROWS)]:
        stored = zip(*chunk, strict=True)
        arrays = [to_arrow(values, column) for values, column in zip(stored, columns, strict=True)]
        yield pa.record_batch(arrays, schema=schema)


def encodable(text: str) -> bool:
    """Whether a text can be stored at all: one with a lone surrogate cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
