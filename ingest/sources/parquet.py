"""Parquet files, a batch of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from graph.errors import RingfenceError
from ingest.batch import RawBatch
from ingest.sources.rows import Rows
from ingest.sources.streams import UnreadableError

BATCH_ROWS = 32_768
_MOST_CELLS = 4_000_000
_READ_BUFFER = 1 << 20
_UUID_BYTES = 16
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)


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
            columns={name: _plain(self.table.column(at)) for at, name in enumerate(self.table.schema.names)},
            rows=rows,
            file=self.file,
            lines=pa.array(range(self.first_row, self.first_row + rows), pa.int64()),
        )
        return Rows(batch)

    def put_down(self, path: Path) -> LaidDownTask:
        """The same rows in a file, for another process: through a pipe they would cost more than decoding them."""
        with pa.OSFile(str(path), "wb") as out, pa.ipc.new_stream(out, self.table.schema) as stream:
            stream.write_batch(self.table)
        return LaidDownTask(path, self.file, self.first_row)


@dataclass(frozen=True)
class LaidDownTask:
    """Rows of a ParquetTask on their way to a worker. They can be read once."""

    path: Path
    file: str
    first_row: int

    def read(self) -> Rows:
        """See `ParquetTask.read`."""
        with pa.memory_map(str(self.path)) as given, pa.ipc.open_stream(given) as stream:
            table = stream.read_next_batch()
        self.path.unlink()
        return ParquetTask(table, self.file, self.first_row).read()


class ParquetReader:
    """Iterates over the tasks of a file. `damage` says, after the last one, what could not be read."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self.damage: str | None = None

    def __iter__(self) -> Iterator[ParquetTask]:
        try:
            file = pq.ParquetFile(self._path, buffer_size=_READ_BUFFER, pre_buffer=False)
        except (OSError, pa.ArrowException) as error:
            if isinstance(error, OSError) and error.errno:
                raise UnreadableError from error
            self.damage = f"not a whole Parquet file that anybody may read: {_first_line(error)}"
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


def _plain(column: pa.Array) -> pa.Array:
    """A column without the meaning that an extension gives to it; UUIDs in their usual spelling."""
    if not isinstance(column, pa.ExtensionArray):
        return column
    return _spelled(column) if isinstance(column.type, pa.UuidType) else column.storage


def _spelled(uuids: pa.ExtensionArray) -> pa.StringArray:
    storage = uuids.storage
    cells = np.frombuffer(storage.buffers()[1], np.uint8).reshape(-1, _UUID_BYTES)
    cells = cells[storage.offset : storage.offset + len(storage)]
    digits = _HEX[np.stack([cells >> 4, cells & 15], axis=2).reshape(len(cells), 2 * _UUID_BYTES)]
    text = np.insert(digits, [8, 12, 16, 20], ord("-"), axis=1)
    offsets = np.arange(len(cells) + 1, dtype=np.int32) * text.shape[1]
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(text))]
    return pc.if_else(storage.is_valid(), pa.Array.from_buffers(pa.string(), len(cells), buffers), None)


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
