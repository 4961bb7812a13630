"""Which organizations hold together when any single identifier is taken away: by articulation, in linear time.

The graph is bipartite: organizations on one side, identifiers on the other. Two organizations are of one *group* when
no single identifier separates them. Organizations that share a biconnected component are; and what one organization
belongs to on two sides is joined through it, since organizations are not taken away. (Biconnected components after
J. Hopcroft and R. Tarjan, "Algorithm 447: efficient algorithms for graph manipulation", CACM 16(6), 1973.)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def groups(organizations: int, org: Ints, identifier: Ints) -> Ints:
    """The group of each organization, as the least number of an organization in it.

    `org` (0 to `organizations` - 1) and `identifier` (any whole numbers) are the ends of the graph's edges. Whoever is
    separated from everybody by the loss of one identifier is a group of its own.
    """
    names, at = np.unique(identifier, return_inverse=True)
    total = organizations + len(names)
    ends = np.concatenate([org, at + organizations])
    others = np.concatenate([at + organizations, org])
    order = np.lexsort((others, ends))
    first = np.searchsorted(ends[order], np.arange(total + 1)).tolist()
    joined = _Union(organizations)
    for block in _blocks(first, others[order].tolist(), organizations):
        joined.join(block)
    return joined.labels()


def holding(
    organizations: int, org: Ints, identifier: Ints, counted: Bools, least: int
) -> tuple[Ints, Bools]:
    """Groups in which everybody holds by edges that count against it, and which edges carried them.

    Only `counted` edges attach an organization. The others (those of an identifier's first user, who may be a victim)
    carry others once their organization is attached by its own: then it is one of them. So the loop adds edges of
    organizations that are in, until nobody joins. Groups have at least `least` organizations; -1 stands for none.
    """
    carrying = counted.copy()
    while True:
        found = groups(organizations, org[carrying], identifier[carrying])
        held = np.bincount(found, minlength=organizations)[found] >= least
        more = ~carrying & held[org]
        if not more.any():
            return np.where(held, found, -1), carrying
        carrying |= more


class _Union:
    """Disjoint sets of whole numbers, with path halving."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def find(self, one: int) -> int:
        parent = self._parent
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    def join(self, members: list[int]) -> None:
        """Put all of them in one set, named by its least."""
        roots = [self.find(member) for member in members]
        least = min(roots)
        for root in roots:
            self._parent[root] = least

    def labels(self) -> Ints:
        """The least member of each number's set."""
        return np.array([self.find(one) for one in range(len(self._parent))], dtype=np.int64)


def _blocks(first: list[int], others: list[int], organizations: int) -> list[list[int]]:
    """The organizations (two or more) of every biconnected component; vertices below `organizations` are those.

    Neighbours of vertex v are `others[first[v]:first[v + 1]]`.
    """
    total = len(first) - 1
    reached, low = [0] * total, [0] * total
    parent, ahead = [-1] * total, first[:-1].copy()
    clock, found = 0, []
    for root in range(organizations):
        if reached[root]:
            continue
        clock += 1
        reached[root] = low[root] = clock
        path, open_ = [root], [root]
        while path:
            here = path[-1]
            if ahead[here] < first[here + 1]:
                there = others[ahead[here]]
                ahead[here] += 1
                if not reached[there]:
                    clock += 1
                    reached[there] = low[there] = clock
                    parent[there] = here
                    path.append(there)
                    open_.append(there)
                elif there != parent[here] and reached[there] < low[here]:
                    low[here] = reached[there]
                continue
            path.pop()
            above = parent[here]
            if above < 0:
                continue
            low[above] = min(low[above], low[here])
            if low[here] >= reached[above]:
                cut = _place(open_, here)
                block = [one for one in (above, *open_[cut:]) if one < organizations]
                del open_[cut:]
                if len(block) > 1:
                    found.append(block)
    return found


def _place(stack: list[int], vertex: int) -> int:
    """Where the vertex lies, from the top of the stack."""
    at = len(stack) - 1
    while stack[at] != vertex:
        at -= 1
    return at
