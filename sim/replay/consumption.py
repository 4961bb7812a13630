"""What the facts say of sign-ups and consumption, as arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from graph.errors import RingfenceError
from graph.facts import FactsReader
from graph.home import Home
from sim.metrics import Integers
from sim.replay.enforcement import Usage
from sim.replay.feed import epoch, micros

_COLUMNS = ["event_type", "organization", "occurred_at", "cost"]
_MILLION = pa.scalar(1_000_000, pa.int64())


@dataclass(frozen=True)
class Facts:
    """Sign-ups (µs), `inference` (key of the organization, µs, millionths), and when everything began and ended."""

    signed_up: Integers
    keys: pa.Array
    at: Integers
    cost: Integers
    first: int
    last: int

    def usage(self, keys: pa.Array) -> Usage:
        """Consumption by the places of organizations in `keys`; that of others is left out."""
        places = pc.index_in(_storage(self.keys), value_set=_storage(keys))
        org = np.asarray(pc.fill_null(places, -1).to_numpy(zero_copy_only=False), dtype=np.int64)
        known = org >= 0
        return Usage(org[known], self.at[known], self.cost[known])


def read_facts(home: Home, progress: Callable[[str, int, int | None], None]) -> Facts:
    """Read all files of events once. Raises RingfenceError when there are none."""
    files = FactsReader(home).event_files()
    if not files:
        raise RingfenceError("there are no events yet", "Bring some in: ringfence ingest PATH", exit_code=3)
    created: list[pa.Table] = []
    seen: list[pa.Table] = []
    used: list[pa.Table] = []
    for done, file in enumerate(files):
        progress("reading events", done, len(files))
        table = pq.read_table(file.path, columns=_COLUMNS)
        kind = table.column("event_type").cast(pa.string())
        plain = table.select(["occurred_at", "cost"]).append_column(
            "organization", pa.chunked_array([_storage(table.column("organization"))])
        )
        used.append(plain.filter(pc.equal(kind, "inference")))
        created.append(_firsts(plain.filter(pc.equal(kind, "organization_created"))))
        seen.append(_firsts(plain))
    progress("reading events", len(files), len(files))
    firsts = _firsts(pa.concat_tables(created))
    usage = pa.concat_tables(used)
    return Facts(
        np.sort(micros(firsts if firsts.num_rows else _firsts(pa.concat_tables(seen)), "occurred_at")),
        usage.column("organization").combine_chunks(),
        micros(usage, "occurred_at"),
        millionths(usage.column("cost")),
        min(epoch(file.first) for file in files),
        max(epoch(file.last) for file in files),
    )


def millionths(column: pa.ChunkedArray) -> Integers:
    """Money as whole millionths, exactly; nothing where there is none."""
    scaled = pc.multiply(pc.fill_null(column, 0).cast(pa.decimal128(18, 6)), _MILLION)
    return np.asarray(scaled.cast(pa.int64()).to_numpy(), dtype=np.int64)


def _firsts(table: pa.Table) -> pa.Table:
    """The first moment of every organization."""
    kept = table.filter(pc.is_valid(table.column("organization")))
    first = kept.group_by("organization").aggregate([("occurred_at", "min")])
    return first.rename_columns({"occurred_at_min": "occurred_at"}).select(["organization", "occurred_at"])


def _storage(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    flat = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return flat.storage if isinstance(flat, pa.ExtensionArray) else flat
