"""Breadth-first search over `GraphStore.expand`, from one end or from both, with a budget that bounds the work."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

from graph.errors import RingfenceError
from graph.leaf_store import shared_only
from graph.schema import RELATIONSHIPS
from graph.store import GraphStore, Node, NodeRef, Relationship

MAX_DEPTH = 12
BUDGET = 200_000
"""Relationships that one search reads at most."""

_PER_SOURCE = 6
"""Relationships that an organization is expected to have: what it has is only known once it is read."""


class Side:
    """What was reached from one end: nodes with their distance, and those at which to go on.

    `frontier` says of each how many relationships it is expected to have.
    """

    def __init__(self, start: NodeRef) -> None:
        self.distance = {start: 0}
        self.frontier = {start: _PER_SOURCE}
        self.steps = 0

    @property
    def cost(self) -> int:
        """About how many relationships the next step reads."""
        return sum(self.frontier.values())


class Search:
    """The relationships read so far, by both of their ends.

    `cut` says that the budget ran out, `whole` counts the steps before that, `hubs` says that targets of more than
    `degree_cap` relationships were left out.
    """

    def __init__(
        self,
        store: GraphStore,
        types: Collection[str] | None,
        degree_cap: int | None,
        budget: int = BUDGET,
    ) -> None:
        self.adjacency: dict[NodeRef, dict[NodeRef, Relationship]] = defaultdict(dict)
        self.hubs = False
        self.cut = False
        self.whole = 0
        self._store, self._types, self._cap, self._budget = store, types, degree_cap, budget

    def step(self, side: Side) -> None:
        """Read all relationships at a side's frontier; what they lead to is its next one."""
        if self._budget <= 0:
            self.cut = True
            side.frontier = {}
            return
        store = self._store if side.steps == 0 else shared_only(self._store)  # a leaf can only be an end
        found = store.expand(side.frontier, types=self._types, degree_cap=self._cap, limit=self._budget)
        self._budget -= len(found.items)
        self.hubs |= found.hubs > 0
        self.cut |= found.cut
        self.whole += not found.cut
        side.steps += 1
        side.frontier = {}
        for rel in found.items:
            for near, far in ((rel.source, rel.target), (rel.target, rel.source)):
                known = self.adjacency[near].get(far)
                if known is None or _rank(rel) < _rank(known):
                    self.adjacency[near][far] = rel
                if far not in side.distance:
                    side.distance[far] = side.steps
                    if not leads_nowhere(rel, far):
                        side.frontier[far] = rel.degree if far == rel.target else _PER_SOURCE

    def approach(self, a: Side, b: Side, steps: int) -> bool:
        """Take a step at the side where less is to be read.

        False when nothing is left to be done: `steps` were taken by both together, or one side has reached all
        that it can.
        """
        if a.steps + b.steps >= steps:
            return False
        both = bool(a.frontier and b.frontier)
        # an end whose own step is not taken yet may be a leaf, which only that step finds
        able = [side for side in (a, b) if side.frontier and (both or side.steps == 0)]
        if not able:
            return False
        self.step(min(able, key=lambda side: side.cost))
        return True


def leads_nowhere(rel: Relationship, end: NodeRef) -> bool:
    """Whether an end of a relationship is an identifier that has no other."""
    return rel.degree == 1 and end == rel.target and RELATIONSHIPS[rel.type].evidence


def _rank(rel: Relationship) -> tuple[str, NodeRef]:
    return rel.type, rel.target


def check_depth(depth: int) -> None:
    """Refuse a number of steps that makes no sense or takes for ever."""
    if not 1 <= depth <= MAX_DEPTH:
        raise RingfenceError(
            f"a depth of {depth} is out of range", f"Ask for 1 to {MAX_DEPTH} steps.", exit_code=2
        )


def require(store: GraphStore, refs: Sequence[NodeRef]) -> dict[NodeRef, Node]:
    """Those nodes. Raises RingfenceError for the first that the graph does not have."""
    known = store.get_nodes(refs) if refs else {}
    for ref in refs:
        if ref not in known:
            raise missing(ref)
    return known


def missing(ref: NodeRef) -> RingfenceError:
    """What to say of a node that the graph does not have."""
    return RingfenceError(f"the graph has no {ref.label} {ref.key}", "Look it up with `ringfence search`.")
