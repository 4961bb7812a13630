"""A person's own Cypher: read only, for so long, with so many rows."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any

from graph.errors import RingfenceError
from graph.store import Rows, Value
from graph.stores.neo4j.schema import Transaction

_RUN = re.compile(r"\$run\b")
_FOREIGN = "LoadCSV"


def check(tx: Transaction, text: str, parameters: Mapping[str, Any]) -> None:
    """Raise RingfenceError for a query that would do anything but read the graph."""
    summary = tx.run(f"EXPLAIN {text}", dict(parameters)).consume()
    if summary.query_type != "r":
        raise RingfenceError(
            "the query would change the graph or the server",
            "Only queries that read are run. To change the graph by hand use a client of Neo4j.",
            exit_code=2,
        )
    if _FOREIGN in _operators(summary.plan):
        raise RingfenceError(
            "the query would read files or addresses (LOAD CSV)", "Ask for what is in the graph.", exit_code=2
        )


def check_run(text: str) -> None:
    """Raise RingfenceError for a query that would mix what is shown with what is being written."""
    if not _RUN.search(text):
        raise RingfenceError(
            "another run is being written to the graph, and the query would see both",
            "Ask again when it is done, or ask for nodes of the run that is shown: MATCH (n {run: $run}).",
        )


def ask(tx: Transaction, text: str, parameters: Mapping[str, Any], limit: int) -> Rows:
    """The first rows of a query."""
    result = tx.run(text, dict(parameters))
    columns = tuple(map(str, result.keys()))
    found = []
    for record in result:
        found.append(tuple(plain(value) for value in record.values()))
        if len(found) > limit:
            break
    return Rows(columns, tuple(found[:limit]), cut=len(found) > limit)


def _operators(plan: Mapping[str, Any] | None) -> str:
    if plan is None:
        return ""
    return " ".join([str(plan["operatorType"]), *(_operators(child) for child in plan.get("children", ()))])


def plain(value: Any) -> Value:
    """A value of a row as a plain one: nodes by their key, relationships by their type, lists and maps as JSON."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    simple = _simple(value)
    if isinstance(simple, dict | list):
        return json.dumps(simple, ensure_ascii=False, default=str)
    return simple  # type: ignore[no-any-return]


def _simple(value: Any) -> Any:
    if hasattr(value, "to_native"):
        value = value.to_native()
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, bytes | bytearray):
        return value.hex()
    if isinstance(value, date | time):
        return value.isoformat()
    if hasattr(value, "labels"):
        return next(
            (value[name] for name in ("key", "cluster_id", "signal", "run_id") if name in value), None
        )
    return _nested(value)


def _nested(value: Any) -> Any:
    if hasattr(value, "start_node") and hasattr(value, "type"):
        return value.type
    if hasattr(value, "relationships"):
        return [_simple(node) for node in value.nodes]
    if isinstance(value, Mapping):
        return {str(name): _simple(one) for name, one in value.items()}
    if isinstance(value, list | tuple) and not hasattr(value, "iso_format"):
        return [_simple(one) for one in value]
    if isinstance(value, str | bool | int | float) or value is None:
        return value
    return value.iso_format() if hasattr(value, "iso_format") else str(value)
