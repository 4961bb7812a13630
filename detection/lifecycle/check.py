"""Tries a detector before it sees any data: is it written properly, does it keep its bounds, has it one answer."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from detection.lifecycle import confine
from detection.lifecycle.definition import HomeDetector
from detection.lifecycle.handover import Handover
from detection.lifecycle.sample import empty, sample, shuffled
from detection.lifecycle.sandbox import Bounds, run_alone
from detection.settings import HomeDetectorSettings

CLOSE = 1e-9
"""Sums of doubles in another order differ by less than this."""


@dataclass(frozen=True)
class Checked:
    """What a check found. `judged` and `affected` count members of the made-up views, which mean nothing."""

    problems: tuple[str, ...]
    judged: int
    affected: int
    seconds: float
    sandbox: str

    @property
    def passed(self) -> bool:
        """Whether it may be backtested."""
        return not self.problems


def check(detector: HomeDetector, settings: HomeDetectorSettings) -> Checked:
    """Run a detector over made-up views, over the same in another order, and over empty ones."""
    bounds = Bounds(settings.seconds, settings.memory_mb)
    tables = sample()
    problems: list[str] = []
    with (
        Handover(tables.items()) as first,
        Handover(shuffled(tables).items()) as second,
        Handover(empty(tables).items()) as none,
    ):
        one = run_alone(detector, first, bounds)
        if one.rows is None:
            return Checked((one.failure or "it did not answer",), 0, 0, one.seconds, sandbox())
        other = run_alone(detector, second, bounds)
        problems += [other.failure] if other.failure else []
        if other.rows is not None and (place := difference(one.rows, other.rows)):
            problems.append(
                f"{place}: it answered otherwise when the same rows came in another order;"
                " order what it picks from, by columns that tell rows apart"
            )
        without = run_alone(detector, none, bounds)
        problems += [f"where the views are empty: {without.failure}"] if without.failure else []
    affected = pc.sum(pc.greater_equal(one.rows["value"], 0.5)).as_py() or 0
    return Checked(tuple(problems), len(one.rows), affected, one.seconds, sandbox())


def difference(one: pa.Table, other: pa.Table) -> str | None:
    """The first thing that two answers do not have in common, in words; None when they say the same."""
    one, other = (table.sort_by([("cluster", "ascending"), ("org", "ascending")]) for table in (one, other))
    if not (one["cluster"].equals(other["cluster"]) and one["org"].equals(other["org"])):
        return f"it judged {len(one):,} and {len(other):,} members, or others"
    gap = pc.max(pc.abs(pc.subtract(one["value"], other["value"]))).as_py() or 0.0
    if gap > CLOSE:
        return f"value differs by {gap:g}"
    names = ("kind", "key", "happened_at", "count")
    differing = [name for name in names if one[name].to_pylist() != other[name].to_pylist()]
    return f"{', '.join(differing)} of a member" if differing else None


def sandbox() -> str:
    """What holds detectors on this machine, in words."""
    reason = confine.unable()
    if reason is None:
        return "a process of its own without files, network or other processes (seccomp, Landlock)"
    return f"a process of its own with bounded time and memory; no Python detectors here: {reason}"
