"""Simulates a campaign: honest organizations, rings among them, and the truth about both."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, get_args

import numpy as np

from sim.bystanders import KINDS, Crowd, Kind, group_sizes
from sim.events import Batch
from sim.framing import frame
from sim.lifecycle import emit
from sim.mix import Int64
from sim.operation import Operation
from sim.profile import draw
from sim.rings import Difficulty, Rings, muster, plan
from sim.spill import Spill
from sim.tactics import conspire
from sim.truth import Truth
from sim.victims import Victims, choose
from sim.world import World

Progress = Callable[[str, int, int], None]
"""Called with a stage in words, how much of it is done, and how much there is."""

_CHUNK: Final = 40_000
_LIFECYCLE_EVENTS: Final = 7.0
_YEAR: Final = 365
_END: Final = datetime(2026, 10, 1, tzinfo=UTC)
"""The default window ends here however long it is: events from the future would be refused at ingest."""


@dataclass(frozen=True)
class Campaign:
    """What to simulate.

    `organizations` in all, of which `abusive_share` belongs to rings, over `days` days (absent: 30, or a year for
    `serial`) from `start` (absent: so that the last day is 30 September 2026). `attack_days` crowds all rings into so
    many days, most of them one operator's, as in the incident. `events_per_organization` is aimed at, not met exactly.
    `framed_victims` honest organizations (fewer, if there are not as many ordinary people with a telephone) are framed
    by rings, every kind of victim in every way in turn (see `sim.victims`). On day `launch_day` of the window (the
    first is 0) the public signs up ten times as often as on others. Raises ValueError for settings that make no sense.
    """

    organizations: int = 100_000
    seed: int = 1
    difficulty: Difficulty = "plain"
    abusive_share: float = 0.05
    days: int | None = None
    start: datetime | None = None
    attack_days: int | None = None
    events_per_organization: float = 20.0
    framed_victims: int = 0
    launch_day: int | None = None

    def __post_init__(self) -> None:
        problems = {
            "organizations must be at least 100": self.organizations < 100,
            "seed must not be negative": self.seed < 0,
            f"difficulty must be one of {', '.join(get_args(Difficulty))}": self.difficulty
            not in get_args(Difficulty),
            "abusive_share must lie between 0 and 0.9": not 0 <= self.abusive_share <= 0.9,
            "days must be at least 2": self.window_days < 2,
            "attack_days must lie between 1 and days": not 1 <= (self.attack_days or 1) <= self.window_days,
            "start must have a time zone": self.start is not None and self.start.tzinfo is None,
            "events_per_organization must be at least 10": self.events_per_organization < 10,
            "framed_victims must not be negative": self.framed_victims < 0,
            "launch_day must be a day of the window": not 0 <= (self.launch_day or 0) < self.window_days,
        }
        wrong = [problem for problem, applies in problems.items() if applies]
        if wrong:
            raise ValueError("; ".join(wrong))

    @property
    def window_days(self) -> int:
        """Days that the events cover."""
        return self.days if self.days is not None else _YEAR if self.difficulty == "serial" else 30

    @property
    def first_moment(self) -> datetime:
        """When the window opens."""
        return self.start if self.start is not None else _END - timedelta(days=self.window_days)

    @property
    def abusive(self) -> int:
        """How many organizations belong to rings."""
        return round(self.organizations * self.abusive_share)


@dataclass(frozen=True)
class SimulationSummary:
    """What was written where: counts, and the two files."""

    organizations: int
    abusive: int
    rings: int
    events: int
    events_path: Path
    truth_path: Path


def simulate(settings: Campaign, out: Path, progress: Progress | None = None) -> SimulationSummary:
    """Write `events.parquet` and `truth.parquet` to the folder `out`, each complete or not at all.

    Equal settings give equal bytes under equal versions of numpy and pyarrow. Raises `OSError` if `out` is not
    writable.
    """
    tell = progress or (lambda _stage, _done, _total: None)
    out.mkdir(parents=True, exist_ok=True)
    start = int(settings.first_moment.timestamp()) * 1_000_000
    world = World(
        settings.organizations,
        settings.abusive,
        settings.seed,
        start,
        settings.window_days,
        settings.launch_day,
    )
    rings = plan(world, settings.abusive, settings.difficulty, settings.attack_days)
    with tempfile.TemporaryDirectory(dir=out, prefix=".simulate-") as scratch:
        run = _Run(
            settings, world, Spill(Path(scratch), start, settings.window_days), Truth(settings.seed), tell
        )
        try:
            run.honest()
            run.abusive(rings)
        finally:
            run.spill.close()
        events, truth = Path(scratch) / "events.parquet", Path(scratch) / "truth.parquet"
        run.spill.write(events, settings.seed, lambda done, total: tell("writing events", done, total))
        run.truth.write(truth)
        events.replace(out / events.name)
        truth.replace(out / truth.name)
    return SimulationSummary(
        organizations=settings.organizations,
        abusive=settings.abusive,
        rings=len(rings.size),
        events=run.spill.count,
        events_path=out / "events.parquet",
        truth_path=out / "truth.parquet",
    )


@dataclass
class _Run:
    """One simulation under way: organizations are numbered in the order in which they are made."""

    settings: Campaign
    world: World
    spill: Spill
    truth: Truth
    tell: Progress
    made: int = 0
    chunk: int = 0
    victims: Victims | None = None

    @property
    def _scale(self) -> float:
        """How far usage is stretched to meet the events aimed at (20 at a scale of 1)."""
        return (self.settings.events_per_organization - _LIFECYCLE_EVENTS) / (20.0 - _LIFECYCLE_EVENTS)

    def _take(self, count: int) -> tuple[Int64, np.random.Generator]:
        org = np.arange(self.made, self.made + count, dtype=np.int64)
        rng = self.world.rng("chunk", self.chunk)
        self.made, self.chunk = self.made + count, self.chunk + 1
        return org, rng

    def _flush(self, batch: Batch, rng: np.random.Generator) -> None:
        self.spill.add(batch.finish((self.world.start, self.world.end), rng))
        self.tell("simulating organizations", self.made, self.settings.organizations)

    def honest(self) -> None:
        """Simulate the bystanders, kind after kind."""
        total = self.settings.organizations - self.settings.abusive
        ends = np.round(np.cumsum([kind.share for kind in KINDS.values()]) * total).astype(np.int64)
        rng = self.world.rng("bystanders", 0)
        for name, count in zip(KINDS, np.diff(ends, prepend=0).tolist(), strict=True):
            sizes = group_sizes(KINDS[name], count, rng)
            for first, last in _ranges(sizes, _CHUNK):
                self._crowd(name, KINDS[name], sizes[first:last])

    def _crowd(self, name: str, kind: Kind, sizes: Int64) -> None:
        org, rng = self._take(int(sizes.sum()))
        p = draw(self.world, org, rng, self._scale)
        kind.alter(Crowd(p, np.arange(len(org)), np.repeat(np.arange(len(sizes)), sizes), self.world, rng))
        if name == "plain_user" and self.victims is None and self.settings.framed_victims:
            self.victims = choose(p, self.settings.framed_victims, self.world, rng)
        batch = Batch()
        emit(batch, p, self.world, rng)
        self.truth.add_honest(org, name, p.pays)
        self._flush(batch, rng)

    def abusive(self, rings: Rings) -> None:
        """Simulate the rings, some at a time, and have each lot of them frame some of the victims."""
        lots = _ranges(rings.size, _CHUNK)
        for index, lot in enumerate(lots):
            org, rng = self._take(int(rings.size[lot[0] : lot[1]].sum()))
            members = muster(self.world, rings, lot, self.settings.difficulty, rng)
            p = draw(self.world, org, rng, self._scale)
            conspire(Operation(p, members, self.world, self.settings.difficulty, rng))
            batch = Batch()
            emit(batch, p, self.world, rng)
            self.truth.add_abusive(p.org, members, p.pays)
            if self.victims is not None:
                victims = self.victims.of(slice(index, None, len(lots)))
                frame(batch, victims, p, members, rng)
                self.truth.frame(victims.org, victims.names())
            self._flush(batch, rng)


def _ranges(sizes: Int64, limit: int) -> list[tuple[int, int]]:
    """Split groups into ranges of at most `limit` members each, or of one larger group."""
    ranges, first, held = [], 0, 0
    for index, size in enumerate(sizes.tolist()):
        if held and held + size > limit:
            ranges.append((first, index))
            first, held = index, 0
        held += size
    return [*ranges, (first, len(sizes))] if held else ranges
