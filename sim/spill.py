"""Keeps memory flat: chunks go to disk by day, and each day is sorted, spelt and written by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sim.columns import COLUMNS, SCHEMA, SPILL_SCHEMA, decode
from sim.events import Codes
from sim.identifiers import NULL
from sim.mix import mix64, salt

_MAX_BUCKETS: Final = 64
_DAY: Final = 86_400 * 1_000_000
_ROWS: Final = 1 << 18


class Spill:
    """Buckets of whole days on disk, as compressed Arrow streams of integer codes."""

    def __init__(self, folder: Path, start: int, days: int) -> None:
        """Make a bucket for each day from `start` (microseconds), or for several days where the window is long."""
        self._width = -(-days // _MAX_BUCKETS) * _DAY
        self._start = start
        self._paths = [folder / f"bucket-{index}.arrow" for index in range(-(-days * _DAY // self._width))]
        options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
        self._writers = [pa.ipc.new_stream(str(path), SPILL_SCHEMA, options=options) for path in self._paths]
        self._count = 0

    @property
    def count(self) -> int:
        """Events so far."""
        return self._count

    def add(self, codes: Codes) -> None:
        """Append events, in any order, giving each its number."""
        total = len(codes["occurred_at"])
        codes = {**codes, "event_id": np.arange(self._count, self._count + total, dtype=np.int64)}
        self._count += total
        bucket = (codes["occurred_at"] - self._start) // self._width
        order = np.argsort(bucket.astype(np.int16), kind="stable")
        bounds = np.searchsorted(bucket[order], np.arange(len(self._paths) + 1))
        nothing = np.full(total, NULL, dtype=np.int64)
        arrays = [pa.array(codes[name][order] if name in codes else nothing) for name in COLUMNS]
        batch = pa.RecordBatch.from_arrays(arrays, schema=SPILL_SCHEMA)
        for index, writer in enumerate(self._writers):
            part = batch.slice(bounds[index], bounds[index + 1] - bounds[index])
            if part.num_rows:
                writer.write_batch(part)

    def close(self) -> None:
        """Finish writing; needed before `write`, harmless twice."""
        for writer in self._writers:
            writer.close()

    def write(self, target: Path, seed: int, progress: Callable[[int, int], None]) -> None:
        """Sort every bucket by time and write them all to one Parquet file."""
        with pq.ParquetWriter(
            str(target),
            SCHEMA,
            compression="zstd",
            compression_level=1,
            store_schema=False,
            use_dictionary=[name for name, column in COLUMNS.items() if not column.distinct],
        ) as writer:
            for done, path in enumerate(self._paths, start=1):
                self._write_bucket(path, writer, seed)
                path.unlink()
                progress(done, len(self._paths))

    def _write_bucket(self, path: Path, writer: pq.ParquetWriter, seed: int) -> None:
        with pa.ipc.open_stream(str(path)) as reader:
            table = reader.read_all()
        at = table["occurred_at"].to_numpy()
        # Equal times are ordered by the mixed number, so that a row's place never tells who made it.
        order = np.lexsort((mix64(table["event_id"].to_numpy(), salt(seed, "event")), at))
        for first in range(0, len(order), _ROWS):
            rows = order[first : first + _ROWS]
            arrays = [decode(name, table[name].to_numpy()[rows], seed) for name in COLUMNS]
            writer.write_table(pa.Table.from_arrays(arrays, names=SCHEMA.names))
