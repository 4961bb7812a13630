"""Traversal in SQLite: relationships at a frontier, and what two organizations share."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from graph.schema import DEGREE_OF, NODES, RELATIONSHIPS, RelationshipType
from graph.store import Expansion, Follow, NodeRef, Page, Relationship, SharedIdentifier
from graph.stores.sqlite.schema import READERS, Connection, key_match, key_text, quoted, select_list

NO_CAP = 2**62

FEW = 2_000
"""Up to so many relationships of sources are read at once, those to hubs too."""

Row = tuple[Any, ...]
_ENDS = 5
"""What every row begins with: ids of target and source, keys of target and source, degree."""


@dataclass(frozen=True)
class _Ends:
    """The nodes of a frontier by label: ids as (id, degree, key), ascending."""

    by_label: dict[str, list[tuple[int, int, str]]]

    def sources(self, rel: RelationshipType) -> list[int]:
        return [node for node, _, _ in self.by_label.get(rel.source, ())]

    def targets(self, rel: RelationshipType) -> list[tuple[int, int, str]]:
        return self.by_label.get(rel.target, [])


def expand(
    connection: Connection,
    frontier: Collection[NodeRef],
    types: Collection[str] | None,
    degree_cap: int | None,
    limit: int,
    follow: Follow,
) -> Expansion:
    """See `GraphStore.expand`."""
    cap = NO_CAP if degree_cap is None else degree_cap
    ends = _locate(connection, frontier)
    items: list[Relationship] = []
    total = 0
    hubs: set[NodeRef] = set()
    for name in sorted(RELATIONSHIPS if types is None else set(types)):
        rel = RELATIONSHIPS[name]
        sources = ends.sources(rel) if follow is not Follow.IN else []
        targets = ends.targets(rel) if follow is not Follow.OUT else []
        if not sources and not targets:
            continue
        step = _Step(connection, rel, sources, targets, cap)
        room = max(limit - len(items), 0)
        rows = step.rows(room + 1)
        items += _relationships(rel, rows[:room])
        total += len(rows) if len(rows) <= room else step.count()
        hubs |= step.hubs
    return Expansion(tuple(items), total, frozenset(hubs))


@dataclass(frozen=True)
class _Statements:
    """What is asked about the relationships of one type; a frontier's ids are bound as a JSON list."""

    any_of_sources: str
    first_of_sources: str
    hubs_of_sources: str
    count_of_sources: str
    count_to_others: str
    of_targets: str
    first_of_target: str


@cache
def _statements(name: str) -> _Statements:
    rel = RELATIONSHIPS[name]
    source, target = NODES[rel.source], NODES[rel.target]
    degree = f"t.{quoted(rel.degree)}"
    key = f"t.{quoted(target.key.name)}"
    ends = f"CROSS JOIN {quoted(target.label)} t ON t.id = e.target"
    joins = f"{ends} CROSS JOIN {quoted(source.label)} s ON s.id = e.source"
    select = (
        f"SELECT e.target, e.source, {key}, s.{quoted(source.key.name)}, {degree}"
        f"{select_list(rel.properties, 'e')}"
    )
    at_source = f"FROM json_each(?) f CROSS JOIN {quoted(rel.name)} e ON e.source = f.value"
    at_target = f"FROM json_each(?) f CROSS JOIN {quoted(rel.name)} e ON e.target = f.value"
    counted = f"SELECT count(*) {at_source} {ends} WHERE {degree} <= ?"
    return _Statements(
        any_of_sources=f"{select} {at_source} {joins} LIMIT ?",
        first_of_sources=f"{select} {at_source} {joins} WHERE {degree} <= ? ORDER BY e.target, e.source LIMIT ?",
        hubs_of_sources=f"SELECT DISTINCT {key} {at_source} {ends} WHERE {degree} > ?",
        count_of_sources=counted,
        count_to_others=f"{counted} AND e.target NOT IN (SELECT value FROM json_each(?))",
        of_targets=f"{select} {at_target} {joins} ORDER BY e.target, e.source",
        first_of_target=(
            f"{select} FROM {quoted(rel.name)} e {joins} WHERE e.target = ? ORDER BY e.source LIMIT ?"
        ),
    )


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
        targets: list[tuple[int, int, str]],
        cap: int,
    ) -> None:
        self._connection = connection
        self._rel = rel
        self._sources = json.dumps(sources) if sources else None
        self._targets = [(node, degree) for node, degree, _ in targets if degree <= cap]
        self._cap = cap
        self._statements = _statements(rel.name)
        self.hubs = {NodeRef(rel.target, key) for _, degree, key in targets if degree > cap}

    def rows(self, limit: int) -> list[Row]:
        """The first rows in the order of target and source; hubs that were left out are noted."""
        seen: dict[tuple[int, int], Row] = {}
        for row in [*self._from_sources(limit), *self._from_targets(limit)]:
            seen[row[0], row[1]] = row
        return [seen[pair] for pair in sorted(seen)[:limit]]

    def count(self) -> int:
        """How many rows there are in all."""
        at_targets = sum(degree for _, degree in self._targets)
        if self._sources is None:
            return at_targets
        if not self._targets:
            return self._number(self._statements.count_of_sources, [self._sources, self._cap])
        ids = json.dumps([node for node, _ in self._targets])
        return at_targets + self._number(self._statements.count_to_others, [self._sources, self._cap, ids])

    def _from_sources(self, limit: int) -> Iterable[Row]:
        if self._sources is None:
            return []
        every = list(self._connection.execute(self._statements.any_of_sources, [self._sources, FEW + 1]))
        if len(every) <= FEW:
            self._leave_out(row[2] for row in every if row[4] > self._cap)
            return [row for row in every if row[4] <= self._cap]
        if self._cap != NO_CAP:
            query = self._statements.hubs_of_sources
            self._leave_out(row[0] for row in self._connection.execute(query, [self._sources, self._cap]))
        query = self._statements.first_of_sources
        return list(self._connection.execute(query, [self._sources, self._cap, limit]))

    def _leave_out(self, keys: Iterable[Any]) -> None:
        self.hubs |= {NodeRef(self._rel.target, key_text(key)) for key in set(keys)}

    def _from_targets(self, limit: int) -> Iterable[Row]:
        whole: list[int] = []
        filled = 0
        last: int | None = None
        for node, degree in self._targets:
            if filled + degree >= limit:
                last = node
                break
            whole.append(node)
            filled += degree
        rows: list[Row] = []
        if whole:
            rows += self._connection.execute(self._statements.of_targets, [json.dumps(whole)])
        if last is not None:
            query = self._statements.first_of_target
            rows += self._connection.execute(query, [last, limit - filled])
        return rows

    def _number(self, query: str, bindings: Sequence[Any]) -> int:
        return int(next(iter(self._connection.execute(query, bindings)))[0])


def _locate(connection: Connection, frontier: Collection[NodeRef]) -> _Ends:
    keys: dict[str, set[str]] = defaultdict(set)
    for ref in frontier:
        if ref.label in NODES:
            keys[ref.label].add(ref.key)
    located: dict[str, list[tuple[int, int, str]]] = {}
    for label, wanted in keys.items():
        found = list(connection.execute(_located(label), [json.dumps(sorted(wanted))]))
        if found:
            located[label] = found
    return _Ends(located)


@cache
def _located(label: str) -> str:
    node = NODES[label]
    counted = DEGREE_OF.get(label)
    degree = f"n.{quoted(counted)}" if counted else "0"
    return (
        f"SELECT n.id, {degree}, f.value FROM json_each(?) f CROSS JOIN {quoted(label)} n "
        f"ON n.{quoted(node.key.name)} = {key_match(node, 'f.value')} ORDER BY n.id"
    )


def _relationships(rel: RelationshipType, rows: Iterable[Row]) -> Iterator[Relationship]:
    read = READERS[rel.name]
    ends: dict[tuple[str, Any], NodeRef] = {}

    def end(label: str, key: Any) -> NodeRef:
        known = ends.get((label, key))
        if known is None:
            known = ends[label, key] = NodeRef(label, key_text(key))
        return known

    for row in rows:
        yield Relationship(
            type=rel.name,
            source=end(rel.source, row[3]),
            target=end(rel.target, row[2]),
            degree=row[4],
            properties=read(row[_ENDS:]),
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
    width, read = len(rel.properties), READERS[rel.name]
    for key, name, degree, *properties in connection.execute(query, [b, a]):
        yield SharedIdentifier(
            type=rel.name,
            identifier=NodeRef(target.label, key_text(key)),
            name=name,
            degree=degree,
            a=read(properties[:width]),
            b=read(properties[width:]),
        )
