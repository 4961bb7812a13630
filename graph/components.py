"""What hangs together in a graph: cycles of a directed one, and what holds an undirected one together.

Both are Tarjan's linear-time searches (SIAM Journal on Computing 1, 1972), with a stack of their own in the place of
recursion, which Python limits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from graph.store import NodeRef

Ints = npt.NDArray[np.int64]


def cycles(successors: Mapping[NodeRef, Sequence[NodeRef]]) -> list[list[NodeRef]]:
    """The groups of nodes that can all reach each other, a node that leads to itself among them; all in order."""
    search = _Strong(successors)
    for node in successors:
        search.visit(node)
    return sorted(sorted(group) for group in search.groups)


class _Strong:
    """Strongly connected components. `low` is the earliest node on the stack that a node can reach."""

    def __init__(self, successors: Mapping[NodeRef, Sequence[NodeRef]]) -> None:
        self.groups: list[list[NodeRef]] = []
        self._successors = successors
        self._low: dict[NodeRef, int] = {}
        self._number: dict[NodeRef, int] = {}
        self._open: dict[NodeRef, None] = {}

    def visit(self, start: NodeRef) -> None:
        """Search from a node, unless it was seen before."""
        path = [(start, iter(self._enter(start)))] if start not in self._number else []
        while path:
            node, following = path[-1]
            after = next(following, None)
            if after is None:
                path.pop()
                if path:
                    before = path[-1][0]
                    self._low[before] = min(self._low[before], self._low[node])
                self._leave(node)
            elif after not in self._number:
                path.append((after, iter(self._enter(after))))
            elif after in self._open:
                self._low[node] = min(self._low[node], self._number[after])

    def _enter(self, node: NodeRef) -> Sequence[NodeRef]:
        self._low[node] = self._number[node] = len(self._number)
        self._open[node] = None
        return self._successors.get(node, ())

    def _leave(self, node: NodeRef) -> None:
        if self._low[node] != self._number[node]:
            return
        group: list[NodeRef] = []
        while not group or group[-1] != node:
            group.append(self._open.popitem()[0])
        if len(group) > 1 or node in self._successors.get(node, ()):
            self.groups.append(group)


def articulations(a: Ints, b: Ints, weight: Ints) -> tuple[Ints, Ints]:
    """The nodes without which a part of an undirected graph falls apart, and the weight that then comes off.

    `a` and `b` are the ends of the edges, each edge once, no node tied to itself; `weight` has one entry a node.
    What comes off is everything that hung together with the node, but for the heaviest part and the node itself.
    """
    search = _Lowpoints(a, b, weight)
    for node in range(len(weight)):
        search.visit(node)
    return np.array(search.found, dtype=np.int64), np.array(search.off, dtype=np.int64)


class _Lowpoints:
    """Articulation points. `low` is the earliest node that is reached from what hangs below a node."""

    def __init__(self, a: Ints, b: Ints, weight: Ints) -> None:
        count = len(weight)
        ends, others = np.concatenate([a, b]), np.concatenate([b, a])
        order = np.argsort(ends, kind="stable")
        self._others: list[int] = others[order].tolist()
        heads: list[int] = np.searchsorted(ends[order], np.arange(count + 1)).tolist()
        self._cursor, self._end = heads[:-1], heads[1:]
        self._weight: list[int] = weight.tolist()
        self._below = list(self._weight)
        self._number = [-1] * count
        self._low = [0] * count
        self._parent = [-1] * count
        self._parts, self._loose, self._heaviest = [0] * count, [0] * count, [0] * count
        self._entered: list[int] = []
        self.found: list[int] = []
        self.off: list[int] = []

    def visit(self, root: int) -> None:
        """Search all that hangs together with a node, unless it was seen before."""
        if self._number[root] >= 0:
            return
        first = len(self._entered)
        self._enter(root, -1)
        path = [root]
        while path:
            node = path[-1]
            at = self._cursor[node]
            if at == self._end[node]:
                self._leave(path.pop())
                continue
            self._cursor[node] = at + 1
            after = self._others[at]
            if self._number[after] < 0:
                self._enter(after, node)
                path.append(after)
            elif after != self._parent[node]:
                self._low[node] = min(self._low[node], self._number[after])
        self._collect(root, self._entered[first:])

    def _enter(self, node: int, parent: int) -> None:
        self._number[node] = self._low[node] = len(self._entered)
        self._parent[node] = parent
        self._entered.append(node)

    def _leave(self, node: int) -> None:
        above = self._parent[node]
        if above < 0:
            return
        below = self._below[node]
        self._below[above] += below
        self._low[above] = min(self._low[above], self._low[node])
        if self._low[node] >= self._number[above]:  # nothing below reaches past the node above
            self._parts[above] += 1
            self._loose[above] += below
            self._heaviest[above] = max(self._heaviest[above], below)

    def _collect(self, root: int, nodes: list[int]) -> None:
        for node in nodes:
            if self._parts[node] > (node == root):
                rest = self._below[root] - self._weight[node] - self._loose[node]
                self.found.append(node)
                self.off.append(self._loose[node] + rest - max(self._heaviest[node], rest))
