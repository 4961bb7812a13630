"""What the SQL of a detector may say, judged on DuckDB's own tree of it: default is no."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

NODES = frozenset(
    {
        "SELECT_NODE",
        "SET_OPERATION_NODE",
        "RECURSIVE_CTE_NODE",
        "CTE_NODE",
        "BASE_TABLE",
        "SUBQUERY",
        "JOIN",
        "TABLE_FUNCTION",
        "EXPRESSION_LIST",
        "EMPTY",
    }
)
"""Queries and sources of rows that may appear."""
ORDERS = frozenset({"ORDER_DEFAULT", "ASCENDING", "DESCENDING"})
NEUTRAL = ("_MODIFIER", "_TYPE_INFO")
"""Endings of what else the tree is made of apart from expressions, which have a class."""
REFUSED_NODES = {
    "SHOW_REF": "it describes tables",
    "PIVOT": "it pivots; use CASE in aggregates",
    "DELETE_QUERY_NODE": "it deletes",
    "INSERT_QUERY_NODE": "it inserts",
    "UPDATE_QUERY_NODE": "it updates",
}
TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest"})
CLOCK_FUNCTIONS = frozenset({"age", "ago", "today", "now"})
"""Functions that read the clock in one of their forms, though the catalogue has consistent ones, too."""
RESERVED = ("duckdb_", "pg_", "sqlite_", "pragma_", "information_schema")
CLOCK_WORDS = frozenset(
    {
        "current_date",
        "current_time",
        "current_timestamp",
        "localtime",
        "localtimestamp",
        "current_user",
        "current_role",
        "current_catalog",
        "current_schema",
        "session_user",
        "user",
    }
)
"""Names that mean a function where no column has them."""

Tree = dict[str, Any]


def problems(tree: Tree, reads: Sequence[str], pure: Callable[[str], bool]) -> list[str]:
    """What is wrong with a SELECT that may read only the views `reads` and only functions that are `pure`."""
    found: dict[str, None] = {}
    named = {name.lower() for node in _walk(tree) for name in _ctes(node)}
    for name in sorted(named):
        if name.startswith(RESERVED) or name in reads:
            found[f"WITH {name}: choose another name"] = None
    for node in _walk(tree):
        for problem in (*_of_source(node, named | set(reads)), *_of_expression(node, pure)):
            found[problem] = None
    return list(found)


def _walk(value: Any) -> Iterator[Tree]:
    """Every object of the tree, without recursion: its depth is the detector's to choose."""
    open_ = [value]
    while open_:
        current = open_.pop()
        if isinstance(current, dict):
            yield current
            open_.extend(reversed(list(current.values())))
        elif isinstance(current, list):
            open_.extend(reversed(current))


def _ctes(node: Tree) -> list[str]:
    names = [str(entry["key"]) for entry in (node.get("cte_map") or {}).get("map", ())]
    return [*names, str(node["cte_name"])] if node.get("cte_name") else names


def _of_source(node: Tree, readable: set[str]) -> Iterator[str]:
    said = node.get("type")
    kind = said if isinstance(said, str) else ""
    if node.get("sample") is not None:
        yield "it samples rows: the same facts have to give the same answer"
    plain = kind in NODES or kind in ORDERS or kind.endswith(NEUTRAL)
    if kind and "class" not in node and not plain:
        yield REFUSED_NODES.get(kind, f"{kind.replace('_', ' ').lower()} is nothing that a detector may use")
    if kind == "BASE_TABLE":
        yield from _of_table(node, readable)
    if kind == "TABLE_FUNCTION":
        name = str((node.get("function") or {}).get("function_name", "")).lower()
        if name not in TABLE_FUNCTIONS:
            yield f"FROM {name}(…) reads something other than the views"


def _of_table(node: Tree, readable: set[str]) -> Iterator[str]:
    name = str(node.get("table_name", ""))
    if node.get("schema_name") or node.get("catalog_name"):
        yield f"{name}: views are named without a schema"
    elif name.lower() not in readable:
        yield f"it reads {name!r}, which its header does not name under reads"
    if node.get("at_clause") is not None:
        yield f"{name} AT (…): views have one version"


def _of_expression(node: Tree, pure: Callable[[str], bool]) -> Iterator[str]:
    kind = node.get("class")
    if kind == "PARAMETER":
        yield "it has a parameter (? or $1), and nobody to fill it in"
    if kind == "COLUMN_REF" and str(node["column_names"][0]).lower() in CLOCK_WORDS:
        yield f"{node['column_names'][0]} is not in the facts: times are columns of the views"
    if kind != "FUNCTION":
        return
    name = str(node.get("function_name", "")).lower()
    if node.get("schema") not in ("", None, "main") or node.get("catalog") not in ("", None, "system"):
        yield f"{name}(…): functions are named without a schema"
    if name in TABLE_FUNCTIONS:
        return
    if name in CLOCK_FUNCTIONS or not pure(name):
        yield f"the function {name}(…) is not there, or its answer depends on more than its arguments"
