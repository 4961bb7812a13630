"""DuckDB for SQL of others: in memory, one thread, no files, no settings to change, tables that are handed to it.

It is meant for a process of its own (`detection.lifecycle.child`), which also takes files and network away by means
of the operating system: each of the two would do without the other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import duckdb
import pyarrow as pa

REFUSES = (
    "enable_external_access = false",
    "disabled_filesystems = 'LocalFileSystem'",
    "TimeZone = 'UTC'",
    "enable_progress_bar = false",
    "lock_configuration = true",
)
"""Set in this order once everything is in place; the last makes all of them final."""


class RefusedSqlError(Exception):
    """The statement cannot be parsed, or is not one that may run; the message says why."""


class FailedSqlError(Exception):
    """The statement failed while it was bound or run; `memory` says whether for want of memory."""

    def __init__(self, message: str, *, memory: bool = False) -> None:
        super().__init__(message)
        self.memory = memory


class Confined:
    """One locked database. Threads would make sums of doubles depend on chance: it has one."""

    def __init__(self, tables: Mapping[str, pa.Table], memory_mb: int) -> None:
        self._connection = duckdb.connect(
            ":memory:",
            config={
                "threads": 1,
                "memory_limit": f"{memory_mb}MB",
                "temp_directory": "",
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "allow_community_extensions": False,
                "python_enable_replacements": False,
                "arrow_lossless_conversion": True,
            },
        )
        self._pure = self._pure_functions()
        for name, table in tables.items():
            self._connection.register(name, table)
        for setting in REFUSES:
            self._connection.execute(f"SET {setting}")

    def pure(self, name: str) -> bool:
        """Whether a function of that name exists and answers from its arguments alone."""
        return name.lower() in self._pure

    def parsed(self, sql: str) -> dict[str, Any]:
        """The one SELECT of `sql` as DuckDB's own tree. Raises RefusedSqlError when it is anything else."""
        try:
            statements = duckdb.extract_statements(sql)
        except duckdb.Error as error:
            raise RefusedSqlError(said(error)) from error
        if len(statements) != 1:
            raise RefusedSqlError(f"it holds {len(statements)} statements, one SELECT is wanted")
        if statements[0].type != duckdb.StatementType.SELECT:
            raise RefusedSqlError(f"it is {statements[0].type.name}, a SELECT is wanted")
        answer = self._connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
        tree: dict[str, Any] = json.loads(answer[0]) if answer else {"error": True}
        if tree["error"]:
            raise RefusedSqlError(str(tree.get("error_message", "it is not a plain SELECT")))
        return tree

    def columns(self, sql: str) -> dict[str, str]:
        """Names and types of the columns that a SELECT returns. Raises FailedSqlError."""
        try:
            rows = self._connection.execute(f"DESCRIBE {sql}").fetchall()
        except duckdb.Error as error:
            raise FailedSqlError(said(error)) from error
        return {row[0]: row[1] for row in rows}

    def fetch(self, sql: str) -> pa.Table:
        """The rows of a SELECT. Raises FailedSqlError."""
        try:
            return self._connection.sql(sql).to_arrow_table()
        except (duckdb.OutOfMemoryException, MemoryError) as error:
            raise FailedSqlError(said(error), memory=True) from error
        except duckdb.Error as error:
            raise FailedSqlError(said(error)) from error

    def _pure_functions(self) -> frozenset[str]:
        """Functions that the catalogue calls consistent, none of their forms volatile, and macros over lists."""
        rows = self._connection.execute(
            "SELECT LOWER(function_name) FROM duckdb_functions() WHERE function_type IN ('scalar', 'aggregate')"
            " GROUP BY ALL HAVING BOOL_OR(stability = 'CONSISTENT') AND NOT BOOL_OR(stability = 'VOLATILE')"
            " UNION SELECT LOWER(function_name) FROM duckdb_functions() WHERE function_type = 'macro'"
            " AND (starts_with(function_name, 'list_') OR starts_with(function_name, 'array_')"
            " OR function_name IN ('nullif', 'if', 'split_part', 'fdiv', 'geomean', 'weighted_avg', 'wavg'))"
        ).fetchall()
        return frozenset(row[0] for row in rows)


def said(error: BaseException) -> str:
    """DuckDB's message without its class and hints, on one line with the place that it points at."""
    text = str(error).strip().split("\n\nLINE ")
    message = " ".join(text[0].split())
    place = f" (line {text[1].split(':', 1)[0]})" if len(text) > 1 else ""
    return f"{message.partition(' Error: ')[2] or message}{place}"
