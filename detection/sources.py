"""What the run's own data may be suspected of: a source that is late, half there, there twice, or has a wrong clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr

from detection.engines.duckdb import Engine
from detection.links import microseconds
from detection.settings import SourceSettings

Ints = npt.NDArray[np.int64]

HOUR = 3_600_000_000
DAY_HOURS = 24
LOOKED_AT = 3
"""The latest days of each source are judged: what is missing there is missing in what is found now."""
USUAL_DAYS = 14
"""What is usual is what two weeks before show, every weekday twice."""
LEAST_DAYS = 7
LEAST_EVENTS = 20
"""A source that brings less on a usual day has no usual day."""
SURPRISE = 0.001
"""So unlikely must a day's volume be under what is usual …"""
FEW, MANY = 0.7, 1.4
"""… and so far below the least, or above the greatest, of the usual days, as weekends are no fault."""
LEAST_SPREAD = 0.05
"""Days differ by at least that share, or chance would be called a fault in a source of millions of events."""
REPEATED = 0.5
"""The share of what is too much that are repetitions, from which a source is there twice."""
SKEW_HOURS = 1
LIVE_HOURS = 6
"""Events of at least so many hours with one and the same delay: they arrive as they happen, not in batches."""


@dataclass(frozen=True)
class Findings:
    """What is wrong with sources: `unfit` are reasons to do nothing lasting, `doubts` what people should know."""

    unfit: tuple[str, ...]
    doubts: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """What one source brought: by hour (since 1970) events, and of a sample of them all and different ones; delays.

    `delays` says how many events of the latest day were known so many hours after they happened, `usual_delays` the
    same of the days before, and `live_hours` in how many hours of the latest day something happened. Times in µs.
    """

    name: str
    last_at: int
    hours: Ints
    events: Ints
    sampled: Ints
    different: Ints
    delays: Mapping[int, int]
    usual_delays: Mapping[int, int]
    live_hours: int

    def day(self, end: int, counts: Ints) -> int:
        """The sum of an hourly count over the 24 hours before an hour."""
        return int(counts[(self.hours >= end - DAY_HOURS) & (self.hours < end)].sum())


def examine(engine: Engine, sources: Mapping[str, SourceSettings], as_of: datetime) -> Findings:
    """Judge every source from `sources_parts` and `repeats_parts`; `sources` says which silences are normal."""
    engine.stage("source_repeats")
    found = _read(engine)
    unfit: list[str] = []
    doubts: list[str] = []
    for name, known in sorted(sources.items()):
        unfit += _late(name, found.get(name), known.expected_every, as_of)
    for source in found.values():
        unfit += _volume(source)
        for reason, sure in _clock(source):
            (unfit if sure else doubts).append(reason)
    return Findings(tuple(unfit), tuple(doubts))


def _read(engine: Engine) -> dict[str, Source]:
    hourly = engine.fetch(
        "SELECT s.source, s.hour_number, s.events, s.last_at, COALESCE(r.events, 0) AS sampled,"
        " COALESCE(r.different, 0) AS different"
        " FROM (SELECT source, hour_number, CAST(SUM(events) AS BIGINT) AS events, MAX(last_at) AS last_at"
        "       FROM sources_parts GROUP BY source, hour_number) AS s"
        " LEFT JOIN source_repeats AS r ON s.source = r.source AND s.hour_number = r.hour_number"
        " WHERE s.source IS NOT NULL ORDER BY s.source, s.hour_number"
    )
    delays = engine.fetch(
        "SELECT source, hour_number, lag_hours, CAST(SUM(events) AS BIGINT) AS events FROM sources_parts"
        " WHERE source IS NOT NULL GROUP BY source, hour_number, lag_hours ORDER BY source, hour_number, lag_hours"
    ).to_pylist()
    names = np.array(hourly["source"].to_pylist(), dtype=object)
    columns = {
        name: hourly[name].to_numpy().astype(np.int64)
        for name in ("hour_number", "events", "last_at", "sampled", "different")
    }
    return {
        str(name): _source(str(name), {key: values[names == name] for key, values in columns.items()}, delays)
        for name in sorted(set(names.tolist()))
    }


def _source(name: str, columns: Mapping[str, Ints], delays: Sequence[Mapping[str, Any]]) -> Source:
    hours = columns["hour_number"]
    start = int(hours[-1]) + 1 - DAY_HOURS
    latest: dict[int, int] = {}
    usual: dict[int, int] = {}
    for row in delays:
        if row["source"] == name and row["hour_number"] >= start - USUAL_DAYS * DAY_HOURS:
            counts = latest if row["hour_number"] >= start else usual
            counts[row["lag_hours"]] = counts.get(row["lag_hours"], 0) + row["events"]
    return Source(
        name=name,
        last_at=int(columns["last_at"].max()),
        hours=hours,
        events=columns["events"],
        sampled=columns["sampled"],
        different=columns["different"],
        delays=latest,
        usual_delays=usual,
        live_hours=int((hours >= start).sum()),
    )


def _late(name: str, source: Source | None, expected_every: int | None, as_of: datetime) -> list[str]:
    if expected_every is None:
        return []
    normal = timedelta(seconds=expected_every)
    if source is None:
        return [f"source {name!r} has brought nothing, though it is expected every {_span(normal)}"]
    silent = timedelta(microseconds=microseconds(as_of) - source.last_at)
    if silent <= normal:
        return []
    return [
        f"source {name!r} is late: silent for {_span(silent)}, though it is expected every {_span(normal)}"
    ]


def _volume(source: Source) -> list[str]:
    """Whether one of the latest days holds far less, or far more of the same, than those before it.

    Days end where the source does, so that one which comes in batches is not called incomplete. The log of a day's
    volume is compared with the median of those before it, in units of their spread (the greatest of the median absolute
    deviation, that of counting, and `LEAST_SPREAD`), by Student's t.
    """
    end = int(source.hours[-1]) + 1
    for back in range(LOOKED_AT):
        last = end - back * DAY_HOURS
        days = [source.day(last - day * DAY_HOURS, source.events) for day in range(USUAL_DAYS + 1)]
        first = int(source.hours[0])
        usual = np.array(
            [days[day] for day in range(1, USUAL_DAYS + 1) if last - (day + 1) * DAY_HOURS >= first]
        )
        if len(usual) < LEAST_DAYS or np.median(usual) < LEAST_EVENTS:
            return []
        chance = _chance(days[0], usual)
        when = datetime.fromtimestamp(last * 3_600, tz=UTC).strftime("%Y-%m-%d %H:00")
        share = days[0] / float(np.median(usual))
        if chance < SURPRISE and days[0] < FEW * usual.min():
            return [
                f"source {source.name!r} is incomplete: the day before {when} UTC holds {share:.0%} of a usual day"
            ]
        if chance > 1 - SURPRISE and days[0] > MANY * usual.max() and _repeated(source, last, days[0], usual):
            return [
                f"source {source.name!r} is there twice: the day before {when} UTC holds {share:.0%} of a usual day,"
                " and most of what is too much is repetition"
            ]
    return []


def _chance(day: int, usual: Ints) -> float:
    """The chance of so little or less on a day like the usual ones."""
    logs = np.log(usual + 0.5)
    middle = float(np.median(logs))
    spread = 1.4826 * float(np.median(np.abs(logs - middle)))
    scale = max(spread, float(np.exp(-middle / 2)), LEAST_SPREAD) * np.sqrt(1 + 1 / len(usual))
    return float(stdtr(len(usual) - 1, (np.log(day + 0.5) - middle) / scale))


def _repeated(source: Source, end: int, day: int, usual: Ints) -> bool:
    """Whether repetitions make up most of what the day has too much."""
    sampled, different = source.day(end, source.sampled), source.day(end, source.different)
    if not sampled:
        return False
    before = [source.day(end - back * DAY_HOURS, source.sampled) for back in range(1, USUAL_DAYS + 1)]
    unlike = [source.day(end - back * DAY_HOURS, source.different) for back in range(1, USUAL_DAYS + 1)]
    normal = 1 - sum(unlike) / max(sum(before), 1)
    repeated = (1 - different / sampled - normal) * day
    return bool(repeated >= REPEATED * (day - float(np.median(usual))))


def _clock(source: Source) -> list[tuple[str, bool]]:
    """A clock that is wrong by hours: events known before they happened, or all with the same delay that is new.

    The second says whether that is sure: a constant delay that was always there may be the way that the rows take.
    """
    total = sum(source.delays.values())
    if total < LEAST_EVENTS:
        return []
    early = sum(count for delay, count in source.delays.items() if delay < 0)
    if early > total / 2:
        ahead = -_middle({delay: count for delay, count in source.delays.items() if delay < 0})
        said = f"the clock of source {source.name!r} is about {ahead} h ahead: its events are known before they happen"
        return [(said, True)]
    delay = _middle(source.delays)
    narrow = sum(count for one, count in source.delays.items() if abs(one - delay) <= 1)
    if delay < SKEW_HOURS or narrow < 0.95 * total or source.live_hours < LIVE_HOURS:
        return []
    said = (
        f"the clock of source {source.name!r} is about {delay} h behind, or its events take as long to arrive"
    )
    return [(said, bool(source.usual_delays) and abs(_middle(source.usual_delays) - delay) > 1)]


def _middle(counts: Mapping[int, int]) -> int:
    """The median delay."""
    ordered = sorted(counts)
    reached = np.cumsum([counts[delay] for delay in ordered])
    return ordered[int(np.searchsorted(reached, reached[-1] / 2))]


def _span(length: timedelta) -> str:
    hours = length / timedelta(hours=1)
    if hours >= 48:
        return f"{hours / 24:.1f} d"
    return f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.0f} min"
