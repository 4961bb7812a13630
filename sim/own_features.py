"""What one organization shows by itself, without a look at any other: the input of the unlinked baseline.

Counts, sums, distinct values and delays of its own events. Deliberately absent is everything that would
link: no degree of an identifier, no card range or mailbox domain as a category.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Hashes = NDArray[np.uint64]

IDENTIFIERS = (
    "user",
    "ip",
    "ip_network",
    "device",
    "tls_fingerprint",
    "user_agent",
    "api_key",
    "payment_method",
    "mailbox",
    "phone",
    "consumer",
    "referral_code",
    "promo_code",
)
SUMS = ("requests", "tokens", "cost", "credit", "credit_used", "reward", "amount")
COLUMNS = ("organization", "event_type", "occurred_at", "status_code", "hidden", *IDENTIFIERS, *SUMS)
MICROSECONDS_AN_HOUR = 3_600_000_000
_NEVER = np.iinfo(np.int64).max
_ORGANIZATION_BITS = 40  # of a pair's 64: the organization above, 40 bits of the key below


@dataclass
class _Totals:
    """Running totals over batches; one entry an organization."""

    size: int
    types: dict[str, Integers] = field(default_factory=dict)
    sums: dict[str, Floats] = field(default_factory=dict)
    first: dict[str, Integers] = field(default_factory=dict)
    last: Integers = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    pairs: dict[str, list[Hashes]] = field(default_factory=dict)

    def add(self, name: str, organizations: Integers, amounts: Floats | None = None) -> None:
        np.add.at(
            self.sums.setdefault(name, np.zeros(self.size)), organizations, 1 if amounts is None else amounts
        )

    def earliest(self, name: str, organizations: Integers, times: Integers) -> None:
        first = self.first.setdefault(name, np.full(self.size, _NEVER, dtype=np.int64))
        np.minimum.at(first, organizations, times)

    def distinct(self, name: str, organizations: Integers, hashes: Hashes) -> None:
        pairs = (organizations.astype(np.uint64) << np.uint64(_ORGANIZATION_BITS)) | (
            hashes >> np.uint64(64 - _ORGANIZATION_BITS)
        )
        self.pairs.setdefault(name, []).append(np.unique(pairs))


def own_features(
    organizations: pa.Table,
    event_files: Iterable[Path],
    as_of: datetime | None = None,
    progress: Callable[[], None] | None = None,
) -> tuple[Floats, list[str]]:
    """A row of features for each row of a run's `organizations`, from the events up to `as_of`, and names."""
    index = _Index(organizations.column("organization"))
    totals = _Totals(len(index))
    totals.last = np.full(len(index), np.iinfo(np.int64).min, dtype=np.int64)
    for path in event_files:
        for batch in _batches(path, as_of):
            _count(batch, index, totals)
        if progress:
            progress()
    return _matrix(organizations, totals)


class _Index:
    """From an organization's key to its row, by the key's first eight bytes."""

    def __init__(self, keys: pa.ChunkedArray) -> None:
        hashes = _hashes(keys.combine_chunks())
        self.order = np.argsort(hashes, kind="stable")
        self.hashes = hashes[self.order]

    def __len__(self) -> int:
        return len(self.hashes)

    def rows(self, hashes: Hashes) -> Integers:
        """Row numbers; -1 where the key is not known."""
        if not len(self.hashes):
            return np.full(len(hashes), -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        return np.where(self.hashes[at] == hashes, self.order[at], -1)


def _batches(path: Path, as_of: datetime | None) -> Iterator[pa.RecordBatch]:
    for batch in pq.ParquetFile(path).iter_batches(batch_size=262_144, columns=list(COLUMNS)):
        if as_of is None:
            yield batch
            continue
        limit = pa.scalar(as_of, type=batch.column("occurred_at").type)
        yield batch.filter(pc.less_equal(batch.column("occurred_at"), limit))


def _count(batch: pa.RecordBatch, index: _Index, totals: _Totals) -> None:
    rows = index.rows(_hashes(batch.column("organization")))
    known = rows >= 0
    if not known.all():
        batch, rows = batch.filter(pa.array(known)), rows[known]
    times = batch.column("occurred_at").cast(pa.int64()).to_numpy(zero_copy_only=False)
    np.maximum.at(totals.last, rows, times)
    totals.earliest("any", rows, times)
    totals.distinct("hour", rows, _spread(times // MICROSECONDS_AN_HOUR))
    _count_types(batch.column("event_type"), rows, times, totals)
    for name in SUMS:
        amounts = batch.column(name).cast(pa.float64()).fill_null(0.0)
        totals.add(name, rows, amounts.to_numpy(zero_copy_only=False))
    for name in IDENTIFIERS:
        column = batch.column(name)
        present = column.is_valid().to_numpy(zero_copy_only=False)
        totals.distinct(name, rows[present], _hashes(column)[present])
    failed = pc.fill_null(pc.greater_equal(batch.column("status_code"), 400), False)
    totals.add("failed", rows[failed.to_numpy(zero_copy_only=False)])
    hidden = pc.fill_null(pc.not_equal(batch.column("hidden"), 0), False)
    totals.add("hidden", rows[hidden.to_numpy(zero_copy_only=False)])


def _count_types(column: Any, rows: Integers, times: Integers, totals: _Totals) -> None:
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    codes = column.indices.to_numpy(zero_copy_only=False)
    for code, name in enumerate(column.dictionary.to_pylist()):
        of_type = codes == code
        if of_type.any():
            totals.add(f"events {name}", rows[of_type])
            totals.earliest(name, rows[of_type], times[of_type])


def _matrix(organizations: pa.Table, totals: _Totals) -> tuple[Floats, list[str]]:
    columns: dict[str, Floats] = dict(totals.sums)
    for name, found in totals.pairs.items():
        pairs = np.unique(np.concatenate(found)) >> np.uint64(_ORGANIZATION_BITS)
        counts = np.bincount(pairs.astype(np.int64), minlength=totals.size)
        columns[f"distinct {name}"] = counts.astype(np.float64)
    start = totals.first.get("any", np.full(totals.size, _NEVER, dtype=np.int64))
    seen = start != _NEVER
    columns["hours active"] = np.where(seen, (totals.last - start) / MICROSECONDS_AN_HOUR, np.nan)
    for name, first in totals.first.items():
        delay = (first.astype(np.float64) - start) / MICROSECONDS_AN_HOUR
        columns[f"hours to {name}"] = np.where(first != _NEVER, delay, np.nan)
    created = totals.first.get("organization_created", start)
    hour = (created // MICROSECONDS_AN_HOUR) % 24
    columns["hour of creation"] = np.where(created != _NEVER, hour, np.nan).astype(np.float64)
    for name in ("country", "plan"):
        codes = organizations.column(name).combine_chunks().cast(pa.string()).dictionary_encode().indices
        columns[name] = codes.cast(pa.float64()).to_numpy(zero_copy_only=False)
    _add_ratios(columns)
    names = sorted(columns)
    return np.stack([columns[name] for name in names], axis=1), names


def _add_ratios(columns: dict[str, Floats]) -> None:
    inference = columns.get("events inference")
    if inference is None:
        return
    per = np.maximum(inference, 1)
    columns["cost per inference"] = columns["cost"] / per
    columns["failed per inference"] = columns["failed"] / per
    if "events client_telemetry" in columns:
        columns["telemetry per inference"] = columns["events client_telemetry"] / per
    if "distinct ip" in columns:
        columns["addresses per inference"] = columns["distinct ip"] / per


def _hashes(keys: Any) -> Hashes:
    """The first eight bytes of 16-byte keys as numbers; whatever lies there where a key is null."""
    storage = keys.storage if isinstance(keys, pa.ExtensionArray) else keys
    data = np.frombuffer(storage.buffers()[1] or b"", dtype=np.uint64)
    return data[2 * storage.offset : 2 * (storage.offset + len(storage)) : 2]


def _spread(numbers: Integers) -> Hashes:
    # Fibonacci hashing: consecutive hours must differ in the upper bits, which pairs keep.
    return numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
