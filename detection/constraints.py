"""*Not linked* holds for ever: communities that hold such a pair are split along the weakest ties between the two."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

from detection.communities import Ties

Ints = npt.NDArray[np.int64]

MOST_CUTS = 64
"""Minimum cuts in one community; what is still together then is parted by the strongest ties instead, in one pass."""
_MOST_WEIGHT = 2**30


def separate(membership: Ints, ties: Ties, not_linked: Ints) -> Ints:
    """The membership with every pair of `not_linked` (n, 2) in two communities; others stay as they are.

    A community that holds a pair is parted by the cheapest set of ties that keeps the two together (a minimum cut,
    Ford and Fulkerson 1956; of several, the one nearest to the organization with the lesser number), and so on until
    no pair is left. Communities are named by their least member, as before. Without pairs nothing is computed.
    """
    if not len(not_linked):
        return membership
    one, other = membership[not_linked[:, 0]], membership[not_linked[:, 1]]
    broken = not_linked[(one == other) & (one >= 0)]
    if not len(broken):
        return membership
    parted = membership.copy()
    where = membership[broken[:, 0]]
    for community in np.unique(where):
        members = np.flatnonzero(membership == community)
        inside = (membership[ties.a] == community) & (membership[ties.b] == community)
        local = Ties(
            len(members),
            np.searchsorted(members, ties.a[inside]),
            np.searchsorted(members, ties.b[inside]),
            ties.weight[inside],
        )
        labels = _part(local, np.searchsorted(members, broken[where == community]))
        _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
        parted[members] = members[first][inverse]
    return parted


def _part(ties: Ties, pairs: Ints) -> Ints:
    labels = np.zeros(ties.n, dtype=np.int64)
    for cuts in range(MOST_CUTS):
        together = pairs[labels[pairs[:, 0]] == labels[pairs[:, 1]]]
        if not len(together):
            return labels
        a, b = together[0]
        labels[_side(ties, labels == labels[a], int(a), int(b))] = cuts + 1
    return _strongest_first(ties, labels, pairs)


def _side(ties: Ties, part: npt.NDArray[np.bool_], a: int, b: int) -> Ints:
    """The members of `part` on a's side of the minimum cut between a and b."""
    members = np.flatnonzero(part)
    inside = part[ties.a] & part[ties.b]
    ends = [np.searchsorted(members, end[inside]) for end in (ties.a, ties.b)]
    weight = np.minimum(ties.weight[inside], _MOST_WEIGHT).astype(np.int32)
    shape = (len(members), len(members))
    both = (np.concatenate(ends), np.concatenate(ends[::-1]))
    capacity = csr_array(coo_array((np.concatenate([weight, weight]), both), shape=shape))
    source, sink = np.searchsorted(members, [a, b])
    flow = maximum_flow(capacity, int(source), int(sink)).flow
    left = csr_array(capacity - flow)
    left.eliminate_zeros()
    reached = breadth_first_order(left, int(source), return_predecessors=False)
    return np.asarray(members[reached], dtype=np.int64)


def _strongest_first(ties: Ties, labels: Ints, pairs: Ints) -> Ints:
    """Parts grown over ties from the strongest on, never over one that would bring a pair together (Kruskal 1956)."""
    parent = np.arange(ties.n)
    enemies: dict[int, set[int]] = {}
    for one, other in pairs.tolist():
        enemies.setdefault(one, set()).add(other)
        enemies.setdefault(other, set()).add(one)

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = int(parent[place])
        return place

    order = np.lexsort((ties.b, ties.a, -ties.weight))
    for edge in order[labels[ties.a[order]] == labels[ties.b[order]]]:
        one, other = root(int(ties.a[edge])), root(int(ties.b[edge]))
        if one == other or any(root(enemy) == other for enemy in enemies.get(one, ())):
            continue
        parent[other] = one
        if other in enemies:
            enemies.setdefault(one, set()).update(enemies[other])
    return np.array([root(place) for place in range(ties.n)], dtype=np.int64)
