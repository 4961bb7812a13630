"""Keys in bulk: 16 bytes each, compared and sorted as two big-endian 64-bit halves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from graph.schema import KEY_BYTES

U64 = npt.NDArray[np.uint64]
Index = npt.NDArray[np.intp]
_BUCKET_BITS = 24


@dataclass(frozen=True)
class Keys:
    """An array of keys; its order as bytes is the order of (high, low)."""

    high: U64
    low: U64

    @classmethod
    def of(cls, column: pa.Array | pa.ChunkedArray) -> Keys:
        """The keys of an Arrow column of `pa.uuid()` or `binary(16)` without nulls."""
        storage = storage_of(column)
        width = KEY_BYTES * len(storage)
        start = KEY_BYTES * storage.offset
        raw = storage.buffers()[1].slice(start, width) if width else b""
        halves = np.frombuffer(raw, dtype=">u8").astype(np.uint64).reshape(-1, 2)
        return cls(halves[:, 0].copy(), halves[:, 1].copy())

    def __len__(self) -> int:
        return len(self.high)

    def __getitem__(self, at: Index | npt.NDArray[np.bool_] | slice) -> Keys:
        return Keys(self.high[at], self.low[at])

    def arrow(self) -> pa.Array:
        """The keys as `binary(16)`."""
        halves = np.stack([self.high, self.low], axis=1).astype(">u8")
        buffers = [None, pa.py_buffer(halves.tobytes())]
        return pa.Array.from_buffers(pa.binary(KEY_BYTES), len(self), buffers)

    def distinct(self) -> Keys:
        """Each key once, ascending."""
        ordered = self[np.lexsort((self.low, self.high))]
        return ordered[starts(ordered)] if len(ordered) else ordered

    def bucket(self, buckets: int) -> Index:
        """Which of `buckets` equal ranges of keys each one is in."""
        return ((self.high >> np.uint64(32)) * np.uint64(buckets) >> np.uint64(32)).astype(np.intp)


def storage_of(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A key column as one plain `binary(16)` array."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # a column without chunks stays chunked
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    return column.storage if isinstance(column, pa.ExtensionArray) else column


def concat(parts: list[Keys]) -> Keys:
    """Arrays of keys, one after the other."""
    empty = np.empty(0, dtype=np.uint64)
    return Keys(
        np.concatenate([empty, *(part.high for part in parts)]),
        np.concatenate([empty, *(part.low for part in parts)]),
    )


def starts(ordered: Keys) -> Index:
    """Where each run of equal keys begins in a sorted, non-empty array."""
    new = (ordered.high[1:] != ordered.high[:-1]) | (ordered.low[1:] != ordered.low[:-1])
    return np.concatenate([[0], np.flatnonzero(new) + 1]).astype(np.intp)


class KeySet:
    """A sorted set of keys that says quickly where, and whether, it holds others."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys.distinct()
        self._buckets = np.zeros(1 << _BUCKET_BITS, dtype=np.bool_)
        self._buckets[self._bucket(self.keys)] = True

    def __len__(self) -> int:
        return len(self.keys)

    def locate(self, wanted: Keys) -> tuple[Index, Index]:
        """Which of `wanted` are members (their places in it), and their places in the set."""
        candidates = np.flatnonzero(self._buckets[self._bucket(wanted)])
        asked = wanted[candidates]
        place = np.searchsorted(self.keys.high, asked.high)
        while (behind := self._behind(place, asked)).any():  # two members with the same upper half: very rare
            place[behind] += 1
        inside = place < len(self.keys)
        inside[inside] = (self.keys.high[place[inside]] == asked.high[inside]) & (
            self.keys.low[place[inside]] == asked.low[inside]
        )
        return candidates[inside], place[inside]

    def _behind(self, place: Index, asked: Keys) -> npt.NDArray[np.bool_]:
        behind = place < len(self.keys)
        at = place[behind]
        behind[behind] = (self.keys.high[at] == asked.high[behind]) & (self.keys.low[at] < asked.low[behind])
        return behind

    @staticmethod
    def _bucket(keys: Keys) -> Index:
        return (keys.high >> np.uint64(64 - _BUCKET_BITS)).astype(np.intp)
