"""Ties to communities: Leiden with the constant Potts model. The only module that speaks to igraph."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import igraph
import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from detection.settings import WEIGHT_UNIT, DetectionSettings

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Ties:
    """Undirected ties between organizations 0..n-1: a < b, each pair once, sorted; weights in fixed point."""

    n: int
    a: Ints
    b: Ints
    weight: Ints


def communities(ties: Ties, settings: DetectionSettings) -> Ints:
    """The community of each organization, named by its least member; -1 for an organization without ties.

    Connected components are worked one by one, each seeded alike, so that what happens in one does not move
    another. Maximises sum(w_ij - resolution) over pairs within communities (Traag, Van Dooren, Nesterov 2011)
    with the Leiden algorithm (Traag, Waltman, van Eck 2019).
    """
    membership = np.full(ties.n, -1, dtype=np.int64)
    if len(ties.a) == 0:
        return membership
    components = _components(ties)
    tied = np.zeros(ties.n, dtype=bool)
    tied[ties.a] = True
    tied[ties.b] = True
    vertices = np.flatnonzero(tied)
    vertices = vertices[np.argsort(components[vertices], kind="stable")]
    edges = np.argsort(components[ties.a], kind="stable")
    edge_components = components[ties.a][edges]
    for members in np.split(vertices, np.flatnonzero(np.diff(components[vertices])) + 1):
        if len(members) <= whole_below(settings):
            membership[members] = members[0]
            continue
        low, high = np.searchsorted(edge_components, [components[members[0]], components[members[0]] + 1])
        inside = edges[low:high]
        labels = _leiden(
            len(members),
            np.searchsorted(members, ties.a[inside]),
            np.searchsorted(members, ties.b[inside]),
            ties.weight[inside],
            settings,
        )
        membership[members] = _named_by_least(labels, members)
    return membership


def whole_below(settings: DetectionSettings) -> int:
    """The size up to which a connected component is one community whatever its ties.

    Joining two parts of n1 and n2 that a tie connects gains at least `min_weight - resolution * n1 * n2`, which
    is not negative while `resolution * n² / 4 <= min_weight`.
    """
    return math.floor(2 * math.sqrt(settings.min_weight / settings.resolution))


def multilevel(ties: Ties, seed: int) -> Ints:
    """Communities by modularity (Louvain's multilevel method): a baseline to compare with, never the engine."""
    igraph.set_random_number_generator(random.Random(seed))
    graph = _graph(ties.n, ties.a, ties.b)
    found = graph.community_multilevel(weights=ties.weight / WEIGHT_UNIT)
    return _named_by_least(np.asarray(found.membership), np.arange(ties.n))


def _leiden(n: int, a: Ints, b: Ints, weight: Ints, settings: DetectionSettings) -> Ints:
    igraph.set_random_number_generator(random.Random(settings.seed))
    found = _graph(n, a, b).community_leiden(
        objective_function="CPM",
        weights=weight / WEIGHT_UNIT,
        resolution=settings.resolution,
        n_iterations=settings.iterations,
    )
    return np.asarray(found.membership, dtype=np.int64)


def _graph(n: int, a: Ints, b: Ints) -> igraph.Graph:
    return igraph.Graph(n=n, edges=np.column_stack([a, b]))


def _components(ties: Ties) -> Ints:
    matrix = coo_array((np.ones(len(ties.a), dtype=np.int8), (ties.a, ties.b)), shape=(ties.n, ties.n))
    _, labels = connected_components(matrix.tocsr(), directed=False)
    return np.asarray(labels, dtype=np.int64)


def _named_by_least(labels: Ints, members: Ints) -> Ints:
    """Give each group of `labels` the name of its first member; `members` is sorted."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.asarray(members[first][inverse], dtype=np.int64)
