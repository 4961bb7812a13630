"""What keys stand for: canonical and display texts from the facts, for those keys that are asked about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from graph.keys import Index, Keys, KeySet
from graph.store import Progress, quiet

BATCH = 131_072
STAGE = "read identifier values"
_COLUMNS = ["key", "canonical", "display", "hidden"]


class Texts:
    """Texts of a set of keys, read in one pass over the value files of the facts.

    Of several rows for one key the first counts; a key is hidden if any of its rows is. Memory grows with
    the keys that are asked about, not with the facts.
    """

    def __init__(self, files: Sequence[Path], keys: Keys, progress: Progress = quiet) -> None:
        self._set = KeySet(keys)
        self._row = np.full(len(self._set), -1, dtype=np.int64)
        self._hidden = np.zeros(len(self._set), dtype=np.bool_)
        parts: list[pa.RecordBatch] = []
        rows = 0
        for done, file in enumerate(files):
            progress(STAGE, done, len(files))
            for batch in _batches(file) if len(self._set) else ():
                fresh = self._take(batch, rows)
                rows += fresh.num_rows
                parts.append(fresh)
        schema = pa.schema([("canonical", pa.string()), ("display", pa.string())])
        self._texts = pa.Table.from_batches(parts, schema)

    def of(self, keys: Keys) -> tuple[pa.Array, pa.Array, pa.Array]:
        """Canonical, display and hidden of keys that were asked about; null where the facts hold nothing."""
        _, place = self._set.locate(keys)
        rows = self._row[place]
        taken = self._texts.take(pa.array(rows, pa.int64(), mask=rows < 0))
        canonical, display = (column.combine_chunks() for column in taken.columns)
        return canonical, display, pa.array(self._hidden[place])

    def _take(self, batch: pa.RecordBatch, rows: int) -> pa.RecordBatch:
        """The texts of keys that are asked about and seen for the first time."""
        at, place = self._set.locate(Keys.of(batch.column("key")))
        hidden = batch.column("hidden").fill_null(False).to_numpy(zero_copy_only=False)
        self._hidden[place[hidden[at]]] = True
        place, first = np.unique(place, return_index=True)
        new = self._row[place] < 0
        place, at = place[new], at[first[new]]
        self._row[place] = rows + np.arange(len(place))
        return _texts_at(batch, at)


def _texts_at(batch: pa.RecordBatch, at: Index | npt.NDArray[np.int64]) -> pa.RecordBatch:
    texts = [batch.column(name).cast(pa.string()).take(pa.array(at)) for name in ("canonical", "display")]
    return pa.record_batch(texts, names=["canonical", "display"])


def _batches(file: Path) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(file) as parquet:
        yield from parquet.iter_batches(BATCH, columns=_COLUMNS)
