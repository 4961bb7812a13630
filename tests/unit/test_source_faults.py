"""Sources that are late, half there, there twice or have a wrong clock are named; weekends and launch days are not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from detection.engines.duckdb import Engine
from detection.run import run
from detection.settings import EngineSettings, SourceSettings
from detection.sources import Findings, examine
from queries import load
from tests.unit.worlds import event, home_of, numbered

START = datetime(2026, 3, 2, tzinfo=UTC)
"""A Monday."""
DAYS = 21
HOUR = 3_600_000_000
END = START + timedelta(days=DAYS)
MINUTE = 60_000_000


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine(EngineSettings()) as engine:
        yield engine


def usual(
    seed: int, source: str = "default", per_hour: float = 40, weekend: float = 1.0
) -> list[dict[str, Any]]:
    """Three weeks of events by seed, more by day than by night, each known a minute later."""
    dice = np.random.default_rng(seed)
    first = int(START.timestamp()) * 1_000_000
    rows = []
    for hour in range(DAYS * 24):
        share = (1.5 if 8 <= hour % 24 < 20 else 0.5) * (weekend if hour // 24 % 7 >= 5 else 1)
        for at in dice.integers(0, HOUR, dice.poisson(per_hour * share)).tolist():
            happened = first + hour * HOUR + at
            rows.append({"source": source, "happened_at": happened, "arrived_at": happened + MINUTE})
    return rows


def examined(
    engine: Engine, rows: Sequence[Mapping[str, Any]], sources: Mapping[str, SourceSettings] | None = None
) -> Findings:
    count = len(rows)
    table = pa.table(
        {
            "source": [row["source"] for row in rows],
            "happened_at": pa.array([row["happened_at"] for row in rows], pa.int64()),
            "arrived_at": pa.array([row["arrived_at"] for row in rows], pa.int64()),
            "organization": [row.get("org", place) for place, row in enumerate(rows)],
            "event_type": ["inference"] * count,
            "ip": ["ip"] * count,
            "api_key": ["key"] * count,
            "tokens": pa.array([1] * count, pa.int64()),
        }
    )
    engine.register("events", table)
    for name in ("sources", "repeats"):
        engine.register(f"{name}_parts", engine.fetch(load(f"day_{name}").sql))
    return examine(engine, sources or {}, END)


def on_day(row: Mapping[str, Any], day: int) -> bool:
    return bool((row["happened_at"] // 1_000_000 - int(START.timestamp())) // 86_400 == day)


def moved(row: Mapping[str, Any], hours: float) -> dict[str, Any]:
    return {**row, "happened_at": row["happened_at"] + int(hours * HOUR)}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("weekend", [1.0, 0.2])
def test_usual_weeks_are_no_fault(engine: Engine, seed: int, weekend: float) -> None:
    """Three weeks that end on a Sunday, busy or quiet, of two sources."""
    rows = usual(seed, weekend=weekend) + usual(seed + 100, "product", 5, weekend)
    assert examined(engine, rows) == Findings((), ())


def test_a_late_source_is_named(engine: Engine) -> None:
    rows = [row for row in usual(1, "product") if row["happened_at"] < END.timestamp() * 1e6 - 5 * HOUR]
    rows += usual(2)
    every_hour = {
        "product": SourceSettings(expected_every=3_600),
        "default": SourceSettings(expected_every=3_600),
    }
    (reason,) = examined(engine, rows, every_hour).unfit
    assert "'product' is late: silent for 5." in reason
    assert examined(engine, rows, {"product": SourceSettings()}).unfit == ()
    (missing,) = examined(engine, usual(2), {"crm": SourceSettings(expected_every=90_000)}).unfit
    assert "'crm' has brought nothing" in missing


@pytest.mark.parametrize("day", [DAYS - 1, DAYS - 2])
@pytest.mark.parametrize("seed", range(3))
def test_half_a_day_is_incomplete(engine: Engine, seed: int, day: int) -> None:
    rows = [row for place, row in enumerate(usual(seed, "product")) if not on_day(row, day) or place % 2]
    (reason,) = examined(engine, rows + usual(seed + 9)).unfit
    assert "'product' is incomplete" in reason
    assert "% of a usual day" in reason


def test_a_day_that_came_twice_is_named(engine: Engine) -> None:
    rows = [{**row, "org": place} for place, row in enumerate(usual(3))]
    rows += [row for row in rows if on_day(row, DAYS - 1)]
    (reason,) = examined(engine, rows).unfit
    assert "'default' is there twice" in reason


def test_a_launch_day_is_no_fault(engine: Engine) -> None:
    """Ten times the events, and all of them different."""
    launch = [row for row in usual(5, per_hour=400) if on_day(row, DAYS - 1)]
    assert examined(engine, usual(4) + launch).unfit == ()


def test_a_young_or_quiet_source_has_no_usual_day(engine: Engine) -> None:
    young = [row for row in usual(1) if row["happened_at"] > START.timestamp() * 1e6 + 16 * 24 * HOUR]
    assert (
        examined(engine, [row for place, row in enumerate(young) if not on_day(row, 20) or place % 3]).unfit
        == ()
    )
    assert examined(engine, usual(2, per_hour=0.1)).unfit == ()


def test_a_clock_that_is_ahead_is_named(engine: Engine) -> None:
    """Its events happen, it says, hours after they were known."""
    rows = [moved(row, 3) if on_day(row, DAYS - 1) else row for row in usual(6, "product")]
    (reason,) = [one for one in examined(engine, rows).unfit if "clock" in one]
    assert "'product' is about 3 h ahead" in reason


def test_a_clock_that_falls_behind_is_named(engine: Engine) -> None:
    late = [
        {**row, "arrived_at": row["arrived_at"] + 4 * HOUR} if on_day(row, DAYS - 1) else row
        for row in usual(7)
    ]
    (reason,) = examined(engine, late).unfit
    assert "'default' is about 4 h behind" in reason


def test_a_delay_that_was_always_there_is_a_doubt(engine: Engine) -> None:
    slow = [{**row, "arrived_at": row["arrived_at"] + 4 * HOUR} for row in usual(8)]
    found = examined(engine, slow)
    assert found.unfit == ()
    assert "or its events take as long to arrive" in found.doubts[0]


def test_batches_are_no_wrong_clock(engine: Engine) -> None:
    """All that happened in a day, or in three weeks, is known at its end."""
    daily = [{**row, "arrived_at": (row["happened_at"] // (24 * HOUR) + 1) * 24 * HOUR} for row in usual(9)]
    at_once = [{**row, "arrived_at": int(END.timestamp()) * 1_000_000} for row in usual(9)]
    assert examined(engine, daily) == examined(engine, at_once) == Findings((), ())


def test_the_manifest_says_that_a_run_is_unfit_and_why(tmp_path: Path) -> None:
    home = home_of(tmp_path, numbered(event(f"org-{hour % 7}", hour) for hour in range(48)))
    late = {"crm": SourceSettings(expected_every=60)}
    manifest = run(home, sources=late).manifest
    assert manifest.unfit_for_lasting_actions == [
        "source 'crm' has brought nothing, though it is expected every 1 min"
    ]
    assert set(manifest.unfit_for_lasting_actions) <= set(manifest.warnings)
    assert run(home).manifest.unfit_for_lasting_actions == []
