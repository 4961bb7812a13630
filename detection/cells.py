"""The cells of a cluster: parts of it that hold together more than they hold to the rest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from detection.cluster_graphs import ClusterGraphs, Floats, Ints

Split = Callable[[int, Ints, Floats], Ints]
"""Parts of one graph: from its number of nodes, its edges (m, 2) and their weights to a part by node."""

LARGEST = 400
"""Nodes from which a cell is split again, if it can be."""
NEARLY = 0.95
"""A cut that leaves so much together is none."""
LEAST = 3
"""Organizations below which a cell joins the one it has most links with."""


def cells_of(graphs: ClusterGraphs, whole: int, split: Split) -> Ints:
    """By node: its cell, a number unique among all clusters. Clusters of up to `whole` nodes are one cell."""
    cell = graphs.starts[graphs.cluster]  # as named by the first node of the cluster
    weights = 1 / np.sqrt(np.bincount(graphs.target, minlength=len(cell)))[graphs.target]
    sizes = np.diff(graphs.starts)
    at = np.searchsorted(graphs.target, graphs.starts)
    for cluster in np.flatnonzero(sizes > whole):
        first, last = graphs.starts[cluster], graphs.starts[cluster + 1]
        edges = slice(at[cluster], at[cluster + 1])
        ends = np.stack([graphs.source[edges], graphs.target[edges]], axis=1) - first
        mine = _cut(int(last - first), ends, weights[edges], split)
        cell[first:last] = first + _without_crumbs(mine, ends, graphs.is_organization[first:last])
    return cell


def _cut(n: int, ends: Ints, weights: Floats, split: Split) -> Ints:
    """Parts of one cluster; those that are too large are cut again, as long as they can be."""
    part = split(n, ends, weights)
    whole: set[int] = set()  # parts that cannot be cut
    while True:
        sizes = np.bincount(part)
        large = [int(one) for one in np.flatnonzero(sizes > LARGEST) if int(one) not in whole]
        if not large:
            return np.asarray(np.unique(part, return_inverse=True)[1], dtype=np.int64)
        for one in large:
            nodes = np.flatnonzero(part == one)
            local = np.full(n, -1)
            local[nodes] = np.arange(len(nodes))
            edges = (local[ends] >= 0).all(axis=1)
            parts = split(len(nodes), local[ends[edges]], weights[edges])
            if parts.max() == 0 or np.bincount(parts).max() > NEARLY * len(nodes):
                whole.add(one)
            else:
                part[nodes] = part.max() + 1 + parts


def _without_crumbs(
    part: Ints, ends: Ints, is_organization: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> Ints:
    """Parts with those of hardly any organizations joined to a neighbour, or to one another where there is none."""
    count = int(part.max()) + 1
    members = np.bincount(part[is_organization], minlength=count)
    crumb = members < LEAST
    if crumb.all():
        return np.zeros_like(part)
    one, other = part[ends[:, 0]], part[ends[:, 1]]
    one, other = np.concatenate([one, other]), np.concatenate([other, one])
    leaning = crumb[one] & ~crumb[other]
    pairs, links = np.unique(one[leaning] * count + other[leaning], return_counts=True)
    to = np.where(crumb, count, np.arange(count))
    best = np.lexsort((pairs, -links))[::-1]  # the last write counts: most links, then the first part
    to[pairs[best] // count] = pairs[best] % count
    return to[part]


def numbered(graphs: ClusterGraphs, cell: Ints) -> Ints:
    """Cells numbered 0, 1, … by cluster, within it by organizations, most first, then by first node."""
    _, first, cell = np.unique(cell, return_index=True, return_inverse=True)
    members = np.bincount(cell[graphs.is_organization], minlength=len(first))
    order = np.lexsort((first, -members, graphs.cluster[first]))
    number = np.empty(len(order), dtype=np.int64)
    number[order] = np.arange(len(order))
    return np.asarray(number[cell], dtype=np.int64)
