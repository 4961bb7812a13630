"""What stopping organizations is worth: pure functions over arrays, one entry an organization or an event.

Times are µs since 1970, money millionths; an organization that is never stopped has the time `NEVER`.
The definitions are those of the detection design, §7.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sim.metrics import LEGITIMATE, Flags, Floats, Integers

NEVER: Final = int(np.iinfo(np.int64).max)
RING_SIZE: Final = 8


@dataclass(frozen=True)
class Usage:
    """What was consumed, an entry an `inference` event: by which organization (its place), when, at what cost."""

    org: Integers
    at: Integers
    cost: Integers

    def within(self, start: int, end: int) -> Usage:
        """The part after `start`, up to and with `end`."""
        kept = (self.at > start) & (self.at <= end)
        return Usage(self.org[kept], self.at[kept], self.cost[kept])

    def of(self, organizations: Flags) -> Usage:
        """The part of some organizations."""
        kept = organizations[self.org]
        return Usage(self.org[kept], self.at[kept], self.cost[kept])

    @property
    def total(self) -> int:
        """All of it."""
        return int(self.cost.sum())


def after(moments: Integers, delay: int) -> Integers:
    """The moments so much later; `NEVER` stays."""
    return np.where(moments == NEVER, NEVER, np.minimum(moments, NEVER - delay) + delay)


def stopped(usage: Usage, stops: Integers) -> Flags:
    """Which events would not have happened: those at or after their organization's stop."""
    return np.asarray(usage.at >= stops[usage.org])


def next_step(moments: Integers, steps: Integers) -> Integers:
    """The first step at or after each moment; `NEVER` where none is left."""
    place = np.searchsorted(steps, moments, side="left")
    return np.append(steps, NEVER)[place]


def eighth_sign_up(signed_up: Integers, rings: Integers, size: int = RING_SIZE) -> Integers:
    """For every organization, when its ring's eighth organization signed up; `NEVER` without such a ring."""
    known = np.full(len(rings), NEVER, dtype=np.int64)
    for members in _members(rings, size):
        known[members] = np.sort(signed_up[members])[size - 1]
    return known


def perfect(signed_up: Integers, rings: Integers, steps: Integers, delay: int) -> Integers:
    """Stops by a perfect detector: it knows a ring from its eighth sign-up on, and each organization of it from
    its own, and stops it a delay after the next step."""
    known = np.maximum(eighth_sign_up(signed_up, rings), signed_up)
    return after(next_step(known, steps), delay)


def containment(
    signed_up: Integers, rings: Integers, stops: Integers, start: int, end: int
) -> dict[int, float]:
    """Seconds from each ring's eighth sign-up until half of its organizations so far were stopped.

    0 when that was so already; infinite when it never was until `end`. Only rings whose eighth organization
    comes after `start` and until `end` are counted. Half is what makes a ring *found*.
    """
    seconds: dict[int, float] = {}
    for members in _members(rings, RING_SIZE):
        eighth = int(np.sort(signed_up[members])[RING_SIZE - 1])
        if start < eighth <= end:
            contained = _contained(signed_up[members], stops[members], eighth, end)
            seconds[int(rings[members[0]])] = (contained - eighth) / 1e6 if contained != NEVER else np.inf
    return seconds


def _contained(signed_up: Integers, stops: Integers, eighth: int, end: int) -> int:
    """The first moment from the eighth sign-up on at which at least half of those signed up are stopped."""
    stops = np.where(stops == NEVER, NEVER, np.maximum(stops, signed_up))
    moments = np.unique(np.concatenate([[eighth], stops[(stops > eighth) & (stops <= end)]]))
    there = np.searchsorted(np.sort(signed_up), moments, side="right")
    gone = np.searchsorted(np.sort(stops), moments, side="right")
    reached = np.flatnonzero(2 * gone >= there)
    return int(moments[reached[0]]) if len(reached) else NEVER


def quantile(seconds: Floats, share: float) -> float:
    """The least value that this share of all reaches or stays below (infinities included); NaN for none."""
    if not len(seconds):
        return float("nan")
    ordered = np.sort(seconds)
    return float(ordered[max(0, int(np.ceil(share * len(ordered))) - 1)])


def _members(rings: Integers, size: int) -> list[Integers]:
    """The places of each ring's organizations, of rings that are large enough."""
    abusive = np.flatnonzero(rings != LEGITIMATE)
    order = abusive[np.argsort(rings[abusive], kind="stable")]
    _, first = np.unique(rings[order], return_index=True)
    return [members for members in np.split(order, first[1:]) if len(members) >= size]
