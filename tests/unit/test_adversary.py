"""Operators who answer: what a stop changes, what it cannot change any more, and that it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from detection.run import run
from sim.adversary import contest
from sim.adversary.contest import knows_everything
from sim.adversary.operator import LEFTOVERS, MOST_ANSWERS, WAVE, Operators
from sim.adversary.stage import Cast, Stage
from sim.campaigns import Campaign
from sim.columns import SCHEMA
from sim.replay.enforcement import NEVER
from sim.replay.steps import DAY, HOUR, MINUTE
from tests.unit.worlds import PEPPER

START = 1_790_000_000_000_000
END = START + 20 * DAY
RING, OTHER = 3, 4


def cast(prefix: str, rings: list[int], gap: int = HOUR, calls: int = 4) -> Cast:
    """Organizations that sign up one after the other, and call at once and every three hours, a dollar each."""
    rows: list[dict[str, Any]] = []
    org: list[int] = []
    at: list[int] = []
    for number in range(len(rings)):
        begun = START + number * gap
        own = {
            "org_id": f"{prefix}-{number}",
            "device_id": f"dev-{prefix}-{number}",
            "ip": f"10.0.0.{number}",
        }
        rows.append({**own, "event_type": "organization_created", "payment_method": f"pm-{prefix}-{number}"})
        rows += [{**own, "event_type": "inference", "cost_usd": 1}] * calls
        org += [number] * (1 + calls)
        at += [begun, *(begun + MINUTE + call * 3 * HOUR for call in range(calls))]
    columns = {
        field.name: pa.array([row.get(field.name) for row in rows], _plain(field.type)) for field in SCHEMA
    }
    columns["occurred_at"] = pa.array(at).cast(pa.timestamp("us", "UTC"))
    ids = [f"{prefix}-{number}" for number in range(len(rings))]
    return Cast(ids, np.array(rings), ["0"] * len(ids), pa.table(columns), np.array(org), np.array(at))


def _plain(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_dictionary(kind) else kind


def stage_of(one: Cast) -> Stage:
    stage = Stage()
    stage.join(list(one.org_ids), one.rings, one.events, one.org, one.at.copy())
    return stage


def operators(stage: Stage, reserve: int = 60, seed: int = 1) -> Operators:
    spare = cast("spare", [number // 7 for number in range(reserve)])
    return Operators(stage, spare, END, np.random.default_rng(seed))


def test_a_stage_tells_what_happens_when() -> None:
    stage = stage_of(cast("a", [RING] * 3))
    assert stage.signed_up.tolist() == [START, START + HOUR, START + 2 * HOUR]
    assert stage.between(START - 1, START + MINUTE).column("org_id").to_pylist() == ["a-0", "a-0"]
    assert stage.usage().total == 12_000_000
    assert stage.left_to_use(np.array([0, 2]), START + 4 * HOUR).tolist() == [0.5, 0.75]
    stage.at[stage.org == 1] = NEVER
    assert stage.signed_up[1] == NEVER
    assert stage.usage().total == 8_000_000


@pytest.mark.parametrize("seed", range(5))
def test_a_stop_changes_what_comes_and_nothing_that_was(seed: int) -> None:
    stage = stage_of(cast("a", [RING] * 12 + [OTHER] * 3))
    moment = START + 6 * HOUR
    before = stage.between(START - 1, moment - 1)
    others = stage.org >= 12
    kept = stage.at[others].copy()
    played = operators(stage, seed=seed)
    played.stop(np.array([0, 1]), moment)
    assert stage.between(START - 1, moment - 1).equals(before)
    assert (stage.at[: len(others)][others] == kept).all(), "another ring's operator knows nothing"
    first = len(others)
    gone = stage.at[:first][np.isin(stage.org[:first], [0, 1])]
    assert ((gone < moment) | (gone == NEVER)).all()
    # Members 9 to 11 were to sign up hours later: most were only planned, and newcomers come in their place.
    assert (stage.signed_up[9:12] == NEVER).sum() >= 2
    newcomers = stage.org_ids[15:]
    assert len(newcomers) == played.replacements >= 3
    assert (stage.rings[15:] == RING).all()
    assert set(newcomers) <= set(played.reserve.org_ids)
    assert (stage.at[first:] > moment + 2 * HOUR).all()
    assert np.bincount((stage.signed_up[15:] - START) // (2 * HOUR)).max() <= 2 * WAVE
    news = stage.between(moment, END)
    mine = news.filter(pa.array([one in set(newcomers) for one in news.column("org_id").to_pylist()]))
    for column in LEFTOVERS:
        values = {value for value in mine.column(column).to_pylist() if value}
        own = {value for value in played.reserve.events.column(column).to_pylist() if value}
        had = {value for value in cast("a", [RING] * 12).events.column(column).to_pylist() if value}
        assert values <= own | had


def test_who_was_used_up_is_not_replaced() -> None:
    stage = stage_of(cast("a", [RING] * 3, gap=MINUTE))
    played = operators(stage)
    played.stop(np.array([0, 1, 2]), START + 5 * DAY)
    assert (played.replacements, played.answers) == (0, {RING: 1})


def test_an_operator_gives_up() -> None:
    stage = stage_of(cast("a", [RING] * 40))
    played = operators(stage, reserve=400)
    for turn in range(3 * MOST_ANSWERS):
        at = START + (turn + 1) * 12 * HOUR
        here = np.flatnonzero(stage.signed_up <= at)
        played.stop(here[-2:], at)
    assert played.answers == {RING: MOST_ANSWERS}


def test_a_perfect_detector_waits_for_the_eighth() -> None:
    stage = stage_of(cast("a", [RING] * 9 + [OTHER] * 5))
    assert knows_everything(stage, START + 7 * HOUR - 1).tolist() == []
    assert knows_everything(stage, START + 7 * HOUR).tolist() == list(range(8))
    assert knows_everything(stage, START + 20 * HOUR).tolist() == list(range(9))


def silent(stage: str, done: int, total: int | None) -> None:
    del stage, done, total


def test_a_world_is_played_against_detection(tmp_path: Path) -> None:
    campaign = Campaign(organizations=400, seed=104, abusive_share=0.3, days=6)
    report = contest(
        campaign,
        tmp_path,
        PEPPER,
        lambda home, as_of: run(home, as_of=as_of),
        every=HOUR,
        most=4,
        delay=MINUTE,
        min_risk=50.0,
        progress=silent,
    )
    enforced = report.enforced[0]
    assert report.covered.steps <= 4
    assert enforced.stopped > 0
    # Seldom looks come when trials are burnt, and whoever comes back burns more: a stop can cost more than it saves.
    assert report.total > enforced.prevented
    assert 0 <= enforced.within_ceiling <= max(enforced.ceiling, 0)
    assert report.abusive >= 120
    assert len(report.warnings) == 1
