"""Traversal in SQLite: relationships at a frontier, and what two organizations share."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from graph.schema import DEGREE_OF, NODES, RELATIONSHIPS, RelationshipType
from graph.store import Expansion, NodeRef, Page, Relationship, SharedIdentifier
from graph.stores.sqlite.schema import Connection, key_match, key_text, quoted, select_list, to_properties

NO_CAP = 2**62
_END_COLUMNS = 5  # target id, source id, target key, source key, degree: what `_select` puts first


@dataclass(frozen=True)
class _Ends:
    """The nodes of a frontier by label: ids as (id, degree), ascending."""

    by_label: dict[str, list[tuple[int, int]]]

    def sources(self, rel: RelationshipType) -> list[int]:
        return [node for node, _ in self.by_label.get(rel.source, ())]

    def targets(self, rel: RelationshipType) -> list[tuple[int, int]]:
        return self.by_label.get(rel.target, [])


def expand(
    connection: Connection,
    frontier: Collection[NodeRef],
    types: Collection[str] | None,
    degree_cap: int | None,
    limit: int,
) -> Expansion:
    """See `GraphStore.expand`."""
    cap = NO_CAP if degree_cap is None else degree_cap
    ends = _locate(connection, frontier)
    items: list[Relationship] = []
    total = 0
    hubs: set[tuple[str, int]] = set()
    for name in sorted(RELATIONSHIPS if types is None else set(types)):
        rel = RELATIONSHIPS[name]
        if rel.source not in ends.by_label and rel.target not in ends.by_label:
            continue
        step = _Step(connection, rel, ends.sources(rel), ends.targets(rel), cap)
        room = max(limit - len(items), 0)
        rows = step.rows(room + 1)
        items += [_relationship(rel, row) for row in rows[:room]]
        total += len(rows) if len(rows) <= room else step.count()
        hubs |= {(rel.target, hub) for hub in step.hubs()}
    return Expansion(tuple(items), total, len(hubs))


class _Step:
    """The relationships of one type at a frontier, seen from both of their ends.

    From the sources' side the query is bounded by what the sources use. From the targets' side only so many
    targets are read as are needed to fill the answer, which their degrees tell beforehand.
    """

    def __init__(
        self,
        connection: Connection,
        rel: RelationshipType,
        sources: list[int],
        targets: list[tuple[int, int]],
        cap: int,
    ) -> None:
        self._connection = connection
        self._rel = rel
        self._sources = json.dumps(sources) if sources else None
        self._targets = [(node, degree) for node, degree in targets if degree <= cap]
        self._skipped = {node for node, degree in targets if degree > cap}
        self._cap = cap
        source, target = NODES[rel.source], NODES[rel.target]
        self._degree = quoted(rel.degree)
        self._ends = f"CROSS JOIN {quoted(target.label)} t ON t.id = e.target"
        self._select = (
            f"SELECT e.target, e.source, t.{quoted(target.key.name)}, s.{quoted(source.key.name)}, "
            f"t.{self._degree}{select_list(rel.properties, 'e')}"
        )
        self._joins = f"{self._ends} CROSS JOIN {quoted(source.label)} s ON s.id = e.source"
        self._at_source = f"FROM json_each(?) f CROSS JOIN {quoted(rel.name)} e ON e.source = f.value"
        self._at_target = f"FROM json_each(?) f CROSS JOIN {quoted(rel.name)} e ON e.target = f.value"

    def rows(self, limit: int) -> list[tuple[Any, ...]]:
        """The first rows in the order of target and source."""
        seen: dict[tuple[int, int], tuple[Any, ...]] = {}
        for row in [*self._from_sources(limit), *self._from_targets(limit)]:
            seen[row[0], row[1]] = row
        return [seen[pair] for pair in sorted(seen)[:limit]]

    def count(self) -> int:
        """How many rows there are in all."""
        at_targets = sum(degree for _, degree in self._targets)
        if self._sources is None:
            return at_targets
        counted = f"SELECT count(*) {self._at_source} {self._ends} WHERE t.{self._degree} <= ?"
        at_sources = self._number(counted, [self._sources, self._cap])
        both = 0
        if self._targets:
            inside = f"{counted} AND e.target IN (SELECT value FROM json_each(?))"
            ids = json.dumps([node for node, _ in self._targets])
            both = self._number(inside, [self._sources, self._cap, ids])
        return at_sources + at_targets - both

    def hubs(self) -> set[int]:
        """Targets that were left out."""
        if self._sources is None or self._cap == NO_CAP:
            return self._skipped
        query = f"SELECT DISTINCT e.target {self._at_source} {self._ends} WHERE t.{self._degree} > ?"
        return self._skipped | {row[0] for row in self._connection.execute(query, [self._sources, self._cap])}

    def _from_sources(self, limit: int) -> Iterable[tuple[Any, ...]]:
        if self._sources is None:
            return []
        query = (
            f"{self._select} {self._at_source} {self._joins} "
            f"WHERE t.{self._degree} <= ? ORDER BY e.target, e.source LIMIT ?"
        )
        return list(self._connection.execute(query, [self._sources, self._cap, limit]))

    def _from_targets(self, limit: int) -> Iterable[tuple[Any, ...]]:
        whole: list[int] = []
        filled = 0
        last: int | None = None
        for node, degree in self._targets:
            if filled + degree >= limit:
                last = node
                break
            whole.append(node)
            filled += degree
        rows: list[tuple[Any, ...]] = []
        if whole:
            query = f"{self._select} {self._at_target} {self._joins} ORDER BY e.target, e.source"
            rows += self._connection.execute(query, [json.dumps(whole)])
        if last is not None:
            query = (
                f"{self._select} FROM {quoted(self._rel.name)} e {self._joins} "
                "WHERE e.target = ? ORDER BY e.source LIMIT ?"
            )
            rows += self._connection.execute(query, [last, limit - filled])
        return rows

    def _number(self, query: str, bindings: Sequence[Any]) -> int:
        return int(next(iter(self._connection.execute(query, bindings)))[0])


def _locate(connection: Connection, frontier: Collection[NodeRef]) -> _Ends:
    keys: dict[str, set[str]] = defaultdict(set)
    for ref in frontier:
        if ref.label in NODES:
            keys[ref.label].add(ref.key)
    located: dict[str, list[tuple[int, int]]] = {}
    for label, wanted in keys.items():
        node = NODES[label]
        counted = DEGREE_OF.get(label)
        degree = f"n.{quoted(counted)}" if counted else "0"
        query = (
            f"SELECT n.id, {degree} FROM json_each(?) f CROSS JOIN {quoted(label)} n "
            f"ON n.{quoted(node.key.name)} = {key_match(node, 'f.value')} ORDER BY n.id"
        )
        found = [tuple(row) for row in connection.execute(query, [json.dumps(sorted(wanted))])]
        if found:
            located[label] = found
    return _Ends(located)


def _relationship(rel: RelationshipType, row: Sequence[Any]) -> Relationship:
    _, _, target, source, degree = row[:_END_COLUMNS]
    return Relationship(
        type=rel.name,
        source=NodeRef(rel.source, key_text(source)),
        target=NodeRef(rel.target, key_text(target)),
        degree=degree,
        properties=to_properties(row[_END_COLUMNS:], rel.properties),
    )


def shared_identifiers(connection: Connection, a: NodeRef, b: NodeRef, limit: int) -> Page[SharedIdentifier]:
    """See `GraphStore.shared_identifiers`."""
    items: list[SharedIdentifier] = []
    for rel in RELATIONSHIPS.values():
        if rel.evidence and rel.source == a.label == b.label:
            items += _shared(connection, rel, a.key, b.key)
    items.sort(key=lambda item: (item.degree, item.type, item.identifier.key))
    return Page(tuple(items[:limit]), len(items))


def _shared(connection: Connection, rel: RelationshipType, a: str, b: str) -> Iterable[SharedIdentifier]:
    source, target = NODES[rel.source], NODES[rel.target]
    table, organizations = quoted(rel.name), quoted(source.label)
    this = f"(SELECT id FROM {organizations} WHERE {quoted(source.key.name)} = {key_match(source, '?')})"
    query = (
        f"SELECT t.{quoted(target.key.name)}, t.{quoted(target.name)}, t.{quoted(rel.degree)}"
        f"{select_list(rel.properties, 'x')}{select_list(rel.properties, 'y')} "
        f"FROM {table} x CROSS JOIN {table} y ON y.target = x.target AND y.source = {this} "
        f"CROSS JOIN {quoted(target.label)} t ON t.id = x.target WHERE x.source = {this}"
    )
    width = len(rel.properties)
    for key, name, degree, *properties in connection.execute(query, [b, a]):
        yield SharedIdentifier(
            type=rel.name,
            identifier=NodeRef(target.label, key_text(key)),
            name=name,
            degree=degree,
            a=to_properties(properties[:width], rel.properties),
            b=to_properties(properties[width:], rel.properties),
        )
