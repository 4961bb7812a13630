"""What the rings of one run use: their strong identifiers, in two sorted arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from api.door.shown import STRONG
from detection.runs import RunFiles
from graph.keys import storage_of

FEWEST = 2
"""Members that use an identifier before it is the ring's, and not one member's own that a stranger may have stolen."""

CROWD = 500
"""Organizations above which an identifier is a place and speaks against nobody: the largest cap of a kind of tie."""

Words = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Rings:
    """Identifiers that members use who may be acted on without a person looking. Sixteen bytes each in memory."""

    run_id: str
    high: Words
    low: Words

    @classmethod
    def of(cls, files: RunFiles) -> Rings:
        """From a run's files: seconds for a million organizations, so load it aside. Raises RingfenceError."""
        members = files.table("members", ["organization"], pc.field("actionable"))
        kinds = pa.array([kind.value for kind, _ in STRONG.values()])
        where = pc.field("kind").isin(kinds) & (pc.field("orgs") <= CROWD)
        links = files.table("links", ["organization", "key"], where)
        theirs = pc.is_in(storage_of(links["organization"]), storage_of(members["organization"]))
        used = storage_of(links["key"].filter(theirs))
        counts = pc.value_counts(used)
        shared = counts.field("values").filter(pc.greater_equal(counts.field("counts"), FEWEST))
        words = _words(shared)
        order = np.lexsort((words[:, 1], words[:, 0]))
        return cls(files.manifest.run_id, words[order, 0].copy(), words[order, 1].copy())

    def among(self, keys: Iterable[bytes]) -> list[bytes]:
        """Those of the keys that are a ring's."""
        return [key for key in keys if self._has(key)]

    def _has(self, key: bytes) -> bool:
        high, low = np.frombuffer(key, np.dtype(">u8")).astype(np.uint64)
        start, end = np.searchsorted(self.high, high, "left"), np.searchsorted(self.high, high, "right")
        return bool(start < end and (self.low[start:end] == low).any())


def _words(keys: pa.Array) -> npt.NDArray[np.uint64]:
    """Keys of sixteen bytes as two words each, so that they compare as their bytes do."""
    if not len(keys):
        return np.empty((0, 2), np.uint64)
    start = keys.offset * 16
    raw = np.frombuffer(keys.buffers()[1], np.uint8)[start : start + 16 * len(keys)]
    return raw.view(np.dtype(">u8")).reshape(-1, 2).astype(np.uint64)
