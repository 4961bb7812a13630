"""Which rows of the values table an ingest wrote already: in one table of fixed size, a look a row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]


class SeenPrints:
    """Fingerprints that came lately. One that is met again takes the place of whichever had its slot.

    It may forget one, never take a new one for known: only for uses in which forgetting costs a repeated row and
    nothing else.
    """

    def __init__(self, slots: int = 1 << 22) -> None:
        """`slots` is a power of two; each takes eight bytes."""
        self._last = np.uint64(slots - 1)
        self.clear()

    def clear(self) -> None:
        """Forget all."""
        # The complement of a slot's number belongs to another slot, so it stands for an empty one.
        self._slots = ~np.arange(int(self._last) + 1, dtype=np.uint64)

    def add_new(self, prints: U64) -> Mask:
        """Remember these; True at the first appearance of each that is not remembered."""
        places = (prints & self._last).astype(np.intp)
        unknown = np.flatnonzero(self._slots[places] != prints)
        _, first = np.unique(prints[unknown], return_index=True)
        self._slots[places[unknown]] = prints[unknown]
        fresh = np.zeros(len(prints), dtype=np.bool_)
        fresh[unknown[first]] = True
        return fresh
