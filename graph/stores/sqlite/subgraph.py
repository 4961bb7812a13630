"""A whole cluster by column: members, what they share, and who uses which.

Everything is asked from the members' side, so that an identifier which a million others use costs no more than
any other.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from graph.schema import NODES, RELATIONSHIPS, Property, PropertyType, RelationshipType
from graph.store import NodeRef, Subgraph
from graph.stores.sqlite.nodes import get_nodes, with_kept
from graph.stores.sqlite.schema import Connection, quoted, select_list, to_arrow

Ints = npt.NDArray[np.int64]

_ORGANIZATION = NODES["Organization"]
_MEMBER_OF = RELATIONSHIPS["MEMBER_OF"]
_LINKS = sorted(
    (rel for rel in RELATIONSHIPS.values() if rel.evidence and rel.source == _ORGANIZATION.label),
    key=lambda rel: rel.target,
)
_MEMBERS = '(SELECT source FROM "MEMBER_OF" WHERE target = (SELECT id FROM "Cluster" WHERE cluster_id = ?))'
_IDENTIFIER = (
    Property("label", PropertyType.TEXT, "Label."),
    Property("key", PropertyType.TEXT, "Key as hex."),
    Property("display", PropertyType.TEXT, "What people see."),
    Property("hidden", PropertyType.BOOLEAN, "Some spelling of it hid something."),
    Property("degree", PropertyType.INTEGER, "Organizations that use it."),
    Property("members", PropertyType.INTEGER, "Those of the cluster."),
)
_USE = _LINKS[0].properties


@dataclass(frozen=True)
class _Shared:
    """Identifiers of one label that enough members use, ascending by key, as rows of `_IDENTIFIER`.

    `uses` are all links of the members to this label: by row target, source and the properties.
    """

    rel: RelationshipType
    ids: list[int]
    rows: list[tuple[Any, ...]]
    uses: list[tuple[Any, ...]]

    def only(self, rows: list[int]) -> _Shared:
        """Some of the identifiers."""
        return _Shared(self.rel, [self.ids[row] for row in rows], [self.rows[row] for row in rows], self.uses)


def cluster_subgraph(
    connection: Connection, cluster_id: str, min_members: int, limit: int
) -> Subgraph | None:
    """See `GraphStore.cluster_subgraph`."""
    ref = NodeRef("Cluster", cluster_id)
    cluster = get_nodes(connection, [ref]).get(ref)
    if cluster is None:
        return None
    members, organizations = _members(connection, cluster_id)
    found = [_shared(connection, rel, cluster_id, min_members) for rel in _LINKS]
    total = sum(len(shared.ids) for shared in found)
    if total > limit:
        found = _most_shared(found, limit)
    return Subgraph(
        cluster=cluster,
        organizations=organizations,
        identifiers=_table([row for shared in found for row in shared.rows], _IDENTIFIER),
        relationships=_relationships(found, members),
        total=total,
    )


def _members(connection: Connection, cluster_id: str) -> tuple[Ints, pa.Table]:
    """Ids of a cluster's organizations, ascending, and what is known of them."""
    columns, join = with_kept(_ORGANIZATION, "n")
    query = (
        f"SELECT m.source{columns}{select_list(_MEMBER_OF.properties, 'm')} "
        'FROM "Cluster" c CROSS JOIN "MEMBER_OF" m ON m.target = c.id '
        f"CROSS JOIN {quoted(_ORGANIZATION.label)} n ON n.id = m.source {join} "
        "WHERE c.cluster_id = ? ORDER BY m.source"
    )
    rows = list(connection.execute(query, [cluster_id]))
    ids = np.array([row[0] for row in rows], dtype=np.int64)
    kinds = (*_ORGANIZATION.columns, *_ORGANIZATION.kept, *_MEMBER_OF.properties)
    return ids, _table([row[1:] for row in rows], kinds)


def _shared(connection: Connection, rel: RelationshipType, cluster_id: str, least: int) -> _Shared:
    node = NODES[rel.target]
    used = (
        f"SELECT e.target, e.source{select_list(_USE, 'e')} FROM {_MEMBERS} m "
        f"CROSS JOIN {quoted(rel.name)} e ON e.source = m.source"
    )
    uses = list(connection.execute(used, [cluster_id]))
    targets, members = np.unique(_column(uses, 0), return_counts=True)
    enough = members >= least
    shown = (
        f"SELECT t.id, lower(hex(t.{quoted(node.key.name)})), t.display, t.hidden, t.{quoted(rel.degree)} "
        f"FROM json_each(?) f CROSS JOIN {quoted(node.label)} t ON t.id = f.value ORDER BY t.id"
    )
    nodes = connection.execute(shown, [json.dumps(targets[enough].tolist())])
    counted = zip(nodes, members[enough].tolist(), strict=True)
    rows = [(node.label, *shown, count) for (_, *shown), count in counted]
    return _Shared(rel, targets[enough].tolist(), rows, uses)


def _most_shared(found: Sequence[_Shared], limit: int) -> list[_Shared]:
    """Those that most members use, then those that fewest organizations use, then the first."""
    places = [(at, row) for at, shared in enumerate(found) for row in range(len(shared.ids))]
    figures = np.array([found[at].rows[row][-2:] for at, row in places], dtype=np.int64)
    best = np.lexsort((np.arange(len(places)), figures[:, 0], -figures[:, 1]))[:limit]
    kept: list[list[int]] = [[] for _ in found]
    for place in sorted(best.tolist()):
        at, row = places[place]
        kept[at].append(row)
    return [shared.only(rows) for shared, rows in zip(found, kept, strict=True)]


def _relationships(found: Sequence[_Shared], members: Ints) -> pa.Table:
    """Who uses which, by row number."""
    parts: list[pa.Table] = []
    before = 0
    for shared in found:
        ids = np.array(shared.ids, dtype=np.int64)
        target, source = _column(shared.uses, 0), _column(shared.uses, 1)
        order = np.lexsort((source, target))
        order = order[np.isin(target[order], ids)]
        uses = [shared.uses[row] for row in order.tolist()]
        columns = {
            "type": pa.array([shared.rel.name] * len(uses), pa.string()),
            "source": pa.array(np.searchsorted(members, source[order]).astype(np.int32)),
            "target": pa.array((np.searchsorted(ids, target[order]) + before).astype(np.int32)),
        }
        properties = _table([row[2:] for row in uses], _USE)
        parts.append(pa.table(columns | {name: properties[name] for name in properties.column_names}))
        before += len(ids)
    return pa.concat_tables(parts).combine_chunks()


def _column(rows: Sequence[Sequence[Any]], at: int) -> Ints:
    return np.array([row[at] for row in rows], dtype=np.int64)


def _table(rows: Sequence[Sequence[Any]], columns: Sequence[Property]) -> pa.Table:
    stored = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    return pa.table(
        [to_arrow(values, column) for values, column in zip(stored, columns, strict=True)],
        schema=pa.schema([pa.field(column.name, column.type.arrow) for column in columns]),
    )
