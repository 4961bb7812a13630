"""The duplicate index on disk: sorted runs of (event id, digest of the content), read a row group at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from graph.facts_tiers import U64, Mask, locate, merge

IDS: pa.Schema = pa.schema([pa.field("id", pa.uint64(), False), pa.field("content", pa.uint64(), False)])
RUN_GROUP = 131_072
MOST_RUNS = 8


class StoredIds:
    """The ids of all committed events. Exact; memory is one row group, however many ids there are."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._runs = [_Run(path) for path in paths]

    def __len__(self) -> int:
        return sum(run.rows for run in self._runs)

    def find(self, wanted: U64) -> tuple[Mask, U64]:
        """For sorted `wanted`: which are stored, and the digests of their contents (0 where not)."""
        found = np.zeros(len(wanted), dtype=np.bool_)
        contents = np.zeros(len(wanted), dtype=np.uint64)
        for run in self._runs:
            run.find(wanted, found, contents)
        return found, contents


class _Run:
    """One sorted file. Row groups that cannot hold a wanted id are skipped by their statistics."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with pq.ParquetFile(path) as file:
            meta = file.metadata
            self.rows: int = meta.num_rows
            statistics = [meta.row_group(group).column(0).statistics for group in range(meta.num_row_groups)]
            self._lowest = np.array([one.min for one in statistics], dtype=np.uint64)
            self._highest = np.array([one.max for one in statistics], dtype=np.uint64)

    def find(self, wanted: U64, found: Mask, contents: U64) -> None:
        starts = np.searchsorted(wanted, self._lowest, side="left")
        ends = np.searchsorted(wanted, self._highest, side="right")
        groups = np.flatnonzero(starts < ends)
        if not len(groups):
            return
        with pq.ParquetFile(self._path) as file:
            for group in groups:
                here = slice(starts[group], ends[group])
                hit, at = locate(_column(file, int(group), "id"), wanted[here])
                if hit.any():
                    found[here] |= hit
                    contents[here][hit] = _column(file, int(group), "content")[at[hit]]


def _column(file: pq.ParquetFile, group: int, name: str) -> U64:
    values: U64 = file.read_row_group(group, columns=[name], use_threads=False)[name].to_numpy()
    return values


def write_run(path: Path, parts: Iterable[tuple[U64, U64]]) -> int:
    """Write sorted parts that follow each other in order as one run; returns its rows."""
    rows = 0
    with open_ids_writer(path) as writer:
        for ids, contents in parts:
            writer.write_table(
                pa.table([pa.array(ids), pa.array(contents)], schema=IDS), row_group_size=RUN_GROUP
            )
            rows += len(ids)
    return rows


def open_ids_writer(path: Path) -> pq.ParquetWriter:
    """A writer for a run. Digests do not compress, so neither coding nor compression is tried."""
    plain = {"id": "PLAIN", "content": "PLAIN"}
    return pq.ParquetWriter(path, IDS, compression="none", use_dictionary=False, column_encoding=plain)


def runs_to_merge(sizes: Sequence[int], most: int = MOST_RUNS) -> list[int]:
    """Which runs (positions in `sizes`, rows each) to make one of, so that at most `most` remain.

    Empty while there are few enough. Else the smallest ones, and then each next one that is no larger
    than all before it together: an id is rewritten O(log n) times in the life of the index.
    """
    if len(sizes) <= most:
        return []
    order = sorted(range(len(sizes)), key=lambda at: (sizes[at], at))
    # Half of them at least, so that the next merge is some commits away.
    count = len(sizes) - most // 2
    total = sum(sizes[at] for at in order[:count])
    while count < len(order) and sizes[order[count]] <= total:
        total += sizes[order[count]]
        count += 1
    return order[:count]


def merge_runs(paths: Sequence[Path], out: Path) -> int:
    """Merge sorted runs into one, a row group of each in memory; returns the rows written."""
    return write_run(out, _merged([_cursor(path) for path in paths]))


def _cursor(path: Path) -> Iterator[tuple[U64, U64]]:
    with pq.ParquetFile(path) as file:
        for group in range(file.metadata.num_row_groups):
            yield _column(file, group, "id"), _column(file, group, "content")


def _merged(cursors: list[Iterator[tuple[U64, U64]]]) -> Iterator[tuple[U64, U64]]:
    heads = {at: head for at, cursor in enumerate(cursors) if (head := next(cursor, None)) is not None}
    while heads:
        # Nothing still unread can be below the smallest of the heads' last ids.
        bound = min(ids[-1] for ids, _ in heads.values())
        parts = []
        for at, (ids, contents) in list(heads.items()):
            cut = int(np.searchsorted(ids, bound, side="right"))
            if cut:
                parts.append((ids[:cut], contents[:cut]))
            if cut < len(ids):
                heads[at] = (ids[cut:], contents[cut:])
            elif (head := next(cursors[at], None)) is not None:
                heads[at] = head
            else:
                del heads[at]
        yield merge(parts)
