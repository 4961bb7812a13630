"""Where nodes of many small graphs go, all at once in numpy: springs, room for each node, circles without overlap.

Every function treats each graph of a batch alike whatever the others are, so that a graph placed alone and one placed
among thousands get the same coordinates. Arrays of a batch of B graphs of n nodes: positions (B, n, 2), weights of
links (B, n, n), symmetric.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

Reals = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

STEPS = 90
"""Steps of the springs."""
SPREAD_STEPS, SPREAD_STEPS_LARGE = 60, 160
APART, PUSH, ENOUGH = np.float32(1.14), np.float32(0.35), np.float32(1.0)
"""Nodes nearer than `APART` push each other, by that share of what is missing, until all are `ENOUGH` apart."""
GRAVITY = np.float32(0.15)
"""Pull to the middle: parts of a graph that nothing links stay near."""
SOFT = np.float32(1e-3)
EVENED_FROM = 14
"""Nodes from which a graph is made to fill its disc."""
ANGLES = 48
"""Directions in which room for a circle is looked for."""
NEAR_CIRCLES = 48
LANDSCAPE = 1.25
"""How much wider than high a packing of circles wants to be."""


def start(n: int, seed: int) -> Reals:
    """Where n nodes start: at random in a disc whose area grows with n; the same for equal n and seed."""
    draws = np.random.default_rng([seed, n]).random((n, 2))
    reach, angle = np.sqrt(draws[:, 0] * n) / 2, 2 * math.pi * draws[:, 1]
    return np.round(np.stack([reach * np.cos(angle), reach * np.sin(angle)], axis=1), 4).astype(np.float32)


def springs(weights: Reals, seed: int) -> Reals:
    """Positions of a batch of graphs by force-directed placement (Fruchterman and Reingold 1991).

    Linked nodes attract with weight·d², all repel with 1/d; the longest move of a step falls linearly to none.
    """
    batch, n, _ = weights.shape
    at = np.broadcast_to(start(n, seed), (batch, n, 2))
    x, y = at[..., 0].copy(), at[..., 1].copy()
    hottest = 0.35 * math.sqrt(n)
    for step in range(STEPS):
        dx, dy = x[:, :, None] - x[:, None, :], y[:, :, None] - y[:, None, :]
        square = dx * dx + dy * dy + SOFT
        force = 1 / square - weights * np.sqrt(square)
        move_x, move_y = (force * dx).sum(axis=-1) - GRAVITY * x, (force * dy).sum(axis=-1) - GRAVITY * y
        length = np.sqrt(move_x * move_x + move_y * move_y) + SOFT
        limit = np.minimum(length, np.float32(hottest * (1 - step / STEPS))) / length
        x += move_x * limit
        y += move_y * limit
    return np.stack([x, y], axis=-1)


def evened(at: Reals) -> Reals:
    """A batch of graphs whose nodes fill their discs more evenly: cores are less crowded, directions stay.

    A node's distance from the middle becomes the mean of what it is and of what it would be if nodes of that order
    were spread over the disc.
    """
    n = at.shape[1]
    if n < EVENED_FROM:
        return at
    at = at - at.mean(axis=1, keepdims=True)
    reach = np.sqrt((at * at).sum(axis=-1)) + SOFT
    rank = np.argsort(np.argsort(reach, axis=1, kind="stable"), axis=1, kind="stable")
    even = np.sqrt((rank + np.float32(0.5)) / np.float32(n)).astype(np.float32) * reach.max(
        axis=1, keepdims=True
    )
    return np.asarray(at * ((reach + even) / (2 * reach))[..., None], dtype=np.float32)


def spread(at: Reals) -> Reals:
    """Scale and push apart the nodes of each graph of a batch until none are nearer than 1.

    From `EVENED_FROM` nodes on they stay in a disc of `reach_of`, unless that leaves them too near.
    """
    batch, n, _ = at.shape
    if n == 1:
        return np.zeros_like(at)
    at = _sized(at)
    x, y = at[..., 0].copy(), at[..., 1].copy()
    left = np.arange(batch)  # a graph that has room is left alone, so that it does not depend on the others
    for _ in range(SPREAD_STEPS):
        dx, dy = x[left, :, None] - x[left, None, :], y[left, :, None] - y[left, None, :]
        square = dx * dx + dy * dy + SOFT
        crowded = (square < ENOUGH * ENOUGH).sum(axis=(1, 2)) > n  # each node is near itself
        if not crowded.all():
            left, dx, dy, square = left[crowded], dx[crowded], dy[crowded], square[crowded]
        if not len(left):
            break
        push = np.maximum(PUSH * APART / np.sqrt(square) - PUSH, 0)
        moved_x, moved_y = x[left] + (push * dx).sum(axis=-1), y[left] + (push * dy).sum(axis=-1)
        back = _held(moved_x, moved_y, n)
        x[left], y[left] = moved_x * back, moved_y * back
    at = np.stack([x, y], axis=-1)
    return np.asarray(at * _at_least_one(_nearest_dense(at).min(axis=1)), dtype=np.float32)


def spread_one(at: Reals) -> Reals:
    """The same for one graph of many nodes, (n, 2)."""
    n = len(at)
    at = _sized(at[None])[0]
    for _ in range(SPREAD_STEPS_LARGE):
        pairs = cKDTree(at).query_pairs(float(APART), output_type="ndarray")
        one, other = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].T
        d = at[one] - at[other]
        distance = np.sqrt((d * d).sum(axis=-1)) + SOFT
        if distance.min(initial=ENOUGH) >= ENOUGH:
            break
        push = d * (np.maximum(PUSH * APART / distance - PUSH, 0))[:, None]
        moves = [np.bincount(one, push[:, axis], n) - np.bincount(other, push[:, axis], n) for axis in (0, 1)]
        at = at + np.stack(moves, axis=1).astype(np.float32)
        at = at * _held(at[:, 0], at[:, 1], n)[:, None]
    least = cKDTree(at).query(at, k=2)[0][:, 1].min()
    return np.asarray(at * _at_least_one(np.array([least], dtype=np.float32))[0], dtype=np.float32)


def reach_of(n: int) -> np.float32:
    """The radius of the disc that n nodes fill: two square units each."""
    return np.float32(0.8 * math.sqrt(n) + 0.3)


def _sized(at: Reals) -> Reals:
    """Graphs at the size from which nodes are pushed apart: small ones by their shape, others to fill their disc."""
    n = at.shape[1]
    if n < EVENED_FROM:
        return np.asarray(at * _scale(_nearest_dense(at), np.float32(1.3)), dtype=np.float32)
    at = at - at.mean(axis=1, keepdims=True)
    wide = np.sqrt((at * at).sum(axis=-1).mean(axis=1)) + SOFT
    return np.asarray(at * (reach_of(n) * np.float32(0.68) / wide)[:, None, None], dtype=np.float32)


def _held(x: Reals, y: Reals, n: int) -> Reals:
    """By node: the factor that keeps it in its disc."""
    if n < EVENED_FROM:
        return np.ones_like(x)
    return np.asarray(np.minimum(reach_of(n) / (np.sqrt(x * x + y * y) + SOFT), 1), dtype=np.float32)


def _nearest_dense(at: Reals) -> Reals:
    x, y = at[..., 0], at[..., 1]
    dx, dy = x[:, :, None] - x[:, None, :], y[:, :, None] - y[:, None, :]
    square = dx * dx + dy * dy
    square[:, np.eye(at.shape[1], dtype=np.bool_)] = np.inf
    return np.asarray(np.sqrt(square.min(axis=-1)), dtype=np.float32)


def _scale(nearest: Reals, wanted: np.float32) -> Reals:
    """What makes the median distance to the nearest neighbour the wanted one, at most 6."""
    median = np.sort(nearest, axis=1)[:, nearest.shape[1] // 2]
    return np.asarray(np.minimum(wanted / (median + SOFT), 6))[:, None, None]


def _at_least_one(least: Reals) -> Reals:
    return np.asarray(np.maximum(1 / np.maximum(least, SOFT), 1) * np.float32(1.0001))[:, None, None]


def level(at: Reals) -> Reals:
    """Turn each graph of a batch so that its longest direction lies across, its middle at the origin."""
    at = at - at.mean(axis=1, keepdims=True)
    x, y = at[..., 0], at[..., 1]
    turn = np.arctan2(2 * (x * y).sum(axis=1), (x * x - y * y).sum(axis=1)) / 2
    at = rotated(at, -turn)
    middle = (at.max(axis=1, keepdims=True) + at.min(axis=1, keepdims=True)) / 2
    return np.asarray(at - middle, dtype=np.float32)


def rotated(at: Reals, angle: Reals) -> Reals:
    """Each graph of a batch turned around the origin by its angle."""
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y = at[..., 0], at[..., 1]
    return np.stack([x * cos - y * sin, x * sin + y * cos], axis=-1).astype(np.float32)


def pack(wanted: npt.NDArray[np.float64], radii: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Centres (n, 2) of circles that do not overlap, each as near to where it wants to be as there is room.

    The largest is placed first; a later one looks along rays from its wanted centre for the first free place.
    """
    placed = np.zeros_like(wanted)
    order = np.lexsort((np.arange(len(radii)), -radii))
    angles = np.arange(ANGLES) * (2 * math.pi / ANGLES)
    rays = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for done, this in enumerate(order):
        others = order[:done]
        placed[this] = wanted[this] + _way(wanted[this], rays, placed[others], radii[others] + radii[this])
    return placed


def _way(
    origin: npt.NDArray[np.float64],
    rays: npt.NDArray[np.float64],
    centres: npt.NDArray[np.float64],
    reach: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """The shortest way along a ray out of all circles; circles that begin farther away are not looked at."""
    begins = np.sqrt(((centres - origin) ** 2).sum(axis=1)) - reach
    near_first = np.argsort(begins, kind="stable")
    looked_at = NEAR_CIRCLES
    while True:
        near = near_first[:looked_at]
        away = _first_free(origin, rays, centres[near], reach[near])
        best = int(np.argmin(np.round(away, 6)))
        if looked_at >= len(near_first) or away[best] <= begins[near_first[looked_at]]:
            return np.asarray(rays[best] * away[best])
        looked_at *= 2


def _first_free(
    origin: npt.NDArray[np.float64],
    rays: npt.NDArray[np.float64],
    centres: npt.NDArray[np.float64],
    reach: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """By ray: how far from `origin` the first point is that lies in none of the circles."""
    to = centres - origin
    along = rays @ to.T
    inside = reach**2 - ((to**2).sum(axis=1) - along**2)
    half = np.sqrt(np.maximum(inside, 0))
    enter, leave = along - half, np.where(inside > 0, along + half, -1.0)
    order = np.argsort(enter, axis=1, kind="stable")
    enter, leave = np.take_along_axis(enter, order, axis=1), np.take_along_axis(leave, order, axis=1)
    reached = np.maximum.accumulate(np.concatenate([np.zeros((len(rays), 1)), leave], axis=1), axis=1)
    free = np.concatenate([reached[:, :-1] <= enter, np.ones((len(rays), 1), dtype=np.bool_)], axis=1)
    return np.asarray(np.take_along_axis(reached, free.argmax(axis=1)[:, None], axis=1)[:, 0])


def arrange(springs_at: npt.NDArray[np.float64], radii: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Pack circles that springs placed: as compact as circles lie, a little wider than high, without overlap."""
    at = evened(level(springs_at[None].astype(np.float32)))[0].astype(np.float64)
    at *= np.array([LANDSCAPE, 1 / LANDSCAPE])
    wide = math.sqrt(float((at**2).sum(axis=1).mean())) or 1.0
    wanted = at * (math.sqrt(float((radii**2).sum())) * 0.72 / wide)
    return pack(wanted, radii)
