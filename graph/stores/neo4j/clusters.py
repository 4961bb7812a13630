"""Clusters by page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graph.schema import NODES
from graph.store import ClusterFilter, ClusterOrder, ClusterPage
from graph.stores.cursors import Cursor
from graph.stores.neo4j.nodes import encodable, to_node
from graph.stores.neo4j.schema import Transaction, by, by_key, number, quoted, rows, select, using

_CLUSTER = NODES["Cluster"]
_KEY = f"n.{quoted(_CLUSTER.key.name)}"
_HIGHEST_RISK = 100
_BY_KEY = "key"
_LEAST = "-1.0e300"
"""Less than anything that clusters are sorted by: a condition that an index answers."""


def clusters(
    tx: Transaction, run: int, where: ClusterFilter, order: ClusterOrder, after: str | None, limit: int
) -> ClusterPage:
    """See `GraphStore.clusters`."""
    cursor = None if after is None else Cursor.of(after, order)
    if where.text is not None and not encodable(where.text):
        return ClusterPage((), 0)
    conditions, bound = _conditions(where)
    total = number(tx, f"{_chosen(_narrowest(where), conditions)} RETURN count(n)", run=run, **bound)
    ranges = [""]
    if cursor is not None:
        ranges = [f"n.{by(order)} = $value AND {_KEY} > $after", f"n.{by(order)} > $value"]
        bound |= {"value": -cursor.value, "after": cursor.cluster_id}
    found: list[list[Any]] = []
    for condition in ranges:
        left = limit + 1 - len(found)
        statement = _page(order, [*conditions, *([condition] if condition else [])])
        found += rows(tx, statement, run=run, limit=left, **bound) if left else []
    shown = tuple(to_node(_CLUSTER, stored[0], stored) for _, *stored in found[:limit])
    following = None
    if len(found) > limit and shown:
        last, cluster_id, *_ = found[limit - 1]
        following = Cursor(-last, cluster_id).text(order)
    return ClusterPage(shown, total, following)


def _narrowest(where: ClusterFilter) -> str:
    """The index that leaves fewest clusters to be looked at."""
    if where.min_risk > 0 or where.max_risk < _HIGHEST_RISK:
        return ClusterOrder.RISK
    return ClusterOrder.SIZE if where.min_size > 0 else _BY_KEY


def _page(order: ClusterOrder, conditions: Sequence[str]) -> str:
    """The statement of the first clusters in an order, which an index gives."""
    value = f"n.{by(order)}"
    columns = (*_CLUSTER.columns, *_CLUSTER.kept)
    return (
        f"{_chosen(order, [*conditions, f'{value} > {_LEAST}'])} "
        f"WITH n, {value} AS value ORDER BY n.run, {value}, {_KEY} LIMIT $limit "
        f"RETURN value, {select(columns, 'n')}"
    )


def _chosen(order: str, conditions: Sequence[str]) -> str:
    """The pattern of the clusters of the run, from the index of keys or of an order."""
    hint = (
        by_key("n", _CLUSTER)
        if order == _BY_KEY
        else using("n", _CLUSTER, "run", by(order), _CLUSTER.key.name)
    )
    every = ["n.run = $run", f"{_KEY} >= ''", *conditions]
    return f"MATCH (n:{quoted(_CLUSTER.label)}) {hint} WHERE {' AND '.join(every)}"


def _conditions(where: ClusterFilter) -> tuple[list[str], dict[str, Any]]:
    """What a filter asks beyond what holds for every cluster."""
    conditions: list[str] = []
    bound: dict[str, Any] = {}

    def add(condition: str, **values: Any) -> None:
        conditions.append(condition)
        bound.update(values)

    if where.min_risk > 0:
        add(f"n.{by(ClusterOrder.RISK)} <= $min_risk", min_risk=-where.min_risk)
    if where.max_risk < _HIGHEST_RISK:
        add(f"n.{by(ClusterOrder.RISK)} >= $max_risk", max_risk=-where.max_risk)
    if where.min_size > 0:
        add(f"n.{by(ClusterOrder.SIZE)} <= $min_size", min_size=-where.min_size)
    if where.pattern is not None:
        add("n.pattern = $pattern", pattern=where.pattern)
    if where.text:
        begins = " OR ".join(f"n.{quoted(name)} STARTS WITH $text" for name in _CLUSTER.search)
        add(f"({begins})", text=where.text)
    return conditions, bound
