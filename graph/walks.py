"""What lies around a node, and the shortest way from one node to another.

Built on `GraphStore.expand` alone, so that every backend gives the same answer.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise

from graph.frontiers import Search, Side, check_depth, leads_nowhere, missing, require
from graph.leaf_store import shared_only
from graph.schema import EVIDENCE
from graph.store import DEGREE_CAP, GraphStore, Node, NodeRef, Relationship

NEIGHBOURS = 1_000
"""Relationships of a neighbourhood, unless more are asked for."""

SHORTEST_BUDGET = 20_000
"""Relationships that a search for the shortest path reads at most."""


@dataclass(frozen=True)
class Neighbourhood:
    """The nodes and relationships around one node.

    `nodes` begins with the node itself; the others come by distance, label and key. `relationships` come by the
    distance of their nearer end, then by type, target and source. `total` counts the relationships at the nodes
    that were reached: when it is more than are shown, those nearest are, and nothing beyond them was looked at.
    `hubs` counts the targets that were left out because more than `degree_cap` relationships point at them.
    Of what one organization alone has, only what the node itself has is there: beyond, that leads nowhere.
    """

    nodes: tuple[Node, ...]
    relationships: tuple[Relationship, ...]
    total: int
    hubs: int
    depth: int
    degree_cap: int | None

    @property
    def cut(self) -> bool:
        """Whether relationships were left out for the limit."""
        return self.total > len(self.relationships)

    @property
    def note(self) -> str:
        """`50 of 3,214` when cut, else the number alone, and what was left out besides."""
        shown = f"{len(self.relationships):,}"
        counted = f"{shown} of {self.total:,} relationships" if self.cut else f"{shown} relationships"
        hubs = f"; {self.hubs:,} hubs of more than {self.degree_cap:,} left out" if self.hubs else ""
        return f"{counted} within {self.depth} steps{hubs}"


@dataclass(frozen=True)
class ShortestPath:
    """The shortest connection of two nodes; no nodes when none was found.

    Of several as short it is the one with the smallest nodes from its start. `searched` is the number of steps
    within which all was looked at; `exhausted` says that one end has no connections but those that were looked
    at, `cut` that the search met its limit, `hubs` that targets above `degree_cap` were left out.
    """

    nodes: tuple[NodeRef, ...]
    relationships: tuple[Relationship, ...]
    searched: int
    exhausted: bool
    cut: bool
    hubs: bool
    degree_cap: int | None

    @property
    def note(self) -> str:
        """What was found, in words."""
        if self.nodes:
            found = f"{len(self.relationships)} steps" + (", maybe not the fewest" if self.cut else "")
        elif self.cut:
            found = f"none within {self.searched} steps; the search met its limit"
        else:
            found = "none, however long" if self.exhausted else f"none within {self.searched} steps"
        hubs = f"; hubs of more than {self.degree_cap:,} left out" if self.hubs else ""
        return f"Shortest path: {found}{hubs}."


def neighbourhood(
    store: GraphStore,
    ref: NodeRef,
    *,
    depth: int = 2,
    types: Collection[str] | None = None,
    degree_cap: int | None = DEGREE_CAP,
    limit: int = NEIGHBOURS,
) -> Neighbourhood:
    """What is within `depth` steps of a node: up to `limit` relationships, breadth first.

    Raises RingfenceError when the node is not in the graph.
    """
    check_depth(depth)
    around = _Around(store, ref, types, degree_cap)
    for _ in range(depth):
        if around.frontier and len(around.relationships) == around.total:
            around.step(limit)
    known = store.get_nodes(around.order)
    if ref not in known:
        raise missing(ref)
    return Neighbourhood(
        nodes=tuple(known[found] for found in around.order if found in known),
        relationships=tuple(around.relationships),
        total=around.total,
        hubs=len(around.hubs),
        depth=depth,
        degree_cap=degree_cap,
    )


class _Around:
    """A breadth-first walk that keeps what it read."""

    def __init__(
        self, store: GraphStore, ref: NodeRef, types: Collection[str] | None, cap: int | None
    ) -> None:
        self.order = [ref]
        self.frontier = [ref]
        self.relationships: list[Relationship] = []
        self.total = 0
        self.hubs: set[NodeRef] = set()
        self._store, self._types, self._cap = store, types, cap
        self._seen = {ref}
        self._known: set[tuple[str, NodeRef, NodeRef]] = set()

    def step(self, limit: int) -> None:
        """One more distance, up to `limit` relationships in all."""
        at = set(self.frontier)
        again = sum(source in at or target in at for _, source, target in self._known)
        room = max(limit - len(self.relationships), 0)
        found = self._store.expand(at, types=self._types, degree_cap=self._cap, limit=room + again)
        self.total += found.total - again
        self.hubs |= found.left_out
        fresh = [rel for rel in found.items if (rel.type, rel.source, rel.target) not in self._known][:room]
        self.relationships += fresh
        self._known |= {(rel.type, rel.source, rel.target) for rel in fresh}
        ends = {end: rel for rel in fresh for end in (rel.source, rel.target) if end not in self._seen}
        self._seen |= ends.keys()
        self.order += sorted(ends)
        self.frontier = [end for end in sorted(ends) if not leads_nowhere(ends[end], end)]
        self._store = shared_only(self._store)


def shortest_path(
    store: GraphStore,
    a: NodeRef,
    b: NodeRef,
    *,
    types: Collection[str] | None = EVIDENCE,
    degree_cap: int | None = DEGREE_CAP,
    max_depth: int = 6,
) -> ShortestPath:
    """The path of fewest relationships from `a` to `b`, in either direction of each, from both ends at once.

    Raises RingfenceError when one of the nodes is not in the graph.
    """
    check_depth(max_depth)
    search = Search(store, types, degree_cap, SHORTEST_BUDGET)
    near, far = Side(a), Side(b)
    meeting = {a} & {b}
    while not meeting and search.approach(near, far, max_depth):
        fewer, more = sorted((near.distance, far.distance), key=len)
        meeting = {node for node in fewer if node in more}
    require(store, [end for end in (a, b) if end not in search.adjacency])
    nodes = _smallest(search, near, far, meeting) if meeting else ()
    return ShortestPath(
        nodes=nodes,
        relationships=tuple(search.adjacency[x][y] for x, y in pairwise(nodes)),
        searched=search.whole if search.cut or meeting else max_depth,
        exhausted=not meeting and not search.cut and near.steps + far.steps < max_depth,
        cut=search.cut,
        hubs=search.hubs,
        degree_cap=degree_cap,
    )


def _smallest(search: Search, near: Side, far: Side, meeting: Collection[NodeRef]) -> tuple[NodeRef, ...]:
    """Of the shortest paths through the nodes where both sides met, the one with the smallest nodes."""
    length = min(near.distance[node] + far.distance[node] for node in meeting)
    layer = {node for node in meeting if near.distance[node] + far.distance[node] == length}
    layers = [layer]
    for distance in range(near.distance[min(layer)] - 1, -1, -1):
        layer = {
            before
            for node in layer
            for before in search.adjacency[node]
            if near.distance.get(before) == distance
        }
        layers.insert(0, layer)
    path = [min(layers[0])]
    for layer in layers[1:]:
        path.append(min(layer & search.adjacency[path[-1]].keys()))
    for distance in range(far.distance[path[-1]] - 1, -1, -1):
        path.append(min(node for node in search.adjacency[path[-1]] if far.distance.get(node) == distance))
    return tuple(path)
