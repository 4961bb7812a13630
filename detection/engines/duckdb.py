"""The single-machine engine: DuckDB over Parquet files. The only module that speaks to DuckDB."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import pyarrow as pa

from detection.settings import EngineSettings
from graph.errors import RingfenceError
from queries import load

ROW_GROUP = 122_880
"""Rows of a row group: DuckDB's own choice, unless people look single rows up."""


class Engine:
    """A private in-memory database that spills to a temporary folder of its own.

    Values reach it as registered tables; only SQL of this package and paths, quoted, make up its statements.
    """

    def __init__(self, settings: EngineSettings, spill: Path | None = None) -> None:
        self._spill = tempfile.TemporaryDirectory(prefix="ringfence-", dir=spill)
        self._connection = duckdb.connect(
            ":memory:",
            config={
                "threads": settings.threads,
                "memory_limit": settings.memory_limit,
                "temp_directory": self._spill.name,
                "preserve_insertion_order": False,
                "arrow_lossless_conversion": True,
            },
        )
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute("SET enable_progress_bar = false")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the database and remove what it spilled."""
        self._connection.close()
        self._spill.cleanup()

    def read(self, name: str, files: Sequence[Path], columns: str = "*", where: str = "TRUE") -> None:
        """Make Parquet files readable as the view `name`. `columns` and `where` are SQL of this package."""
        listed = ", ".join("'" + str(path).replace("'", "''") + "'" for path in files)
        self._execute(
            f"CREATE OR REPLACE TEMP VIEW {name} AS SELECT {columns} FROM read_parquet([{listed}]) WHERE {where}"
        )

    def register(self, name: str, table: pa.Table) -> None:
        """Make an Arrow table readable as `name`."""
        self._connection.register(name, table)

    def stage(self, name: str) -> None:
        """Run a stage of `queries/sql` and keep its rows as the table that its header names."""
        query = load(name)
        self._execute(f"CREATE OR REPLACE TEMP TABLE {query.writes} AS {query.sql}")

    def empty(self, table: str, columns: str) -> None:
        """Make an empty table; `columns` is SQL of this package."""
        self._execute(f"CREATE OR REPLACE TEMP TABLE {table} ({columns})")

    def append(self, table: str, sql: str) -> None:
        """Add the rows of a SELECT to a table."""
        self._execute(f"INSERT INTO {table} {sql}")

    def drop(self, *tables: str) -> None:
        """Forget tables that no later stage reads."""
        for table in tables:
            self._execute(f"DROP TABLE IF EXISTS {table}")

    def fetch(self, sql: str) -> pa.Table:
        """The rows of a SELECT as an Arrow table."""
        with _explained():
            return self._connection.sql(sql).to_arrow_table()

    def write(self, sql: str, path: Path, *, row_group: int = ROW_GROUP) -> None:
        """The rows of a SELECT as one Parquet file, in its order."""
        target = str(path).replace("'", "''")
        form = f"FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE {row_group}"
        self._execute(f"COPY ({sql}) TO '{target}' ({form})")

    def write_dated(self, sql: str, path: Path, *, row_group: int = ROW_GROUP) -> None:
        """As `write`, for people: columns named `…_at`, whole microseconds inside, become timestamps in UTC."""
        described = self._execute(f"DESCRIBE {sql}").fetchall()
        moments = [name for name, kind, *_ in described if name.endswith("_at") and kind == "BIGINT"]
        turned = ", ".join(f"CAST(MAKE_TIMESTAMP({name}) AS TIMESTAMPTZ) AS {name}" for name in moments)
        dated = f"SELECT {f'* REPLACE ({turned})' if turned else '*'} FROM ({sql})"
        self.write(dated, path, row_group=row_group)

    def _execute(self, sql: str) -> Any:
        with _explained():
            return self._connection.execute(sql)


@contextmanager
def _explained() -> Iterator[None]:
    """Turn failures of memory, disk and files into errors that say what to do."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise RingfenceError(
            "the run needs more memory than it may use",
            "Raise detection.engine.memory_limit in ringfence.toml.",
        ) from error
    except duckdb.IOException as error:
        raise RingfenceError(
            f"cannot read or write a data file: {str(error).splitlines()[0]}",
            "Check free disk space and permissions of the home folder, then run again.",
        ) from error
    except duckdb.InvalidInputException as error:
        raise RingfenceError(
            f"a data file is damaged: {str(error).splitlines()[0]}",
            "A folder under facts/aggregates may be deleted: the next run makes it again."
            " One under facts/events must be restored from a backup.",
        ) from error
