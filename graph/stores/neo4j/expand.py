"""Traversal in Neo4j: relationships at a frontier, and what two organizations share.

The texts of the statements do not depend on the question, so that the server plans each of them once. What is asked
for goes into maps: the server plans anew for other lengths of lists, but does not look into maps.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from graph.errors import RingfenceError
from graph.schema import DEGREE_OF, NODES, RELATIONSHIPS, RelationshipType
from graph.store import Expansion, NodeRef, Page, Relationship, SharedIdentifier
from graph.stores.neo4j.nodes import encodable
from graph.stores.neo4j.schema import (
    Transaction,
    by_key,
    by_target,
    incoming,
    match,
    number,
    outgoing,
    quoted,
    read,
    rows,
    select,
    to_properties,
)

NO_CAP = 2**62
_WALK = 5_000
"""Relationships of a target from which on it may be cheaper to walk along the sources in order."""

_SOURCES = tuple(dict.fromkeys(rel.source for rel in RELATIONSHIPS.values()))
_TARGETS = tuple(dict.fromkeys(rel.target for rel in RELATIONSHIPS.values()))

Row = tuple[str, str, str, int, Sequence[Any]]  # type, target key, source key, degree, properties


def check_types(types: Collection[str] | None) -> None:
    """Raise RingfenceError for a relationship that there is not."""
    unknown = sorted(set(types or ()) - set(RELATIONSHIPS))
    if unknown:
        raise RingfenceError(
            f"there is no relationship {unknown[0]}",
            f"Choose from: {', '.join(RELATIONSHIPS)}.",
            exit_code=2,
        )


def expand(
    tx: Transaction,
    run: int,
    frontier: Collection[NodeRef],
    types: Collection[str] | None,
    degree_cap: int | None,
    limit: int,
) -> Expansion:
    """See `GraphStore.expand`."""
    step = _Step.of(tx, run, frontier, types, NO_CAP if degree_cap is None else degree_cap)
    found = {row[:3]: row for row in [*step.from_sources(limit + 1), *step.from_targets(limit + 1)]}
    ordered = sorted(found)
    total = len(found) if len(found) <= limit else step.count()
    return Expansion(
        items=tuple(_relationship(found[at]) for at in ordered[:limit]), total=total, hubs=len(step.hubs)
    )


@dataclass
class _Step:
    """The relationships at a frontier, seen from both of their ends.

    From the sources' side the work is bounded by what the sources use. From the targets' side only so many targets
    are read as are needed to fill the answer, which their degrees tell beforehand.
    """

    tx: Transaction
    run: int
    types: list[str]
    cap: int
    sources: dict[str, list[str]]
    targets: dict[str, dict[str, int]]
    hubs: set[tuple[str, str]] = field(default_factory=set)

    @classmethod
    def of(
        cls, tx: Transaction, run: int, frontier: Collection[NodeRef], types: Collection[str] | None, cap: int
    ) -> _Step:
        """Locate the nodes of a frontier."""
        wanted = sorted(RELATIONSHIPS if types is None else set(types))
        keys: dict[str, set[str]] = defaultdict(set)
        for ref in frontier:
            if ref.label in NODES and encodable(ref.key):
                keys[ref.label].add(ref.key)
        ends = {label for name in wanted for label in [RELATIONSHIPS[name].source]}
        sources = {label: sorted(keys[label]) for label in _SOURCES if label in ends and keys[label]}
        ends = {RELATIONSHIPS[name].target for name in wanted}
        step = cls(tx, run, wanted, cap, sources, {})
        asked = {label: sorted(keys[label]) for label in _TARGETS if label in ends and keys[label]}
        if asked:
            step.locate(asked)
        return step

    def locate(self, asked: dict[str, list[str]]) -> None:
        """Note the targets in the frontier by their degrees, or as hubs."""
        lists = {label: asked.get(label, []) for label in _TARGETS}
        self.targets = {label: {} for label in asked}
        for label, key, degree in rows(self.tx, _locate(), run=self.run, keys=lists):
            if degree is None or degree <= self.cap:
                self.targets[label][key] = degree or 0
            else:
                self.hubs.add((label, key))

    def from_sources(self, limit: int) -> Iterable[Row]:
        """The first relationships that start in the frontier; hubs that they lead to are noted."""
        if not self.sources:
            return
        lists = {label: self.sources.get(label, []) for label in _SOURCES}
        asked = {"types": self.types, "cap": self.cap, "limit": limit}
        for name, target, source, degree, stored in rows(
            self.tx, _outward(), run=self.run, keys=lists, asked=asked
        ):
            if source is None:
                self.hubs.add((RELATIONSHIPS[name].target, target))
            else:
                yield name, target, source, degree, stored

    def from_targets(self, limit: int) -> Iterable[Row]:
        """The first relationships that end in the frontier."""
        whole: dict[str, list[str]] = defaultdict(list)
        filled = 0
        last: tuple[RelationshipType, str, int] | None = None
        for rel, key, degree in self._ends():
            if filled + degree >= limit:
                last = (rel, key, degree)
                break
            whole[rel.name].append(key)
            filled += degree
        if filled:
            lists = {name: whole.get(name, []) for name in RELATIONSHIPS}
            for name, target, source, degree, stored in rows(self.tx, _inward(), run=self.run, keys=lists):
                yield name, target, source, degree, stored
        if last is not None:
            rel, key, degree = last
            yield from self._some(rel, key, degree, limit - filled)

    def count(self) -> int:
        """How many relationships there are in all."""
        at_targets = sum(degree for _, _, degree in self._ends())
        if not self.sources:
            return at_targets
        lists = {label: self.sources.get(label, []) for label in _SOURCES}
        inside = {label: list(self.targets.get(label, ())) for label in _TARGETS}
        # A relationship with both ends in the frontier is counted once, as one of its target's.
        asked = {"types": self.types, "cap": self.cap, "inside": inside}
        counted = number(self.tx, _count(), run=self.run, keys=lists, asked=asked)
        return at_targets + counted

    def _ends(self) -> Iterable[tuple[RelationshipType, str, int]]:
        """The targets in the frontier by type, ascending by key."""
        for name in self.types:
            rel = RELATIONSHIPS[name]
            for key in sorted(self.targets.get(rel.target, ())):
                yield rel, key, self.targets[rel.target][key]

    def _some(self, rel: RelationshipType, key: str, degree: int, limit: int) -> Iterable[Row]:
        """The first relationships of one target.

        Sorting all of them costs as much as there are. Where they are many it is cheaper to walk along all
        nodes that could be their sources, in order, until enough of them are.
        """
        statement = _first(rel)
        if degree > _WALK:
            every = number(self.tx, f"MATCH (n:{quoted(rel.source)}) RETURN count(n)")
            if every * limit < degree * degree:
                statement = _walk(rel)
        for source, stored in rows(self.tx, statement, run=self.run, key=key, limit=limit):
            yield rel.name, key, source, degree, stored


def _relationship(row: Row) -> Relationship:
    name, target, source, degree, stored = row
    rel = RELATIONSHIPS[name]
    return Relationship(
        type=name,
        source=NodeRef(rel.source, source),
        target=NodeRef(rel.target, target),
        degree=degree,
        properties=to_properties(stored, rel.properties),
    )


def _stored(rel: RelationshipType) -> str:
    return f"[{select(rel.properties, 'r')}]"


@cache
def _locate() -> str:
    parts = [
        f"UNWIND $keys.{quoted(label)} AS key MATCH {match('t', NODES[label], 'key')} "
        f"RETURN '{label}' AS label, key, t.{quoted(DEGREE_OF[label])} AS degree"
        for label in _TARGETS
    ]
    return " UNION ALL ".join(parts)


@cache
def _outward() -> str:
    parts = []
    for label in _SOURCES:
        start = _started(label)
        stored = by_target({rel.name: _stored(rel) for rel in outgoing(label)})
        source = f"s.{quoted(NODES[label].key.name)}"
        parts.append(
            f"{start} AND degree <= $asked.cap WITH r, type, target, degree, {source} AS source "
            f"ORDER BY type, target, source LIMIT $asked.limit RETURN type, target, source, degree, {stored} AS stored"
        )
        parts.append(
            f"{start} AND degree > $asked.cap RETURN DISTINCT type, target, null AS source, degree, null AS stored"
        )
    return " UNION ALL ".join(parts)


@cache
def _count() -> str:
    parts = []
    for label in _SOURCES:
        inside = by_target({rel.name: f"$asked.inside.{quoted(rel.target)}" for rel in outgoing(label)})
        parts.append(
            f"{_started(label)} AND degree <= $asked.cap AND NOT target IN {inside} RETURN count(*) AS some"
        )
    return f"CALL () {{ {' UNION ALL '.join(parts)} }} RETURN sum(some)"


def _started(label: str) -> str:
    """What starts at the sources of a label: the relationship, its type, the target's key and degree."""
    leaving = outgoing(label)
    target = by_target({rel.name: f"t.{quoted(NODES[rel.target].key.name)}" for rel in leaving})
    degree = by_target({rel.name: f"t.{quoted(rel.degree)}" for rel in leaving})
    return (
        f"UNWIND $keys.{quoted(label)} AS key MATCH {match('s', NODES[label], 'key')} MATCH (s)-[r]->(t) "
        f"WITH r, s, type(r) AS type, {target} AS target, {degree} AS degree WHERE type IN $asked.types"
    )


@cache
def _inward() -> str:
    parts = []
    for label in _TARGETS:
        for rel in incoming(label):
            parts.append(
                f"UNWIND $keys.{quoted(rel.name)} AS key MATCH {match('t', NODES[label], 'key')} "
                f"MATCH (t)<-[r:{quoted(rel.name)}]-(s) RETURN '{rel.name}' AS type, key AS target, "
                f"s.{quoted(NODES[rel.source].key.name)} AS source, t.{quoted(rel.degree)} AS degree, "
                f"{_stored(rel)} AS stored"
            )
    return " UNION ALL ".join(parts)


def _first(rel: RelationshipType) -> str:
    source = f"s.{quoted(NODES[rel.source].key.name)}"
    return (
        f"MATCH {match('t', NODES[rel.target], '$key')} MATCH (t)<-[r:{quoted(rel.name)}]-(s) "
        f"WITH r, {source} AS source ORDER BY source LIMIT $limit RETURN source, {_stored(rel)}"
    )


def _walk(rel: RelationshipType) -> str:
    source, label = NODES[rel.source].key.name, quoted(rel.source)
    return (
        f"MATCH {match('t', NODES[rel.target], '$key')} WITH t "
        f"MATCH (s:{label}) {by_key('s', NODES[rel.source])} "
        f"WHERE s.run = $run AND s.{quoted(source)} >= '' WITH s, t ORDER BY s.run, s.{quoted(source)} "
        f"MATCH (s)-[r:{quoted(rel.name)}]->(t) WITH r, s LIMIT $limit "
        f"RETURN s.{quoted(source)} AS source, {_stored(rel)}"
    )


def shared_identifiers(
    tx: Transaction, run: int, a: NodeRef, b: NodeRef, limit: int
) -> Page[SharedIdentifier]:
    """See `GraphStore.shared_identifiers`."""
    links = [rel for rel in outgoing(a.label) if rel.evidence]
    if a.label != b.label or not links or not (encodable(a.key) and encodable(b.key)):
        return Page((), 0)
    items: list[SharedIdentifier] = []
    for name, key, shown, degree, of_a, of_b in rows(tx, _shared(a.label), run=run, a=a.key, b=b.key):
        rel = RELATIONSHIPS[name]
        items.append(
            SharedIdentifier(
                type=name,
                identifier=NodeRef(rel.target, key),
                name=shown,
                degree=degree,
                a=to_properties(of_a, rel.properties),
                b=to_properties(of_b, rel.properties),
            )
        )
    items.sort(key=lambda item: (item.degree, item.type, item.identifier.key))
    return Page(tuple(items[:limit]), len(items))


@cache
def _shared(label: str) -> str:
    """What two nodes point at by evidence, from the side of both, so that a hub between them costs nothing."""
    node = NODES[label]
    links = [rel for rel in outgoing(label) if rel.evidence]
    names = "|".join(quoted(rel.name) for rel in links)
    key = by_target({rel.name: f"t.{quoted(NODES[rel.target].key.name)}" for rel in links})
    shown = by_target({rel.name: f"t.{quoted(NODES[rel.target].name)}" for rel in links})
    degree = by_target({rel.name: f"t.{quoted(rel.degree)}" for rel in links})
    of_both = [
        by_target(
            {rel.name: "[" + ", ".join(read(one, end) for one in rel.properties) + "]" for rel in links}
        )
        for end in ("r", "q")
    ]
    return (
        f"MATCH {match('a', node, '$a')} MATCH {match('b', node, '$b')} "
        f"MATCH (a)-[r:{names}]->(t) WITH b, r, t MATCH (b)-[q:{names}]->(t) WHERE type(q) = type(r) "
        f"RETURN type(r), {key}, {shown}, {degree}, {of_both[0]}, {of_both[1]}"
    )
