"""A columnar buffer of events: filled by kind of event, completed with nulls, ordered when written."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from sim.columns import COLUMNS, JUNK
from sim.identifiers import NULL
from sim.mix import Int64
from sim.vocabulary import EVENT

Values = Int64 | int
_JUNK_SHARES: Final = {
    "ip": 0.006,
    "device_id": 0.012,
    "tls_fingerprint": 0.004,
    "user_agent": 0.004,
    "email": 0.006,
    "phone": 0.015,
    "org_name": 0.01,
}
Codes = dict[str, Int64]


class Batch:
    """Events of one chunk of organizations."""

    def __init__(self) -> None:
        self._parts: list[tuple[int, dict[str, Values]]] = []

    def add(self, event_type: str, organizations: Int64, at: Int64, /, **columns: Values) -> None:
        """Add one event for each organization; other columns are arrays of the same length, or one value for all."""
        if len(organizations):
            values = {"event_type": EVENT[event_type], "org_id": organizations, "occurred_at": at, **columns}
            self._parts.append((len(organizations), values))

    def finish(self, window: tuple[int, int], rng: np.random.Generator) -> Codes:
        """Return all events inside the window, in no particular order, with junk in a few of both classes' rows."""
        total = sum(count for count, _ in self._parts)
        at = np.empty(total, dtype=np.int64)
        self._fill("occurred_at", at)
        keep = (at >= window[0]) & (at < window[1])
        codes = {}
        for name in COLUMNS:
            if name == "event_id" or not any(name in values for _, values in self._parts):
                continue
            column = np.full(total, NULL, dtype=np.int64)
            self._fill(name, column)
            codes[name] = column[keep]
        for name, share in _JUNK_SHARES.items():
            if name in codes:
                codes[name] = _spoil(codes[name], JUNK[name], share, rng)
        return codes

    def _fill(self, name: str, column: Int64) -> None:
        start = 0
        for count, values in self._parts:
            if name in values:
                column[start : start + count] = values[name]
            start += count


def _spoil(column: Int64, junk: npt.NDArray[np.int64], share: float, rng: np.random.Generator) -> Int64:
    """Replace a share of the values that are there by junk."""
    count = rng.binomial(len(column), share)
    at = rng.integers(0, max(len(column), 1), size=count)
    at = at[column[at] >= 0]
    column[at] = junk[rng.integers(0, len(junk), size=len(at))]
    return column
