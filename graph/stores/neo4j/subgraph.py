"""A whole cluster by column: members, what they share, and who uses which.

Everything is asked from the members' side, so that an identifier which a million others use costs no more than
any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graph.schema import NODES, RELATIONSHIPS, Property, PropertyType
from graph.store import NodeRef, Subgraph
from graph.stores.neo4j.nodes import get_nodes
from graph.stores.neo4j.schema import (
    Transaction,
    match,
    number,
    quoted,
    read,
    rows,
    select,
    table,
    to_arrow,
)

_ORGANIZATION = NODES["Organization"]
_MEMBER_OF = RELATIONSHIPS["MEMBER_OF"]
_LINKS = {
    rel.name: rel for rel in RELATIONSHIPS.values() if rel.evidence and rel.source == _ORGANIZATION.label
}
_IDENTIFIER = (
    Property("label", PropertyType.TEXT, "Label."),
    Property("key", PropertyType.TEXT, "Key as hex."),
    Property("display", PropertyType.TEXT, "What people see."),
    Property("hidden", PropertyType.BOOLEAN, "Some spelling of it hid something."),
    Property("degree", PropertyType.INTEGER, "Organizations that use it."),
    Property("members", PropertyType.INTEGER, "Those of the cluster."),
)
_OF_IDENTIFIER = 1 + len(_IDENTIFIER)
"""Values of a row before those of its uses: the type, then the identifier's."""

_USE = next(iter(_LINKS.values())).properties
_MEMBERS = f"MATCH {match('c', NODES['Cluster'], '$cluster')} MATCH (c)<-[m:{quoted(_MEMBER_OF.name)}]-(n) WITH n, m "
_TYPES = "|".join(quoted(name) for name in _LINKS)
_KEY = quoted(_ORGANIZATION.key.name)


def cluster_subgraph(
    tx: Transaction, run: int, cluster_id: str, min_members: int, limit: int
) -> Subgraph | None:
    """See `GraphStore.cluster_subgraph`."""
    ref = NodeRef("Cluster", cluster_id)
    cluster = get_nodes(tx, run, [ref]).get(ref)
    if cluster is None:
        return None
    columns = (*_ORGANIZATION.columns, *_ORGANIZATION.kept)
    asked = f"{_MEMBERS} RETURN {select(columns, 'n')}, {select(_MEMBER_OF.properties, 'm')}"
    members = rows(tx, asked, run=run, cluster=cluster_id)
    members.sort(key=lambda row: str(row[0]))
    bound = {"run": run, "cluster": cluster_id, "least": min_members}
    found = rows(tx, _uses(), limit=limit + 1, **bound)
    total = len(found) if len(found) <= limit else number(tx, f"{_shared()} RETURN count(*)", **bound)
    found = sorted(found[:limit], key=lambda row: (row[1], row[2]))
    return Subgraph(
        cluster=cluster,
        organizations=table(members, (*columns, *_MEMBER_OF.properties)),
        identifiers=table([row[1:_OF_IDENTIFIER] for row in found], _IDENTIFIER),
        relationships=_relationships([row[0] for row in members], found),
        total=total,
    )


def _shared() -> str:
    """Identifiers that enough members use, each with the members' keys and relationships."""
    return (
        f"{_MEMBERS} MATCH (n)-[r:{_TYPES}]->(t) WITH t, type(r) AS type, collect([n.{_KEY}, r]) AS uses "
        "WITH t, type, uses, size(uses) AS members WHERE members >= $least"
    )


@cache
def _uses() -> str:
    """The first identifiers, one a row with its uses by column: rows cost much more to receive than values."""
    label = " ".join(f"WHEN '{name}' THEN '{rel.target}'" for name, rel in _LINKS.items())
    columns = ", ".join(f"[use IN uses | {read(column, 'use[1]')}]" for column in _USE)
    return (
        f"{_shared()} WITH t, type, uses, members, CASE type {label} END AS label "
        "ORDER BY members DESC, t.degree, label, t.key LIMIT $limit "
        f"RETURN type, label, t.key, t.display, t.hidden, t.degree, members, [use IN uses | use[0]], {columns}"
    )


def _relationships(members: Sequence[str], found: Sequence[Sequence[Any]]) -> pa.Table:
    """Who uses which, by row number."""
    counts = [len(row[_OF_IDENTIFIER]) for row in found]
    sources, *columns = (
        [value for row in found for value in row[place]]
        for place in range(_OF_IDENTIFIER, _OF_IDENTIFIER + 1 + len(_USE))
    )
    source = pc.index_in(pa.array(sources, pa.string()), value_set=pa.array(members, pa.string()))
    target = np.repeat(np.arange(len(found), dtype=np.int32), counts)
    types = pa.array([row[0] for row in found], pa.string()).take(pa.array(target))
    named = {"type": types, "source": source, "target": pa.array(target)}
    named |= {column.name: to_arrow(values, column) for column, values in zip(_USE, columns, strict=True)}
    order = np.lexsort((source.to_numpy(zero_copy_only=False), target))
    return pa.table(named).take(pa.array(order)).combine_chunks()
