"""Reading a run's tables and the raw values behind keys, only as much of them as a question needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from detection.runs import RunFiles, Runs
from graph.errors import RingfenceError
from graph.facts import FactsReader
from graph.home import Home

Row = dict[str, Any]


@dataclass(frozen=True)
class RunReader:
    """One run of one home."""

    home: Home
    files: RunFiles

    @classmethod
    def open(cls, home: Home, run_id: str | None) -> RunReader:
        """The named run, or the current one. Raises RingfenceError when there is none."""
        return cls(home, Runs(home).open(run_id))

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.files.manifest.run_id

    def table(
        self, name: str, where: pc.Expression | None = None, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """The rows of one table that satisfy `where`."""
        return self.files.table(name, None if columns is None else list(columns), where)

    def count(self, name: str) -> int:
        """How many rows a table has, from its footer."""
        return int(pq.read_metadata(self.files.path(name)).num_rows)

    def rows(
        self, name: str, where: pc.Expression | None = None, columns: Sequence[str] | None = None
    ) -> list[Row]:
        """The same as a list of mappings."""
        rows: list[Row] = self.table(name, where, columns).to_pylist()
        return rows

    def one(self, name: str, column: str, value: str) -> Row | None:
        """The first row whose `column` is `value`."""
        found = self.rows(name, pc.field(column) == value)
        return found[0] if found else None

    def displays(self, keys: Iterable[bytes]) -> dict[bytes, str]:
        """What people see for each key: the value as given, masked where it is a secret."""
        wanted = pa.array(sorted(set(keys)), pa.binary(16))
        files = FactsReader(self.home).value_files()
        if not len(wanted) or not files:
            return {}
        shown: dict[bytes, str] = {}
        data = ds.dataset(files, format="parquet")
        for batch in data.to_batches(columns=["key", "display"]):
            keys_here = storage(batch.column("key"))
            hits = batch.filter(pc.is_in(keys_here, value_set=wanted))
            for key, display in zip(
                storage(hits.column("key")).to_pylist(), hits.column("display").to_pylist(), strict=True
            ):
                shown.setdefault(key, display)
        return shown


def storage(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The 16 bytes under a column of UUIDs."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return array.storage if isinstance(array, pa.ExtensionArray) else array


def key_bytes(value: Any) -> bytes:
    """A key as 16 bytes, from what Arrow gives for a UUID."""
    return value if isinstance(value, bytes) else bytes(value.bytes)


def require(row: Row | None, what: str, remedy: str) -> Row:
    """The row, or a RingfenceError (exit 1) that says that it is not there."""
    if row is None:
        raise RingfenceError(f"{what} is not in this run", remedy)
    return row
