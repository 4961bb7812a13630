"""When a replay looks: often while organizations pour in, seldom otherwise, within a budget of steps.

Nothing but sign-up times is used, so steps are chosen alike with and without a truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import poisson

from sim.metrics import Floats, Integers

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

EVERY: Final = 5 * MINUTE
MOST: Final = 96
WIDENED: Final = (1, 2, 3, 6, 12)
"""How far the cadence inside windows may be stretched, in multiples, before a window is given up."""
OUTSIDE_SHARE: Final = 0.25
"""The part of the budget that is kept for the time outside windows: trouble does not always announce itself."""
CHANCE: Final = 1e-4
"""An hour is unusual when a Poisson count of its hour of the day would be so high with at most this chance: one quiet
month in fourteen has such an hour by accident, which costs a few steps and nothing else."""
LEAST_EXCESS: Final = 8
"""And when it brings at least so many sign-ups too many: a smaller ring is not one that must be found."""


@dataclass(frozen=True)
class Window:
    """A stretch of unusually many sign-ups: from, until (µs), and how many more than usual."""

    first: int
    last: int
    excess: float


@dataclass(frozen=True)
class Steps:
    """Moments (µs, rising) at which a replay looks; the last one is the end of what it covers.

    `inside` and `outside` are the cadences within and outside `windows`; `given_up` counts the windows that the
    budget had no room for.
    """

    at: Integers
    start: int
    windows: tuple[Window, ...]
    inside: int
    outside: int
    given_up: int = 0

    @property
    def end(self) -> int:
        """The last moment."""
        return int(self.at[-1])


def choose(signed_up: Integers, start: int, end: int, *, every: int = EVERY, most: int = MOST) -> Steps:
    """Steps over everything from `start` to `end`: `every` inside attack windows, evenly otherwise.

    When windows are longer than the budget, the cadence in them is widened up to twelvefold; what is still too
    much is given up, the least excess for its length first.
    """
    found = windows(signed_up, start, end)
    budget = most - max(1, round(most * OUTSIDE_SHARE))
    inside, kept = _fit(found, every, budget)
    fine = _inside(kept, inside)
    coarse = np.linspace(start, end, most - len(fine) + 1)[1:].astype(np.int64)
    covered = np.zeros(len(coarse), dtype=np.bool_)
    for window in kept:
        covered |= (coarse > window.first) & (coarse < window.last)
    covered[-1] = False
    at = np.unique(np.concatenate([fine, coarse[~covered]]))
    outside = int(coarse[0] - start)
    return Steps(at, start, tuple(kept), inside if kept else outside, outside, len(found) - len(kept))


def even(start: int, end: int, *, every: int = EVERY, most: int = MOST) -> Steps:
    """Steps over one stretch that somebody named: `every`, or as often as the budget allows."""
    count = min(most, max(1, -(-(end - start) // every)))
    at = np.linspace(start, end, count + 1)[1:].astype(np.int64)
    cadence = int(at[0] - start)
    return Steps(np.unique(at), start, (Window(start, end, float("nan")),), cadence, cadence)


def windows(signed_up: Integers, start: int, end: int) -> list[Window]:
    """Stretches of hours with far more sign-ups than their hour of the day usually brings, and one hour more.

    What is usual is the median over days, which an attack of less than half of them cannot move.
    """
    origin = start - start % HOUR
    hours = max(1, -(-(end - origin) // HOUR))
    inside = signed_up[(signed_up > start) & (signed_up <= end)]
    counts = np.bincount((inside - origin) // HOUR, minlength=hours)[:hours].astype(np.float64)
    excess = counts - _usual(counts)
    unusual = (poisson.sf(counts - 1, np.maximum(counts - excess, 1)) < CHANCE) & (excess >= LEAST_EXCESS)
    found: list[Window] = []
    for hour in np.flatnonzero(unusual).tolist():
        first, last = origin + hour * HOUR, min(origin + (hour + 2) * HOUR, end)
        if found and first <= found[-1].last:
            found[-1] = Window(found[-1].first, last, found[-1].excess + float(excess[hour]))
        else:
            found.append(Window(max(first, start), last, float(excess[hour])))
    return found


def _usual(counts: Floats) -> Floats:
    """The mean of each hour of the day. A Poisson count's median may lie two thirds below its mean: they are added."""
    days = len(counts) // 24
    if days < 3:
        return np.full(len(counts), np.median(counts) + 2 / 3)
    by_hour = np.array([np.median(counts[hour::24]) for hour in range(24)]) + 2 / 3
    return by_hour[np.arange(len(counts)) % 24]


def _fit(found: list[Window], every: int, budget: int) -> tuple[int, list[Window]]:
    """The finest cadence at which all windows fit, or the widest with the windows that are worth it most."""
    for times in WIDENED:
        if sum(_count(window, every * times) for window in found) <= budget:
            return every * times, found
    cadence = every * WIDENED[-1]
    kept, used = [], 0
    for window in sorted(found, key=lambda one: -one.excess / _count(one, cadence)):
        if used + _count(window, cadence) <= budget:
            kept.append(window)
            used += _count(window, cadence)
    return cadence, sorted(kept, key=lambda one: one.first)


def _count(window: Window, every: int) -> int:
    return -(-(window.last - window.first) // every)


def _inside(kept: list[Window], every: int) -> Integers:
    moments = [
        np.minimum(window.first + every * np.arange(1, _count(window, every) + 1), window.last)
        for window in kept
    ]
    return np.unique(np.concatenate([np.empty(0, dtype=np.int64), *moments])).astype(np.int64)
