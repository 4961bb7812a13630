"""Ties to communities: Leiden with the constant Potts model. The only module that speaks to igraph."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
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
    _, starts, sizes = np.unique(components[vertices], return_index=True, return_counts=True)
    membership[vertices] = np.repeat(vertices[starts], sizes)
    large = sizes > whole_below(settings)
    for members, local in _parts(ties, components, vertices, starts[large], sizes[large]):
        membership[members] = _named_by_least(_scan(local, settings), members)
    return membership


def _parts(
    ties: Ties, components: Ints, vertices: Ints, starts: Ints, sizes: Ints
) -> Iterator[tuple[Ints, Ties]]:
    """The organizations of each given component, and its ties in numbers of their own."""
    edges = np.argsort(components[ties.a], kind="stable")
    component_of_edge = components[ties.a][edges]
    for start, size in zip(starts, sizes, strict=True):
        members = vertices[start : start + size]
        own = components[members[0]]
        low, high = np.searchsorted(component_of_edge, [own, own + 1])
        inside = edges[low:high]
        a, b = (np.searchsorted(members, end[inside]) for end in (ties.a, ties.b))
        yield members, Ties(len(members), a, b, ties.weight[inside])


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


def _scan(ties: Ties, settings: DetectionSettings) -> Ints:
    """Communities at the resolution of the settings, joined upward where lower ones agree that they are one.

    A ring of thousands is too sparse for the resolution that keeps small rings whole (detection.md: one resolution
    does not fit all). So the resolution is halved step by step on the graph of communities.
    """
    labels = _leiden(ties, np.ones(ties.n, dtype=np.int64), settings.resolution, settings)
    for level in range(1, settings.levels + 1):
        if labels.max() == 0:
            break
        labels = _join(labels, ties, settings.resolution / 2**level, settings)
    return labels


def _join(labels: Ints, ties: Ties, resolution: float, settings: DetectionSettings) -> Ints:
    """Join communities that belong together at a lower resolution, unless one of them hardly owes the others.

    Each part of a join must have at least `join_share` of its weight (inside it, and to the other parts), or of its
    members but `join_members` at least, tied to the other parts: a self-contained ring does not take in the bystanders
    that lean on it, nor does it merge with another, though parts of one may owe each other little of their weight.
    """
    quotient, inside = _quotient(labels, ties)
    sizes = np.bincount(labels)
    joined = _leiden(quotient, sizes, resolution, settings)
    few = np.maximum(settings.join_share * sizes, settings.join_members)
    while True:
        together = joined[quotient.a] == joined[quotient.b]
        outward = np.zeros(quotient.n)
        for end in (quotient.a, quotient.b):
            outward += np.bincount(end[together], weights=quotient.weight[together], minlength=quotient.n)
        leaning = (outward > 0) & (outward < settings.join_share * (outward + inside))
        leaning &= _touching(labels, ties, joined) < few
        if not leaning.any():
            break
        joined[leaning] = joined.max() + 1 + np.arange(np.count_nonzero(leaning))
    return np.asarray(np.unique(joined, return_inverse=True)[1][labels], dtype=np.int64)


def _touching(labels: Ints, ties: Ties, joined: Ints) -> Ints:
    """How many members of each community have a tie to another one that it is joined with."""
    one, other = labels[ties.a], labels[ties.b]
    across = (one != other) & (joined[one] == joined[other])
    members = np.unique(np.concatenate([ties.a[across], ties.b[across]]))
    return np.bincount(labels[members], minlength=len(joined)).astype(np.int64)


def _quotient(labels: Ints, ties: Ties) -> tuple[Ties, Ints]:
    """The graph of communities, and the weight inside each."""
    n = int(labels.max()) + 1
    one, other = labels[ties.a], labels[ties.b]
    within = one == other
    inside = np.zeros(n, dtype=np.int64)
    np.add.at(inside, one[within], ties.weight[within])
    pair = np.minimum(one, other)[~within] * n + np.maximum(one, other)[~within]
    pairs, place = np.unique(pair, return_inverse=True)
    weight = np.zeros(len(pairs), dtype=np.int64)
    np.add.at(weight, place, ties.weight[~within])
    return Ties(n, pairs // n, pairs % n, weight), inside


def _leiden(ties: Ties, sizes: Ints, resolution: float, settings: DetectionSettings) -> Ints:
    igraph.set_random_number_generator(random.Random(settings.seed))
    found = _graph(ties.n, ties.a, ties.b).community_leiden(
        objective_function="CPM",
        weights=ties.weight / WEIGHT_UNIT,
        node_weights=sizes.tolist(),
        resolution=resolution,
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
