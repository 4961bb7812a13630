"""Reading the tables that a run wrote, with errors that say what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from graph.errors import RingfenceError
from graph.keys import Keys

BATCH = 65_536


class RunTables:
    """The Parquet files in a run's folder. Raises RingfenceError when one is missing or lacks a column."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def part(
        self,
        name: str,
        columns: Sequence[str],
        key: str,
        part: int,
        parts: int,
        condition: ds.Expression | None = None,
    ) -> pa.Table:
        """Rows whose key lies in one of `parts` ranges."""
        chosen = []
        for batch in self.scan(name, columns, condition):
            inside = Keys.of(batch.column(key)).bucket(parts) == part
            chosen.append(batch if inside.all() else batch.filter(pa.array(inside)))
        return pa.Table.from_batches(chosen) if chosen else self.table(name, columns).slice(0, 0)

    def scan(
        self, name: str, columns: Sequence[str], condition: ds.Expression | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Some columns, batch by batch, of the rows for which a condition holds."""
        with self._explained(name):
            dataset = ds.dataset(self._path(name))
            yield from dataset.to_batches(
                list(columns), filter=condition, batch_size=BATCH, batch_readahead=2
            )

    def table(self, name: str, columns: Sequence[str], *, coded: Sequence[str] = ()) -> pa.Table:
        """Some columns of all rows; those of `coded` by dictionary."""
        with self._explained(name):
            found = pq.read_table(self._path(name), columns=list(columns), read_dictionary=list(coded))
            return found.select(list(columns))

    def rows(self, name: str) -> int:
        """How many rows there are."""
        with self._explained(name):
            return int(pq.read_metadata(self._path(name)).num_rows)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.parquet"

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        try:
            yield
        except (OSError, KeyError, pa.ArrowException) as error:
            raise RingfenceError(
                f"cannot read {self._path(name)}: {error}", "Start the run again with `ringfence run`."
            ) from error


def as_batch(columns: Mapping[str, pa.Array | pa.ChunkedArray], schema: pa.Schema) -> pa.RecordBatch:
    """One batch with exactly the columns of the schema."""
    arrays = []
    for field in schema:
        column = columns[field.name]
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # a column without chunks stays chunked
            column = pa.array([], column.type)
        arrays.append(column if column.type == field.type else column.cast(field.type))
    return pa.record_batch(arrays, schema=schema)
