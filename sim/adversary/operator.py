"""How operators answer: they pause, drop what they had planned, and come back in smaller waves under new identifiers.

A simulated world has one continuation for each ring, written in advance. The others are made of a *reserve*: rings of
a second world, whose members come on when they are needed, moved to their time, with some of what the hit ring still
had (cards, numbers, devices, addresses that were not burnt) in place of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa

from sim.adversary.stage import Cast, Stage
from sim.metrics import Flags, Integers
from sim.replay.enforcement import NEVER
from sim.replay.steps import HOUR, MINUTE

NOTICES: Final = 40 * MINUTE
"""Mean time until an operator notices that organizations were stopped."""
PAUSE: Final = (2 * HOUR, 24 * HOUR)
REPLACED: Final = 0.7
"""How much of what was lost an operator replaces: an organization that was used up is no loss. All that were planned
and not yet created are replaced."""
WAVE: Final = 6
BETWEEN_WAVES: Final = 8 * HOUR
PACE: Final = HOUR
LEFTOVER: Final = 0.3
"""How often a newcomer uses something that the ring still had, for each of:"""
LEFTOVERS: Final = ("device_id", "payment_method", "phone", "ip")
MOST_ANSWERS: Final = 6
"""After so many an operator gives up."""


@dataclass
class Operators:
    """All operators of a stage. `end` (µs) is when the world does."""

    stage: Stage
    reserve: Cast
    end: int
    rng: np.random.Generator
    answers: dict[int, int] = field(default_factory=dict)
    replacements: int = 0
    _used: int = 0

    def stop(self, orgs: Integers, at: int) -> None:
        """Stop organizations of the stage at a moment: what they would do from then on does not happen."""
        stage = self.stage
        lost = stage.left_to_use(orgs, at)
        gone = np.isin(stage.org, orgs) & (stage.at >= at)
        stage.at[gone] = NEVER
        for ring in np.unique(stage.rings[orgs]).tolist():
            ours = stage.rings[orgs] == ring
            self._answer(ring, orgs[ours], float(lost[ours].sum()), at)

    def _answer(self, ring: int, stopped: Integers, lost: float, at: int) -> None:
        if self.answers.get(ring, 0) >= MOST_ANSWERS:
            return
        self.answers[ring] = self.answers.get(ring, 0) + 1
        notice = at + int(self.rng.exponential(NOTICES))
        pause = int(self.rng.integers(*PAUSE))
        signed_up = self.stage.signed_up
        ours = self.stage.rings == ring
        planned = np.flatnonzero(ours & (signed_up > notice) & (signed_up != NEVER))
        survivors = np.setdiff1d(np.flatnonzero(ours & (signed_up <= notice)), stopped)
        self._cancel(planned)
        self._lie_low(survivors, notice, pause)
        count = len(planned) + round(REPLACED * lost)
        self._return(ring, count, notice + pause, np.concatenate([planned, survivors]))

    def _cancel(self, orgs: Integers) -> None:
        self.stage.at[np.isin(self.stage.org, orgs)] = NEVER

    def _lie_low(self, orgs: Integers, since: int, pause: int) -> None:
        later = np.isin(self.stage.org, orgs) & (self.stage.at > since) & (self.stage.at != NEVER)
        moved = self.stage.at[later] + pause
        self.stage.at[later] = np.where(moved > self.end, NEVER, moved)

    def _return(self, ring: int, count: int, begin: int, leavers: Integers) -> None:
        """Newcomers in waves of a few, each wave of one ring of the reserve."""
        left = {column: self.stage.values(column, leavers) for column in LEFTOVERS}
        at = begin
        while count > 0 and at < self.end and self._used < len(self.reserve.org_ids):
            rings = self.reserve.rings
            wave = self._used + np.arange(min(count, WAVE, len(rings) - self._used))
            wave = wave[rings[wave] == rings[wave[0]]]
            self._used += len(wave)
            self._enter(ring, wave, at, left)
            count -= len(wave)
            at += int(self.rng.exponential(BETWEEN_WAVES))

    def _enter(self, ring: int, wave: Integers, begin: int, left: dict[str, list[str]]) -> None:
        reserve = self.reserve
        rows = np.flatnonzero(np.isin(reserve.org, wave))
        org = reserve.org[rows] - wave[0]
        first = np.full(len(wave), NEVER, dtype=np.int64)
        np.minimum.at(first, org, reserve.at[rows])
        entrance = begin + self.rng.exponential(PACE, size=len(wave)).astype(np.int64)
        at = reserve.at[rows] - first[org] + entrance[org]
        events = reserve.events.take(pa.array(rows))
        for column, values in left.items():
            lucky = (self.rng.random(len(wave)) < LEFTOVER) & bool(values)
            if lucky.any():
                events = _replaced(events, column, lucky[org], self.rng.choice(values, size=len(wave))[org])
        self.stage.join(
            [reserve.org_ids[one] for one in wave.tolist()],
            np.full(len(wave), ring, dtype=np.int64),
            events,
            org,
            np.where(at > self.end, NEVER, at),
        )
        self.replacements += len(wave)


def _replaced(events: pa.Table, column: str, where: Flags, values: np.ndarray) -> pa.Table:
    """The table with other values in a column, where there are any."""
    old = events.column(column).cast(pa.string()).to_pylist()
    new = [
        str(value) if change and before is not None else before
        for before, change, value in zip(old, where.tolist(), values.tolist(), strict=True)
    ]
    kind = events.schema.field(column).type
    return events.set_column(events.column_names.index(column), column, pa.array(new, pa.string()).cast(kind))
