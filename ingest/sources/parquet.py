"""Parquet files, a batch of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from graph.errors import RingfenceError
from ingest.batch import RawBatch
from ingest.sources.rows import Rows

BATCH_ROWS = 32_768
_MOST_CELLS = 4_000_000
_READ_BUFFER = 1 << 20


@dataclass(frozen=True)
class ParquetTask:
    """Some rows of a Parquet file, read already: only their meaning is left to the worker."""

    table: pa.RecordBatch
    file: str
    first_row: int

    def read(self) -> Rows:
        """The batch; line numbers are row numbers, from 1."""
        rows = self.table.num_rows
        batch = RawBatch(
            columns={name: self.table.column(at) for at, name in enumerate(self.table.schema.names)},
            rows=rows,
            file=self.file,
            lines=pa.array(range(self.first_row, self.first_row + rows), pa.int64()),
        )
        return Rows(batch)


class ParquetReader:
    """Iterates over the tasks of a file. `damage` says, after the last one, what could not be read."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self.damage: str | None = None

    def __iter__(self) -> Iterator[ParquetTask]:
        try:
            file = pq.ParquetFile(self._path, buffer_size=_READ_BUFFER, pre_buffer=False)
        except pa.ArrowInvalid as error:
            self.damage = f"not a whole Parquet file: {_first_line(error)}"
            return
        with file:
            yield from self._batches(file)

    def _batches(self, file: pq.ParquetFile) -> Iterator[ParquetTask]:
        schema = file.schema_arrow
        if len(set(schema.names)) < len(schema.names):
            raise RingfenceError(
                f"{self._name}: two columns have the same name", "Give every column one name of its own."
            )
        size = max(1, min(BATCH_ROWS, _MOST_CELLS // max(1, len(schema.names))))
        row = 1
        try:
            for batch in file.iter_batches(batch_size=size, use_threads=False):
                if batch.num_rows:
                    yield ParquetTask(batch, self._name, row)
                row += batch.num_rows
        except (OSError, pa.ArrowException) as error:
            self.damage = f"cannot be read after row {row - 1}: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
