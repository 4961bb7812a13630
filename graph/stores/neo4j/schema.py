"""The graph's schema compiled to Cypher: constraints, indexes, the statements that write, conversions.

Every node has the number of the publication that wrote it as its property `run`; relationships connect nodes
of one number only. A reader looks up nodes of the number that is shown and follows relationships from there, so
that what is being written under another number does not exist for it.

Clusters have what they are sorted by negated beside it as `by_…`, so that an index gives them largest first and, of
equals, in the order of their ids. Texts that are searched have their first 256 characters beside them as `…_head`:
Neo4j refuses to index values of more than some thousand bytes. Names of labels, types and properties come from
`graph.schema`, values are parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Protocol

import pyarrow as pa

from graph.schema import NODES, RELATIONSHIPS, NodeType, Property, PropertyType, RelationshipType
from graph.store import ClusterOrder, Value

INDEXED_CHARACTERS = 256
STATE = "Ringfence"
"""Label of the nodes with the store's own state."""

KEPT = "RingfenceKept"
"""Label of the nodes that remember what actions set on organizations, by their key."""

CHANGE = "RingfenceChange"
"""Label of the nodes with changes that are noted and not made yet, by the key of the part."""

ROWS = 10_000
"""Rows that a statement takes at most."""

BYTES = 4_000_000
"""Bytes of a record batch that a statement takes at most, but for one row."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Transaction(Protocol):
    """As much of a driver's transaction as the store's statements need."""

    def run(self, query: str, parameters: dict[str, Any] | None = None) -> Any:
        """Run a statement; iterate over the result for records."""


def rows(tx: Transaction, text: str, /, **parameters: Any) -> list[list[Any]]:
    """All rows of a statement."""
    found: list[list[Any]] = tx.run(text, parameters).values()
    return found


def number(tx: Transaction, text: str, /, **parameters: Any) -> int:
    """The one number that a statement returns."""
    return int(rows(tx, text, **parameters)[0][0])


def quoted(name: str) -> str:
    """A name as Cypher."""
    return "`" + name.replace("`", "``") + "`"


def head(column: str) -> str:
    """The name of the property with the part of a text that is indexed."""
    return f"{column}_head"


def headed(node: NodeType) -> tuple[str, ...]:
    """The texts of a label that are searched."""
    return (*node.search, *([node.look_alike] if node.look_alike else []))


def by(column: str) -> str:
    """The name of the property that sorts by another one, largest first."""
    return f"by_{column}"


def sorted_by(node: NodeType) -> tuple[str, ...]:
    """What nodes of a label are sorted by."""
    return tuple(order.value for order in ClusterOrder) if node.label == "Cluster" else ()


def definitions() -> dict[str, str]:
    """Every constraint and index by name, and the statement that creates it."""
    found = {
        f"ringfence_{label}": f"CREATE CONSTRAINT {quoted(f'ringfence_{label}')} IF NOT EXISTS "
        f"FOR (n:{label}) REQUIRE n.key IS UNIQUE"
        for label in (STATE, KEPT, CHANGE)
    }
    for node in NODES.values():
        name = f"ringfence_{node.label}_key"
        found[name] = (
            f"CREATE CONSTRAINT {quoted(name)} IF NOT EXISTS FOR (n:{quoted(node.label)}) "
            f"REQUIRE (n.run, n.{quoted(node.key.name)}) IS UNIQUE"
        )
        for column in headed(node):
            found |= _index(node, head(column), head(column))
        for column in sorted_by(node):
            found |= _index(node, by(column), "run", by(column), node.key.name)
    return found


def define(session: Transaction) -> None:
    """Create what is missing, and wait until it can be used. Each statement is a transaction of its own."""
    there = {name for (name,) in rows(session, "SHOW INDEXES YIELD name")}
    missing = [text for name, text in definitions().items() if name not in there]
    for text in missing:
        rows(session, text)
    if missing:
        rows(session, "CALL db.awaitIndexes(600)")


def _index(node: NodeType, named: str, *columns: str) -> dict[str, str]:
    name = f"ringfence_{node.label}_{named}"
    properties = ", ".join(f"n.{quoted(column)}" for column in columns)
    return {name: f"CREATE INDEX {quoted(name)} IF NOT EXISTS FOR (n:{quoted(node.label)}) ON ({properties})"}


def match(alias: str, node: NodeType, key: str) -> str:
    """The pattern of the node of the run that has a key, to stand after MATCH."""
    return f"{_node(alias, node, key)} {by_key(alias, node)}"


def by_key(alias: str, node: NodeType) -> str:
    """The hint to look nodes up by run and key.

    Left alone the server scans labels that were empty when it planned, and keeps such a plan for some time.
    """
    return using(alias, node, "run", node.key.name)


def using(alias: str, node: NodeType, *columns: str) -> str:
    """The hint to use the index of some properties."""
    return f"USING INDEX {alias}:{quoted(node.label)}({', '.join(map(quoted, columns))})"


def _node(alias: str, node: NodeType, key: str) -> str:
    return f"({alias}:{quoted(node.label)} {{run: $run, {quoted(node.key.name)}: {key}}})"


@cache
def create_nodes(node: NodeType) -> str:
    """The statement that creates nodes of `$rows` (see `node_rows`) under the number `$run`."""
    values = [f"{quoted(name)}: {value}" for name, value in _assigned(node)]
    return (
        f"UNWIND $rows AS row CREATE (n:{quoted(node.label)} {{run: $run, {', '.join(values)}}}) "
        "RETURN count(*)"
    )


@cache
def merge_nodes(node: NodeType) -> str:
    """The statement that creates or changes nodes of `$rows`; kept properties stay."""
    (_, key), *others = _assigned(node)
    values = ", ".join(f"n.{quoted(name)} = {value}" for name, value in others)
    return f"UNWIND $rows AS row MERGE {_node('n', node, key)} SET {values} RETURN count(*)"


@cache
def delete_nodes(node: NodeType) -> str:
    """The statement that removes the nodes with the keys `$rows`, and their relationships."""
    return f"UNWIND $rows AS row MATCH {match('n', node, 'row')} DETACH DELETE n"


@cache
def create_relationships(rel: RelationshipType) -> str:
    """The statement that creates relationships of `$rows` (see `relationship_rows`) and counts them."""
    values = ", ".join(f"{quoted(name)}: {value}" for name, value in _rel_assigned(rel))
    return f"{_ends(rel)} CREATE (s)-[:{quoted(rel.name)} {{{values}}}]->(t) RETURN count(*)"


@cache
def merge_relationships(rel: RelationshipType) -> str:
    """The statement that creates or changes relationships of `$rows` and counts them."""
    values = ", ".join(f"r.{quoted(name)} = {value}" for name, value in _rel_assigned(rel))
    change = f"SET {values}" if values else ""
    return f"{_ends(rel)} MERGE (s)-[r:{quoted(rel.name)}]->(t) {change} RETURN count(*)"


@cache
def delete_relationships(rel: RelationshipType) -> str:
    """The statement that removes the relationships with the ends `$rows`."""
    return f"{_ends(rel)} MATCH (s)-[r:{quoted(rel.name)}]->(t) DELETE r"


def _ends(rel: RelationshipType) -> str:
    source, target = NODES[rel.source], NODES[rel.target]
    return f"UNWIND $rows AS row MATCH {match('s', source, 'row[0]')} MATCH {match('t', target, 'row[1]')}"


def _assigned(node: NodeType) -> Iterator[tuple[str, str]]:
    """Names of a node's properties with the Cypher of their values in a row, the key first."""
    for place, column in enumerate(node.columns):
        yield column.name, _from_row(column, place)
    places = {column.name: place for place, column in enumerate(node.columns)}
    for place, name in enumerate(headed(node), len(node.columns)):
        yield head(name), f"coalesce(row[{place}], row[{places[name]}])"
    for name in sorted_by(node):
        yield by(name), f"0 - coalesce(row[{places[name]}], 0)"


def _rel_assigned(rel: RelationshipType) -> list[tuple[str, str]]:
    return [(column.name, _from_row(column, place)) for place, column in enumerate(rel.properties, 2)]


def _from_row(column: Property, place: int) -> str:
    stored = f"row[{place}]"
    if column.type is not PropertyType.TIMESTAMP:
        return stored
    seconds = f"toInteger(floor({stored} / 1000000.0))"
    nanoseconds = f"(({stored} % 1000000) + 1000000) % 1000000 * 1000"
    return f"CASE WHEN {stored} IS NULL THEN null ELSE datetime.fromEpoch({seconds}, {nanoseconds}) END"


def slices(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Parts of a batch that are small enough for a statement."""
    size = max(1, min(ROWS, BYTES * batch.num_rows // max(1, batch.nbytes)))
    for start in range(0, batch.num_rows, size):
        yield batch.slice(start, size)


def node_rows(node: NodeType, batch: pa.RecordBatch) -> list[tuple[Any, ...]]:
    """A batch of nodes as parameters: the columns, then the heads of the texts that are longer than those."""
    columns = [to_parameters(column) for column in batch.columns]
    named = dict(zip(batch.schema.names, columns, strict=True))
    heads = [[_head(text) for text in named[name]] for name in headed(node)]
    return list(zip(*columns, *heads, strict=True))


def relationship_rows(batch: pa.RecordBatch) -> list[tuple[Any, ...]]:
    """A batch of relationships as parameters: source, target, properties."""
    return list(zip(*(to_parameters(column) for column in batch.columns), strict=True))


def to_parameters(column: pa.Array) -> list[Any]:
    """A column as parameters: keys as hex text, times as microseconds."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    values: list[Any] = column.to_pylist()
    if pa.types.is_fixed_size_binary(column.type):
        return [None if value is None else value.hex() for value in values]
    return values


def _head(text: str | None) -> str | None:
    return text[:INDEXED_CHARACTERS] if text is not None and len(text) > INDEXED_CHARACTERS else None


def select(columns: Iterable[Property], alias: str) -> str:
    """The Cypher of properties, times as microseconds: much faster to receive than as times."""
    return ", ".join(read(column, alias) for column in columns)


def read(column: Property, alias: str) -> str:
    """The Cypher of one property."""
    value = f"{alias}.{quoted(column.name)}"
    if column.type is PropertyType.TIMESTAMP:
        return f"{value}.epochSeconds * 1000000 + {value}.microsecond"
    return value


def to_arrow(values: Sequence[Any], column: Property) -> pa.Array:
    """Values as `select` gives them as an Arrow column."""
    if column.type is PropertyType.KEY:
        values = [None if value is None else bytes.fromhex(value) for value in values]
    if column.type is PropertyType.TIMESTAMP:
        return pa.array(values, pa.int64()).cast(column.type.arrow)
    return pa.array(values, column.type.arrow)


def lists(columns: Iterable[Property], entities: str) -> str:
    """The Cypher of properties of many entities by column: rows cost much more to receive than values."""
    return ", ".join(f"[one IN {entities} | {read(column, 'one')}]" for column in columns)


def to_values(stored: Sequence[Any], kind: PropertyType) -> Sequence[Value]:
    """A column as `read` gives it as plain Python."""
    if kind is PropertyType.TIMESTAMP:
        return [None if value is None else _EPOCH + timedelta(0, 0, value) for value in stored]
    return stored


def to_properties(stored: Sequence[Any], columns: Sequence[Property]) -> dict[str, Value]:
    """A row's values by name."""
    return next(by_name([[value] for value in stored], columns), {})


def by_name(stored: Sequence[Sequence[Any]], columns: Sequence[Property]) -> Iterator[dict[str, Value]]:
    """The values of each row by name, from columns as `lists` gives them."""
    names = [column.name for column in columns]
    values = [to_values(values, column.type) for values, column in zip(stored, columns, strict=True)]
    return (dict(zip(names, row, strict=True)) for row in zip(*values, strict=True))


def table(found: Sequence[Sequence[Any]], columns: Sequence[Property]) -> pa.Table:
    """Rows as `select` gives them as a table."""
    stored = list(zip(*found, strict=True)) if found else [()] * len(columns)
    return pa.table(
        [to_arrow(values, column) for values, column in zip(stored, columns, strict=True)],
        schema=pa.schema([pa.field(column.name, column.type.arrow) for column in columns]),
    )


def by_target(value: Mapping[str, str]) -> str:
    """The Cypher that chooses by the type of `r` among expressions given by the type's name.

    The commonest one is the alternative to all others, so that it is found without comparing names.
    """
    commonest = max(value.values(), key=list(value.values()).count)
    cases = [f"WHEN '{name}' THEN {chosen}" for name, chosen in value.items() if chosen != commonest]
    return f"CASE type(r) {' '.join(cases)} ELSE {commonest} END" if cases else commonest


def incoming(label: str) -> tuple[RelationshipType, ...]:
    """The types that point at a label."""
    return tuple(rel for rel in RELATIONSHIPS.values() if rel.target == label)


def outgoing(label: str) -> tuple[RelationshipType, ...]:
    """The types that start at a label."""
    return tuple(rel for rel in RELATIONSHIPS.values() if rel.source == label)
