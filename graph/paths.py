"""How two organizations are connected: paths of shared identifiers, the rarest evidence first.

Built on `GraphStore.expand` alone, so that every backend gives the same answer.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, pairwise

from graph.errors import RingfenceError
from graph.frontiers import MAX_DEPTH, Search, Side, check_depth, require
from graph.leaf_store import shared_only
from graph.schema import EVIDENCE
from graph.store import DEGREE_CAP, GraphStore, NodeRef, Relationship

_FINE = 1_000_000  # fixed-point steps of one natural-log unit: sums are exact, so ties are real ties
_STEPS = MAX_DEPTH + 1  # the number of steps decides between paths of equal rarity

Cost = int
Adjacency = Mapping[NodeRef, Mapping[NodeRef, Relationship]]


@dataclass(frozen=True)
class EvidencePath:
    """One connection: nodes from a to b, the relationships between them, and how common the evidence is.

    `commonness` is the sum of log(degree) over the identifiers on the path: 0.69 for one identifier that
    only these two organizations share; the lower, the stronger.
    """

    nodes: tuple[NodeRef, ...]
    relationships: tuple[Relationship, ...]
    commonness: float


@dataclass(frozen=True)
class EvidencePaths:
    """The best connections of two organizations.

    `depth` is the largest number of relationships on a path (2: a directly shared identifier). `cut` says
    that there are more than these, or that the search met its limit. `degree_cap` is None when hubs were
    asked for; `hubs` says whether identifiers above it were left out.
    """

    items: tuple[EvidencePath, ...]
    depth: int
    degree_cap: int | None
    hubs: bool
    cut: bool

    @property
    def note(self) -> str:
        """What was found, in words."""
        found = f"{len(self.items)} shown, there are more" if self.cut else f"{len(self.items)} in all"
        if not self.items:
            found = "none found before the search met its limit" if self.cut else "none"
        hubs = f"; identifiers of more than {self.degree_cap:,} organizations left out" if self.hubs else ""
        return f"Connections within {self.depth} steps: {found}{hubs}."


def evidence_paths(
    store: GraphStore,
    a: NodeRef,
    b: NodeRef,
    *,
    depth: int = 4,
    limit: int = 5,
    include_hubs: bool = False,
    degree_cap: int = DEGREE_CAP,
) -> EvidencePaths:
    """Up to `limit` paths without repeated nodes from `a` to `b` over shared identifiers.

    Ranked by commonness, then by length, then by the nodes' keys. Identifiers of more than `degree_cap`
    organizations are left out unless `include_hubs`.
    Raises RingfenceError when an organization is not in the graph or both are the same.
    """
    check_depth(depth)
    if a == b:
        raise RingfenceError("both ends are the same organization", "Name two different ones.", exit_code=2)
    cap = None if include_hubs else degree_cap
    search, near, far = Search(shared_only(store), EVIDENCE, cap), Side(a), Side(b)
    while search.approach(near, far, depth):
        pass  # an edge of a path is close to one end or the other, however the steps are shared out
    require(store, [end for end in (a, b) if end not in search.adjacency])
    ranked = _ranked(search.adjacency, a, b, depth)
    best = list(islice(ranked, limit + 1))
    return EvidencePaths(
        items=tuple(_path(search.adjacency, nodes) for nodes in best[:limit]),
        depth=depth,
        degree_cap=cap,
        hubs=search.hubs,
        cut=search.cut or len(best) > limit,
    )


def _step_cost(rel: Relationship, entered: NodeRef) -> Cost:
    """What entering a node costs: the log of an identifier's degree, and one step."""
    return (round(math.log(rel.degree) * _FINE) * _STEPS if entered == rel.target else 0) + 1


def _remaining(adjacency: Adjacency, b: NodeRef, depth: int) -> list[dict[NodeRef, Cost]]:
    """By number of steps left: what it costs at least to reach `b` from a node (Bellman-Ford)."""
    best = [{b: 0}]
    for _ in range(depth):
        reach = dict(best[-1])
        for node, cost in best[-1].items():
            for before, rel in adjacency.get(node, {}).items():
                known = reach.get(before)
                total = cost + _step_cost(rel, node)
                if known is None or total < known:
                    reach[before] = total
        best.append(reach)
    return best


def _ranked(adjacency: Adjacency, a: NodeRef, b: NodeRef, depth: int) -> Iterator[tuple[NodeRef, ...]]:
    """Simple paths from `a` to `b`, best first: A* with the exact remaining cost as its bound."""
    left = _remaining(adjacency, b, depth)
    if a not in left[depth]:
        return
    heap: list[tuple[Cost, tuple[NodeRef, ...], Cost]] = [(left[depth][a], (a,), 0)]
    while heap:
        _, nodes, cost = heapq.heappop(heap)
        if nodes[-1] == b:
            yield nodes
            continue
        bound = left[depth - len(nodes)]
        for after, rel in adjacency[nodes[-1]].items():
            if after in bound and after not in nodes:
                spent = cost + _step_cost(rel, after)
                heapq.heappush(heap, (spent + bound[after], (*nodes, after), spent))


def _path(adjacency: Adjacency, nodes: tuple[NodeRef, ...]) -> EvidencePath:
    relationships = tuple(adjacency[before][after] for before, after in pairwise(nodes))
    degrees = {rel.target: rel.degree for rel in relationships}
    return EvidencePath(nodes, relationships, sum(math.log(degree) for degree in degrees.values()))
