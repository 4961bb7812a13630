"""Who brought an organization, and whom it brought: chains of REFERRED_BY, loops included.

Built on `GraphStore.expand` and `get_nodes` alone, so that every backend gives the same answer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from graph.components import cycles
from graph.errors import RingfenceError
from graph.frontiers import require
from graph.schema import RELATIONSHIPS
from graph.store import Expansion, Follow, GraphStore, Node, NodeRef, Relationship, Value

REFERRED_BY = "REFERRED_BY"
MAX_REFERRAL_DEPTH = 100
SHOWN = 500
"""Referrals of a chain, unless more are asked for."""
MANY = 10_000
"""Referrals that one step upwards reads at once; it reads all."""


class Direction(StrEnum):
    """Which way a referral chain is followed."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True)
class Referral:
    """An organization of a chain: how many steps away, and through which referral it was reached.

    `via` is the organization one step nearer: whom it brought (up), or who brought it (down). `code` is the key of
    the code that was redeemed, `brought` the number of organizations that this one brought, `loop` says that it is
    part of a referral loop.
    """

    organization: NodeRef
    org_id: str | None
    depth: int
    via: NodeRef
    code: Value
    first_at: Value
    brought: int
    loop: bool


@dataclass(frozen=True)
class ReferralChain:
    """The organizations above or below one, each once, by depth, `via` and key.

    `total` counts the referrals at the organizations that were reached, also those that lead back to one of them;
    `followed` is how many of these are known. Where they are fewer, the first are, and nothing beyond. `depth` is
    the number of steps that were taken; `more` says that the chain goes on from there. `loops` are organizations
    that brought each other in a circle, as far as the chain shows; a loop is shown, and not followed again.
    """

    organization: Node
    direction: Direction
    items: tuple[Referral, ...]
    loops: tuple[tuple[NodeRef, ...], ...]
    followed: int
    total: int
    depth: int
    more: bool

    @property
    def cut(self) -> bool:
        """Whether referrals were left out for the limit."""
        return self.total > self.followed

    @property
    def note(self) -> str:
        """`50 of 3,214 referrals` when cut, else their number alone, and what else there is to say."""
        shown = f"{self.followed:,}"
        counted = f"{shown} of {self.total:,} referrals" if self.cut else f"{shown} referrals"
        more = f", more beyond depth {self.depth}" if self.more and not self.cut else ""
        loops = f", {len(self.loops):,} loops" if self.loops else ""
        return counted + more + loops


def referral_chain(
    store: GraphStore,
    organization: NodeRef,
    direction: Direction | str = Direction.DOWN,
    *,
    depth: int = 10,
    limit: int = SHOWN,
) -> ReferralChain:
    """Up: who brought the organization, and who brought that one. Down: whom it brought, and whom those brought.

    Follows up to `limit` referrals, breadth first, `depth` steps far.
    Raises RingfenceError when the organization is not in the graph or the question makes no sense.
    """
    way = _direction(direction)
    if not 1 <= depth <= MAX_REFERRAL_DEPTH:
        raise RingfenceError(
            f"a depth of {depth} is out of range", f"Ask for 1 to {MAX_REFERRAL_DEPTH}.", exit_code=2
        )
    start = require(store, [organization])[organization]
    walk = _Walk(store, way, start)
    while walk.frontier and walk.depth < depth and len(walk.followed) == walk.total:
        walk.step(limit)
    loops = cycles(walk.successors)
    looped = {node for loop in loops for node in loop}
    return ReferralChain(
        organization=start,
        direction=way,
        items=tuple(walk.item(ref, ref in looped) for ref in walk.order),
        loops=tuple(map(tuple, loops)),
        followed=len(walk.followed),
        total=walk.total,
        depth=walk.depth,
        more=walk.goes_on(),
    )


def _direction(direction: Direction | str) -> Direction:
    try:
        return Direction(direction)
    except ValueError as error:
        raise RingfenceError(
            f"a referral chain has no direction {direction!r}", "Choose up or down.", exit_code=2
        ) from error


class _Walk:
    """A breadth-first walk along referrals in one direction."""

    def __init__(self, store: GraphStore, way: Direction, start: Node) -> None:
        self.nodes: dict[NodeRef, Node] = {start.ref: start}
        self.frontier = [start.ref]
        self.order: list[NodeRef] = []
        self.depth = 0
        self.total = 0
        self.followed: list[Relationship] = []
        self.successors: dict[NodeRef, list[NodeRef]] = {}
        self._store, self._way = store, way
        self._found: dict[NodeRef, tuple[int, Relationship]] = {}

    def step(self, limit: int) -> None:
        """One step further, up to `limit` referrals in all."""
        room = max(limit - len(self.followed), 0)
        read, total = self._read(room)
        self.total += total
        self.depth += 1
        fresh: list[NodeRef] = []
        for rel in sorted(read, key=self._ends)[:room]:
            near, far = self._ends(rel)
            self.followed.append(rel)
            self.successors.setdefault(near, []).append(far)
            if far not in self.nodes and far not in self._found:
                self._found[far] = (self.depth, rel)
                fresh.append(far)
        self.nodes |= self._store.get_nodes(fresh)
        self.order += fresh
        self.frontier = fresh

    def item(self, ref: NodeRef, loop: bool) -> Referral:
        """One organization that was found."""
        depth, rel = self._found[ref]
        node = self.nodes.get(ref)
        return Referral(
            organization=ref,
            org_id=node.name if node else None,
            depth=depth,
            via=self._ends(rel)[0],
            code=rel.properties["code"],
            first_at=rel.properties["first_at"],
            brought=self._brought([ref]),
            loop=loop,
        )

    def goes_on(self) -> bool:
        """Whether there are referrals at the organizations that were found last."""
        return bool(self.frontier) and (self.total > len(self.followed) or self._read(0)[1] > 0)

    def _ends(self, rel: Relationship) -> tuple[NodeRef, NodeRef]:
        """The nearer and the farther end."""
        up = self._way is Direction.UP
        return (rel.source, rel.target) if up else (rel.target, rel.source)

    def _read(self, room: int) -> tuple[Collection[Relationship], int]:
        """At least the first `room` referrals that go on from the frontier, and how many there are in all."""
        if self._way is Direction.DOWN:
            found = self._expand(room, Follow.IN)
        else:  # the store's order is that of the farther ends: the first ones are known when all are
            found = self._expand(MANY, Follow.OUT)
            found = self._expand(found.total, Follow.OUT) if found.cut else found
        return found.items, found.total

    def _expand(self, limit: int, follow: Follow) -> Expansion:
        return self._store.expand(
            self.frontier, types=[REFERRED_BY], degree_cap=None, limit=limit, follow=follow
        )

    def _brought(self, refs: list[NodeRef]) -> int:
        return sum(_count(self.nodes[ref].properties) for ref in refs if ref in self.nodes)


def _count(properties: Mapping[str, Value]) -> int:
    brought = properties.get(RELATIONSHIPS[REFERRED_BY].degree)
    return brought if isinstance(brought, int) else 0
