"""Traversal in Neo4j: relationships at a frontier, and what two organizations share.

The texts of the statements do not depend on the question, so that the server plans each of them once. What is asked
for goes into maps: the server plans anew for other lengths of lists, but does not look into maps.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from typing import Any

from graph.errors import RingfenceError
from graph.schema import DEGREE_OF, NODES, RELATIONSHIPS, RelationshipType
from graph.store import Expansion, Follow, NodeRef, Page, Relationship, SharedIdentifier, Value
from graph.stores.neo4j.nodes import encodable
from graph.stores.neo4j.schema import (
    Transaction,
    by_key,
    by_name,
    by_target,
    incoming,
    lists,
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

_AT, _FROM, _HUBS = "at", "from", "hubs"
"""What a row of the first statement is about."""

_SOURCES = tuple(dict.fromkeys(rel.source for rel in RELATIONSHIPS.values()))
_TARGETS = tuple(dict.fromkeys(rel.target for rel in RELATIONSHIPS.values()))

Ends = tuple[str, str, str]  # type, target key, source key: the order of answers


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
    follow: Follow,
) -> Expansion:
    """See `GraphStore.expand`."""
    step = _Step(tx, run, sorted(RELATIONSHIPS if types is None else set(types)), degree_cap)
    step.start(frontier, follow, limit + 1)
    step.read_targets(limit + 1)
    ordered = sorted(step.found)
    total = len(ordered) if len(ordered) <= limit else step.count()
    return Expansion(
        items=tuple(_relationship(at, *step.found[at]) for at in ordered[:limit]),
        total=total,
        left_out=frozenset(step.hubs),
    )


class _Step:
    """The relationships at a frontier, seen from both of their ends.

    From the sources' side the work is bounded by what the sources use. From the targets' side only so many targets
    are read as are needed to fill the answer, which their degrees tell beforehand.
    """

    def __init__(self, tx: Transaction, run: int, types: list[str], cap: int | None) -> None:
        self.found: dict[Ends, tuple[int, dict[str, Value]]] = {}
        self.hubs: set[NodeRef] = set()
        self._tx, self._run, self._types = tx, run, types
        self._cap = NO_CAP if cap is None else cap
        self._sources: dict[str, list[str]] = {}
        self._targets: dict[str, dict[str, int]] = {}

    def start(self, frontier: Collection[NodeRef], follow: Follow, limit: int) -> None:
        """Locate the targets in the frontier, and read the first relationships that start there."""
        keys: dict[str, set[str]] = defaultdict(set)
        for ref in frontier:
            if ref.label in NODES and encodable(ref.key):
                keys[ref.label].add(ref.key)
        wanted = [RELATIONSHIPS[name] for name in self._types]
        sources = {rel.source for rel in wanted if follow is not Follow.IN}
        targets = {rel.target for rel in wanted if follow is not Follow.OUT}
        self._sources = {label: sorted(keys[label]) if label in sources else [] for label in _SOURCES}
        located = {label: sorted(keys[label]) if label in targets else [] for label in _TARGETS}
        if not any(self._sources.values()) and not any(located.values()):
            return
        asked = {"types": self._types, "cap": self._cap, "limit": limit}
        bound = {"sources": self._sources, "targets": located, "asked": asked}
        for part, label, *columns in rows(self._tx, _start(), run=self._run, **bound):
            if part == _AT:
                self._locate(label, *columns[:2])
            elif part == _HUBS:
                self.hubs |= {NodeRef(RELATIONSHIPS[name].target, key) for name, key in columns[0]}
            else:
                for name, key, source, degree, stored in zip(*columns, strict=True):
                    properties = to_properties(stored, RELATIONSHIPS[name].properties)
                    self.found[name, key, source] = degree, properties

    def _locate(self, label: str, keys: list[str], degrees: list[int]) -> None:
        self._targets[label] = {}
        for key, degree in zip(keys, degrees, strict=True):
            if degree <= self._cap:
                self._targets[label][key] = degree
            else:
                self.hubs.add(NodeRef(label, key))

    def read_targets(self, limit: int) -> None:
        """Read the first relationships that end in the frontier."""
        whole: dict[str, list[str]] = defaultdict(list)
        filled = 0
        for rel, key, degree in self._ends():
            if filled + degree >= limit:
                self._read_some(rel, key, degree, limit - filled)
                break
            whole[rel.name].append(key)
            filled += degree
        if filled:
            lists = {name: whole.get(name, []) for name in RELATIONSHIPS}
            for name, found in rows(self._tx, _inward(), run=self._run, keys=lists):
                for key, degree, sources, stored in found:
                    self._add(RELATIONSHIPS[name], key, degree, sources, stored)

    def count(self) -> int:
        """How many relationships there are in all."""
        at_targets = sum(degree for _, _, degree in self._ends())
        if not any(self._sources.values()):
            return at_targets
        inside = {label: list(self._targets.get(label, ())) for label in _TARGETS}
        # A relationship with both ends in the frontier is counted once, as one of its target's.
        asked = {"types": self._types, "cap": self._cap, "inside": inside}
        counted = number(self._tx, _count(), run=self._run, sources=self._sources, asked=asked)
        return at_targets + counted

    def _ends(self) -> Iterable[tuple[RelationshipType, str, int]]:
        """The targets in the frontier by type, ascending by key."""
        for name in self._types:
            rel = RELATIONSHIPS[name]
            for key in sorted(self._targets.get(rel.target, ())):
                yield rel, key, self._targets[rel.target][key]

    def _read_some(self, rel: RelationshipType, key: str, degree: int, limit: int) -> None:
        """Read the first relationships of one target.

        Sorting all of them costs as much as there are. Where they are many it is cheaper to walk along all
        nodes that could be their sources, in order, until enough of them are.
        """
        statement = _first(rel)
        if degree > _WALK:
            every = number(self._tx, f"MATCH (n:{quoted(rel.source)}) RETURN count(n)")
            if every * limit < degree * degree:
                statement = _walk(rel)
        ((sources, stored),) = rows(self._tx, statement, run=self._run, key=key, limit=limit)
        self._add(rel, key, degree, sources, stored)

    def _add(
        self,
        rel: RelationshipType,
        key: str,
        degree: int,
        sources: Sequence[str],
        stored: Sequence[Sequence[Any]],
    ) -> None:
        """Note relationships of one target, whose properties come by column."""
        named = by_name(stored, rel.properties) if rel.properties else ({} for _ in sources)
        for source, properties in zip(sources, named, strict=True):
            self.found[rel.name, key, source] = degree, properties


def _relationship(at: Ends, degree: int, properties: dict[str, Value]) -> Relationship:
    rel = RELATIONSHIPS[at[0]]
    return Relationship(
        type=rel.name,
        source=NodeRef(rel.source, at[2]),
        target=NodeRef(rel.target, at[1]),
        degree=degree,
        properties=properties,
    )


@cache
def _start() -> str:
    """Degrees of the frontier's targets, and what starts at its sources: a row for each label, by column."""
    located = [
        f"UNWIND $targets.{quoted(label)} AS key MATCH {match('t', NODES[label], 'key')} "
        f"WITH collect(key) AS a, collect(coalesce(t.{quoted(DEGREE_OF[label])}, 0)) AS b WHERE size(a) > 0 "
        f"RETURN '{_AT}' AS part, '{label}' AS label, a, b, null AS c, null AS d, null AS e"
        for label in _TARGETS
    ]
    leaving = []
    for label in _SOURCES:
        start = _started(label)
        stored = by_target({rel.name: f"[{select(rel.properties, 'r')}]" for rel in outgoing(label)})
        source = f"s.{quoted(NODES[label].key.name)}"
        leaving.append(
            f"{start} AND degree <= $asked.cap WITH r, type, target, degree, {source} AS source "
            "ORDER BY type, target, source LIMIT $asked.limit WITH collect(type) AS a, collect(target) AS b, "
            f"collect(source) AS c, collect(degree) AS d, collect({stored}) AS e WHERE size(a) > 0 "
            f"RETURN '{_FROM}' AS part, '{label}' AS label, a, b, c, d, e"
        )
        leaving.append(
            f"{start} AND degree > $asked.cap WITH DISTINCT type, target "
            "WITH collect([type, target]) AS a WHERE size(a) > 0 "
            f"RETURN '{_HUBS}' AS part, '{label}' AS label, a, null AS b, null AS c, null AS d, null AS e"
        )
    return " UNION ALL ".join([*located, *leaving])


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
        f"UNWIND $sources.{quoted(label)} AS key MATCH {match('s', NODES[label], 'key')} MATCH (s)-[r]->(t) "
        f"WITH r, s, type(r) AS type, {target} AS target, {degree} AS degree WHERE type IN $asked.types"
    )


@cache
def _inward() -> str:
    """What ends at targets: for each type its targets, and of each of them the relationships by column."""
    parts = []
    for label in _TARGETS:
        for rel in incoming(label):
            parts.append(
                f"UNWIND $keys.{quoted(rel.name)} AS key MATCH {match('t', NODES[label], 'key')} "
                f"MATCH (t)<-[r:{quoted(rel.name)}]-(s) "
                f"WITH key, t, collect(s.{quoted(NODES[rel.source].key.name)}) AS sources, collect(r) AS used "
                f"WITH collect([key, t.{quoted(rel.degree)}, sources, [{lists(rel.properties, 'used')}]]) AS found "
                f"WHERE size(found) > 0 RETURN '{rel.name}' AS type, found"
            )
    return " UNION ALL ".join(parts)


def _first(rel: RelationshipType) -> str:
    source = f"s.{quoted(NODES[rel.source].key.name)}"
    return (
        f"MATCH {match('t', NODES[rel.target], '$key')} MATCH (t)<-[r:{quoted(rel.name)}]-(s) "
        f"WITH r, {source} AS source ORDER BY source LIMIT $limit {_by_column(rel)}"
    )


def _walk(rel: RelationshipType) -> str:
    source, label = f"s.{quoted(NODES[rel.source].key.name)}", quoted(rel.source)
    return (
        f"MATCH {match('t', NODES[rel.target], '$key')} WITH t "
        f"MATCH (s:{label}) {by_key('s', NODES[rel.source])} "
        f"WHERE s.run = $run AND {source} >= '' WITH s, t ORDER BY s.run, {source} "
        f"MATCH (s)-[r:{quoted(rel.name)}]->(t) WITH r, {source} AS source LIMIT $limit {_by_column(rel)}"
    )


def _by_column(rel: RelationshipType) -> str:
    return (
        "WITH collect(source) AS sources, collect(r) AS used "
        f"RETURN sources, [{lists(rel.properties, 'used')}] AS stored"
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
