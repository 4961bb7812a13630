"""Clusters by page: what decides the order is in an index, so that a page costs what it shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from graph.schema import NODES
from graph.store import ClusterFilter, ClusterOrder, ClusterPage, NodeRef
from graph.stores.cursors import Cursor
from graph.stores.sqlite.find import any_prefix, encodable
from graph.stores.sqlite.nodes import get_nodes
from graph.stores.sqlite.schema import Connection, sorting, sorting_index

FEW = 4_000
"""Up to so many clusters are found by their filter and then sorted."""

_HIGHEST_RISK = 100


def clusters(
    connection: Connection, where: ClusterFilter, order: ClusterOrder, after: str | None, limit: int
) -> ClusterPage:
    """See `GraphStore.clusters`."""
    cursor = None if after is None else Cursor.of(after, order)
    if where.text is not None and not encodable(where.text):
        return ClusterPage((), 0)
    conditions, bindings = _conditions(where)
    total = _count(connection, conditions, bindings)
    asked = _Asked(order, conditions, bindings, few=total <= FEW)
    rows = list(_rows(connection, asked, cursor, limit + 1)) if total else []
    shown = rows[:limit]
    refs = [NodeRef("Cluster", cluster_id) for cluster_id, _ in shown]
    found = get_nodes(connection, refs)
    following = None
    if len(rows) > limit and shown:
        cluster_id, value = shown[-1]
        following = Cursor(value, cluster_id).text(order)
    return ClusterPage(tuple(found[ref] for ref in refs), total, following)


@dataclass(frozen=True)
class _Asked:
    """What is asked for; `few`: so few clusters that they are sorted, not looked for along the order."""

    order: ClusterOrder
    conditions: list[str]
    bindings: list[Any]
    few: bool

    def select(self, condition: str, *, equal: bool) -> str:
        """The query for ids and values, with one more condition and a limit; `equal`: of clusters with one value.

        Those come by id alone: SQLite does not see that they are sorted by their value, and would sort them all.
        """
        value = sorting(self.order)
        along = "" if self.few else f"INDEXED BY {sorting_index(self.order)}"
        sorted_by = f"+{value}" if self.few else value  # the plus keeps the order's index out of it
        first = "" if equal else f"{sorted_by} DESC, "
        return (
            f'SELECT cluster_id, {value} FROM "Cluster" {along} '
            f"WHERE {' AND '.join([condition, *self.conditions])} ORDER BY {first}cluster_id LIMIT ?"
        )


def _rows(
    connection: Connection, asked: _Asked, cursor: Cursor | None, limit: int
) -> Iterator[tuple[str, float]]:
    """Ids and values of the clusters after a cursor: first those with its value, then those with less."""
    plus = "+" if asked.few else ""
    value = f"{plus}{sorting(asked.order)}"
    ranges: list[tuple[str, bool, list[Any]]] = [("1", False, [])]
    if cursor is not None:
        ranges = [
            (f"{value} = ? AND {plus}cluster_id > ?", True, [cursor.value, cursor.cluster_id]),
            (f"{value} < ?", False, [cursor.value]),
        ]
    left = limit
    for condition, equal, bound in ranges:
        if not left:
            return
        query = asked.select(condition, equal=equal)
        for row in connection.execute(query, [*bound, *asked.bindings, left]):
            left -= 1
            yield row


def _count(connection: Connection, conditions: list[str], bindings: list[Any]) -> int:
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    query = f'SELECT count(*) FROM "Cluster" {where}'
    return int(next(iter(connection.execute(query, bindings)))[0])


def _conditions(where: ClusterFilter) -> tuple[list[str], list[Any]]:
    """What a filter asks beyond what holds for every cluster."""
    chosen: list[tuple[str, list[Any]]] = []
    if where.min_risk > 0:
        chosen.append((f"{sorting(ClusterOrder.RISK)} >= ?", [where.min_risk]))
    if where.max_risk < _HIGHEST_RISK:
        chosen.append((f"{sorting(ClusterOrder.RISK)} <= ?", [where.max_risk]))
    if where.min_size > 0:
        chosen.append((f"{sorting(ClusterOrder.SIZE)} >= ?", [where.min_size]))
    if where.pattern is not None:
        chosen.append(("pattern = ?", [where.pattern]))
    if where.text:
        condition, texts = any_prefix(NODES["Cluster"], where.text)
        chosen.append((f"({condition})", [*texts]))
    return [condition for condition, _ in chosen], [value for _, values in chosen for value in values]
