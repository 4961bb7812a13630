"""What a replay found: plain frozen values, as a dictionary and as rows of a table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sim.metrics import Integers, Share
from sim.replay.enforcement import NEVER, Usage, stopped
from sim.replay.feed import moment
from sim.replay.history import Decision, History
from sim.replay.steps import DAY, HOUR, Steps
from sim.report import Row, to_plain

WIDTHS = (HOUR, 3 * HOUR, 6 * HOUR, DAY, 7 * DAY)
MOST_BINS = 24 * 14
"""The chart has a bar an hour for two weeks, and wider ones beyond."""


@dataclass(frozen=True)
class Curve:
    """Consumption in USD over time, in bins of `width` µs from `start`: all, prevented, and what could have been.

    `ceiling` is that of a perfect detector; empty where nobody knows.
    """

    start: int
    width: int
    total: tuple[float, ...]
    prevented: tuple[float, ...]
    ceiling: tuple[float, ...]

    @property
    def hours(self) -> float:
        """How long a bin is."""
        return self.width / HOUR


@dataclass(frozen=True)
class Containment:
    """Time from a ring's eighth sign-up until half of it is stopped, over rings of eight or more.

    Quantiles in seconds count rings that were never contained as infinite.
    """

    rings: int
    contained: int
    p50_s: float
    p90_s: float


@dataclass(frozen=True)
class Enforced:
    """What stopping after one delay is worth, beside a perfect detector at the same steps and delay.

    `prevented` is all abusive consumption that would not have happened, `within_ceiling` the part that a perfect
    detector prevents, too: only that is put beside `ceiling`. `legitimate` is the share of legitimate organizations
    stopped at any step, `bystanders` the same by kind, `framed` of victims; `legitimate_lost` what they would have
    consumed. `missed` is the rest of the ceiling in USD, by why organizations were last not actionable.
    """

    name: str
    delay_s: float
    stopped: int
    prevented: float
    within_ceiling: float
    ceiling: float
    containment: Containment
    perfect_containment: Containment
    precision: Share
    legitimate: Share
    bystanders: Mapping[str, Share]
    framed: Share
    legitimate_lost: float
    missed: Mapping[str, float] = field(default_factory=dict)

    @property
    def share_of_ceiling(self) -> float:
        """Of what a perfect detector prevents, how much is prevented; NaN where that is nothing."""
        return self.within_ceiling / self.ceiling if self.ceiling > 0 else float("nan")


@dataclass(frozen=True)
class Covered:
    """What was replayed: steps and windows, and how often it looked."""

    first: str
    last: str
    steps: int
    windows: int
    windows_given_up: int
    inside_s: float
    outside_s: float
    events: int


@dataclass(frozen=True)
class ReplayReport:
    """A replay judged against the truth. `total` is all abusive consumption in the time replayed, in USD, and
    `oracle` what bans at sign-up prevent of it."""

    covered: Covered
    organizations: int
    abusive: int
    total: float
    oracle: float
    enforced: tuple[Enforced, ...]
    curve: Curve
    states: tuple[Mapping[str, Any], ...]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; null where nothing could be measured."""
        plain: dict[str, Any] = to_plain(self)
        for kept, one in zip(plain["enforced"], self.enforced, strict=True):
            kept["share_of_total"] = finite(one.prevented / self.total if self.total else math.nan)
            kept["share_of_ceiling"] = finite(one.share_of_ceiling)
            kept["ceiling_share_of_total"] = finite(one.ceiling / self.total if self.total else math.nan)
        answer: dict[str, Any] = without_infinities(plain)
        return answer

    @property
    def rows(self) -> list[Row]:
        """The same as lines of a table, in the order in which they are read."""
        return [*covered_rows(self.covered), *self._consumption_rows(), *self._delay_rows()]

    def _consumption_rows(self) -> Iterator[Row]:
        who = f"{self.abusive:,} of {self.organizations:,} organizations"
        yield Row("abusive consumption", "all of it", usd(self.total), who)
        note = "everything after sign-up" if self.oracle == self.total else ""
        yield Row(
            "abusive consumption", "an oracle that bans at sign-up", share(self.oracle, self.total), note
        )

    def _delay_rows(self) -> Iterator[Row]:
        for one in self.enforced:
            section = f"{one.name}: stopped {duration(one.delay_s)} after a step"
            known = share(one.prevented, self.total)
            yield Row(section, "consumption prevented", known, f"{usd(one.prevented)} of {usd(self.total)}")
            perfect = f"a perfect detector at these steps: {share(one.ceiling, self.total)} of all"
            yield Row(section, "of what a perfect detector prevents", percent(one.share_of_ceiling), perfect)
            for reason, missed in one.missed.items():
                yield Row(section, f"… missed: {reason}", share(missed, one.ceiling), usd(missed))
            yield from _containment_rows(section, one)
            yield from _hit_rows(section, one)


def covered_rows(covered: Covered) -> Iterator[Row]:
    """What was replayed, as rows."""
    yield Row("replayed", "from", covered.first, f"{covered.events:,} events")
    yield Row("replayed", "until", covered.last, "")
    outside = f"every {duration(covered.outside_s)} outside attack windows"
    if covered.windows:
        left = f"; {covered.windows_given_up:,} too long for the budget" if covered.windows_given_up else ""
        windows = f"every {duration(covered.inside_s)} in {covered.windows:,} windows{left}, {outside}"
    else:
        windows = f"every {duration(covered.outside_s)}: no attack windows stand out"
    yield Row("replayed", "steps", f"{covered.steps:,}", windows)


def cover(steps: Steps, history: History) -> Covered:
    """Describe the steps of a history."""
    return Covered(
        f"{moment(steps.start):%Y-%m-%d %H:%M}",
        f"{moment(steps.end):%Y-%m-%d %H:%M}",
        len(steps.at),
        len(steps.windows),
        steps.given_up,
        steps.inside / 1e6,
        steps.outside / 1e6,
        history.states[-1].events if history.states else 0,
    )


def state_rows(history: History) -> tuple[Mapping[str, Any], ...]:
    """Every step as plain values."""
    return tuple(
        {
            "at": moment(state.at).isoformat(),
            "events": state.events,
            "clusters": state.clusters,
            "members": state.members,
            "actionable": state.actionable,
            "newly_actionable": state.new,
        }
        for state in history.states
    )


def curve(usage: Usage, steps: Steps, stops: Integers, ceiling: Integers | None) -> Curve:
    """The consumption of some organizations over the time replayed, and what stops take from it."""
    total = curve_of(steps, usage.at, usage.cost)
    less = curve_of(steps, usage.at, usage.cost * stopped(usage, stops)).total
    most = () if ceiling is None else curve_of(steps, usage.at, usage.cost * stopped(usage, ceiling)).total
    return Curve(total.start, total.width, total.total, less, most)


def curve_of(steps: Steps, at: Integers, cost: Integers) -> Curve:
    """Costs summed in bins over the time replayed, as a curve of which nothing is prevented."""
    width = next(
        (each for each in WIDTHS if steps.end - steps.start <= each * MOST_BINS),
        -(-(steps.end - steps.start) // MOST_BINS),
    )
    start = steps.start - steps.start % width
    bins = max(1, -(-(steps.end - start) // width))
    place = np.minimum((at - start) // width, bins - 1)
    summed = np.bincount(place, weights=cost, minlength=bins) / 1e6
    return Curve(start, width, tuple(summed.tolist()), (), ())


def decided(decision: Decision, stop: int) -> dict[str, Any]:
    """A decision as plain values."""
    return {
        "org_id": decision.org_id,
        "stopped_at": moment(stop).isoformat() if stop != NEVER else None,
        "cluster_id": decision.cluster_id,
        "cluster_size": decision.size,
        "member_risk": decision.member_risk,
        "evidence": decision.evidence,
    }


def _containment_rows(section: str, one: Enforced) -> Iterator[Row]:
    found, best = one.containment, one.perfect_containment
    if not found.rings:
        return
    contained = f"{found.contained:,} of {found.rings:,} rings of eight or more"
    yield Row(section, "rings contained", percent(found.contained / found.rings), contained)
    yield Row(
        section,
        "from the eighth organization to containment, p50",
        duration(found.p50_s),
        f"a perfect detector: {duration(best.p50_s)}",
    )
    yield Row(section, "… p90", duration(found.p90_s), f"a perfect detector: {duration(best.p90_s)}")


def _hit_rows(section: str, one: Enforced) -> Iterator[Row]:
    bounds = f"{percent(one.precision.low)} to {percent(one.precision.high)}"
    note = f"{one.precision.hits:,} of {one.stopped:,} stopped are abusive; bounds {bounds}"
    yield Row(section, "precision", percent(one.precision.value), note)
    hit = one.legitimate
    per = f"{hit.value * 1e4:.2f}" if hit.total else "–"
    lost = f"{hit.hits:,} of {hit.total:,}, over all steps; {usd(one.legitimate_lost)} of theirs"
    yield Row(section, "legitimate stopped per 10,000", per, lost)
    for kind, share_ in one.bystanders.items():
        if share_.hits:
            yield Row(
                section, f"… {kind}", f"{share_.value * 1e4:.2f}", f"{share_.hits:,} of {share_.total:,}"
            )
    if one.framed.total:
        yield Row(section, "framed victims stopped", f"{one.framed.hits:,} of {one.framed.total:,}", "")


def usd(value: float) -> str:
    """Money for people."""
    return f"${value:,.2f}"


def percent(value: float) -> str:
    """A share for people."""
    return "–" if math.isnan(value) else f"{100 * value:.1f}%"


def share(part: float, whole: float) -> str:
    """A part of a whole for people."""
    return percent(part / whole if whole else math.nan)


def duration(seconds: float) -> str:
    """A length of time in the unit that suits it; `never` for what did not happen."""
    if math.isnan(seconds):
        return "–"
    if math.isinf(seconds):
        return "never"
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if abs(seconds) >= length:
            return f"{seconds / length:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds:.0f} s"


def finite(value: float) -> float | None:
    """The number, or None where there is none to write in JSON."""
    return value if math.isfinite(value) else None


def without_infinities(value: Any) -> Any:
    """The same with None for what never happened."""
    if isinstance(value, dict):
        return {name: without_infinities(item) for name, item in value.items()}
    if isinstance(value, list):
        return [without_infinities(item) for item in value]
    return finite(value) if isinstance(value, float) else value
