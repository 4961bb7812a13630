"""Every figure of a replay, worked by hand, and what must hold whatever happened."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.metrics import LEGITIMATE, Integers
from sim.replay import enforcement
from sim.replay.enforcement import NEVER, Usage
from sim.replay.history import Decision, History, State
from sim.replay.judge import Known, judge
from sim.replay.report import duration
from sim.replay.steps import DAY, HOUR, MINUTE, Steps, choose, even, windows

START = 1_790_000_000_000_000
DOLLAR = 1_000_000


def times(*minutes: float) -> Integers:
    return np.array([START + round(each * MINUTE) for each in minutes], dtype=np.int64)


# A ring of nine: eight sign up in minutes 0 to 7, the last in minute 22; a legitimate one; a pair of another ring.
SIGNED = times(*range(8), 22, 1, 2, 3)
RINGS = np.array([7] * 9 + [LEGITIMATE] + [8, 8])
LOOKS = times(10, 20, 30, 40)


def test_a_perfect_detector_knows_a_ring_from_its_eighth_sign_up_on() -> None:
    stops = enforcement.perfect(SIGNED, RINGS, LOOKS, MINUTE)
    # The eighth comes in minute 7: all eight stop a minute after the step of minute 10, the ninth after that of 30.
    assert stops[:8].tolist() == times(11).tolist() * 8
    assert stops[8] == times(31)[0]
    # A pair is never a ring of eight, and nobody legitimate is ever stopped.
    assert stops[9:].tolist() == [NEVER] * 3


def test_a_step_at_the_very_moment_counts_and_after_the_last_one_nobody_is_stopped() -> None:
    assert enforcement.next_step(times(10, 10.5, 41), LOOKS).tolist() == [*times(10, 20), NEVER]
    assert enforcement.after(np.array([5, NEVER]), 3).tolist() == [8, NEVER]


def test_containment_is_when_half_of_those_signed_up_are_stopped() -> None:
    stops = np.full(len(SIGNED), NEVER)
    stops[:3] = times(11)[0]
    end = int(LOOKS[-1])
    assert enforcement.containment(SIGNED, RINGS, stops, START, end) == {7: np.inf}
    # Four of the first eight in minute 21, before the ninth signs up; then a fifth is needed.
    stops[3] = times(21)[0]
    assert enforcement.containment(SIGNED, RINGS, stops, START, end) == {7: 14 * 60}
    stops[3] = times(31)[0]
    assert enforcement.containment(SIGNED, RINGS, stops, START, end) == {7: np.inf}
    stops[4] = times(41)[0]
    assert enforcement.containment(SIGNED, RINGS, stops, START, times(50)[0]) == {7: 34 * 60}
    # Contained before the eighth came: no time passes.
    stops[:7] = times(6)[0]
    assert enforcement.containment(SIGNED, RINGS, stops, START, end) == {7: 0}
    # Known before the time replayed began: not counted.
    assert enforcement.containment(SIGNED, RINGS, stops, times(7)[0], end) == {}


def test_quantiles_count_rings_that_were_never_contained() -> None:
    seconds = np.array([60.0, 120.0, np.inf])
    assert enforcement.quantile(seconds, 0.5) == 120
    assert enforcement.quantile(seconds, 0.9) == np.inf
    assert np.isnan(enforcement.quantile(np.empty(0), 0.9))
    assert [duration(each) for each in (np.inf, 90.0, 5_400.0, 30.0)] == ["never", "1.5 min", "1.5 h", "30 s"]


def history(decided: dict[int, float], signed: Integers = SIGNED, looks: Integers = LOOKS) -> History:
    """Organizations by number with the minute at which each became actionable."""
    ids = [f"org-{number:02d}" for number in range(len(signed))]
    decisions = {
        ids[number]: Decision(ids[number], int(times(minute)[0]), "cl_1", 3, 95.0, "trial_burn")
        for number, minute in decided.items()
    }
    steps = Steps(looks, START - 1, (), 10 * MINUTE, 10 * MINUTE)
    states = (State(int(looks[-1]), 100, 1, len(decided), len(decided), len(decided)),)
    return History(steps, states, decisions, ids, pa.array([]), signed, {"org-00": "forgeable"})


WHO = Known(RINGS, ["farm"] * 9 + ["campus"] + ["farm"] * 2, RINGS == LEGITIMATE)
# Who uses what when: a dollar a minute makes figures easy to read.
USED = Usage(
    np.array([0, 0, 0, 1, 8, 9, 9, 10, 0]),
    times(5, 15, 25, 25, 35, 5, 35, 25, 55),
    np.array([1, 2, 4, 8, 16, 32, 64, 128, 256], dtype=np.int64) * DOLLAR,
)


def test_every_figure_of_a_small_world() -> None:
    # Organization 0 is actionable in minute 20, 1 in minute 30 (after its use), the pair's first in minute 20, and,
    # wrongly, the campus in minute 30.
    report = judge(history({0: 20, 1: 30, 10: 20, 9: 30}), WHO, USED, {"automatic": MINUTE, "late": HOUR})
    # Minute 55 lies beyond the last step.
    assert report.total == 1 + 2 + 4 + 8 + 16 + 128
    assert report.oracle == report.total
    assert (report.abusive, report.organizations) == (11, 12)
    automatic, late = report.enforced
    assert automatic.prevented == 4 + 128
    # A perfect detector: the eight from minute 11, the ninth from minute 31; the pair never.
    assert automatic.ceiling == 2 + 4 + 8 + 16
    assert automatic.within_ceiling == 4
    assert automatic.share_of_ceiling == pytest.approx(4 / 30)
    assert automatic.missed == {"in no cluster": 8 + 16, "forgeable": 2}
    assert (automatic.precision.hits, automatic.precision.total) == (3, 4)
    assert (automatic.legitimate.hits, automatic.legitimate.total) == (1, 1)
    assert {kind: share.hits for kind, share in automatic.bystanders.items()} == {"campus": 1}
    assert automatic.framed.hits == 1
    assert automatic.legitimate_lost == 64
    assert (automatic.containment.rings, automatic.containment.contained) == (1, 0)
    assert automatic.perfect_containment.p90_s == 4 * 60
    assert (late.prevented, late.ceiling, late.stopped) == (0, 0, 4)
    assert sum(report.curve.total) == report.total
    assert sum(report.curve.prevented) == automatic.prevented
    assert sum(report.curve.ceiling) == automatic.ceiling
    plain = report.to_dict()
    assert plain["enforced"][0]["containment"]["p90_s"] is None
    assert plain["enforced"][0]["share_of_total"] == pytest.approx(132 / 159)
    assert plain["enforced"][1]["share_of_ceiling"] is None
    assert {row.section for row in report.rows} >= {"replayed", "abusive consumption"}


@st.composite
def worlds(draw: st.DrawFn) -> tuple[History, Known, Usage]:
    count = draw(st.integers(1, 30))
    minutes = st.integers(0, 200)
    signed = times(*draw(st.lists(minutes, min_size=count, max_size=count)))
    rings = np.array(draw(st.lists(st.integers(-1, 1), min_size=count, max_size=count)))
    looks = np.unique(times(*draw(st.lists(st.integers(1, 200), min_size=1, max_size=8))))
    step = st.sampled_from(((looks - START) // MINUTE).tolist())
    decided = draw(st.dictionaries(st.integers(0, count - 1), step))
    events = draw(st.lists(st.tuples(st.integers(0, count - 1), minutes, st.integers(0, 9)), max_size=60))
    orgs, at, cost = (list(each) for each in zip(*events, strict=True)) if events else ([], [], [])
    usage = Usage(np.array(orgs, dtype=np.int64), times(*at), np.array(cost, dtype=np.int64))
    return history(decided, signed, looks), Known(rings, ["x"] * count, rings == LEGITIMATE), usage


@given(worlds(), st.lists(st.integers(0, 100), min_size=2, max_size=4))
def test_nothing_prevents_more_than_everything_and_waiting_never_helps(
    world: tuple[History, Known, Usage], delays: list[int]
) -> None:
    seen, who, usage = world
    report = judge(seen, who, usage, {str(each): each * MINUTE for each in sorted(delays)})
    for one in report.enforced:
        assert 0 <= one.within_ceiling <= one.ceiling <= report.total
        assert one.within_ceiling <= one.prevented <= report.total
        assert one.containment.contained <= one.containment.rings
        assert one.stopped == report.enforced[0].stopped
    for sooner, later in zip(report.enforced, report.enforced[1:], strict=False):
        assert later.prevented <= sooner.prevented
        assert later.ceiling <= sooner.ceiling
        assert later.containment.p90_s >= sooner.containment.p90_s or later.containment.rings == 0


@given(worlds())
def test_who_is_perfect_reaches_the_ceiling(world: tuple[History, Known, Usage]) -> None:
    seen, who, usage = world
    best = enforcement.perfect(seen.signed_up, who.rings, seen.steps.at, 0)
    decided = {place: (int(at) - START) / MINUTE for place, at in enumerate(best.tolist()) if at != NEVER}
    report = judge(history(decided, seen.signed_up, seen.steps.at), who, usage, {"at once": 0})
    assert report.enforced[0].prevented == report.enforced[0].ceiling
    assert report.enforced[0].legitimate.hits == 0


def quiet_month(extra: Integers | None = None) -> Integers:
    random = np.random.default_rng(101)
    usual = START + random.integers(0, 30 * DAY, size=3_000)
    return np.sort(np.concatenate([usual, np.empty(0, dtype=np.int64) if extra is None else extra]))


def test_steps_are_dense_where_organizations_pour_in() -> None:
    attack = START + 12 * DAY + np.linspace(0, 100 * MINUTE, 300).astype(np.int64)
    steps = choose(quiet_month(attack), START, START + 30 * DAY)
    assert len(steps.at) <= 96
    assert steps.end == START + 30 * DAY
    assert steps.inside == 5 * MINUTE
    inside = steps.at[(steps.at >= attack[0]) & (steps.at <= attack[-1])]
    assert np.diff(inside).max() <= 5 * MINUTE
    assert [window.first <= attack[0] and attack[-1] <= window.last for window in steps.windows] == [True]


def test_without_an_attack_steps_are_even() -> None:
    steps = choose(quiet_month(), START, START + 30 * DAY, most=60)
    assert steps.windows == ()
    assert len(steps.at) == 60
    assert np.ptp(np.diff(steps.at)) <= 1


def test_windows_that_do_not_fit_get_wider_steps_and_then_none() -> None:
    attacks = [START + day * DAY + np.linspace(0, 5 * HOUR, 400).astype(np.int64) for day in range(3, 28, 2)]
    signed = quiet_month(np.concatenate(attacks))
    found = windows(signed, START, START + 30 * DAY)
    assert len(found) == len(attacks)
    wide = choose(signed, START, START + 30 * DAY, most=200)
    assert (wide.inside, wide.given_up) == (60 * MINUTE, 0)
    few = choose(signed, START, START + 30 * DAY, most=30)
    assert few.given_up == len(attacks) - len(few.windows) > 0
    assert len(few.at) <= 30


@given(st.integers(1, 10**9), st.integers(1, 200), st.integers(1, 10**8))
def test_even_steps_end_at_the_end_and_keep_the_budget(span: int, most: int, every: int) -> None:
    steps = even(START, START + span, every=every, most=most)
    assert steps.end == START + span
    assert 1 <= len(steps.at) <= most
    assert (np.diff(steps.at) > 0).all()


@given(st.lists(st.integers(0, 20 * 24 * 60), max_size=200), st.integers(1, 120))
def test_chosen_steps_keep_the_budget_whatever_happened(minutes: list[int], most: int) -> None:
    steps = choose(
        np.sort(times(*minutes)) if minutes else np.empty(0, dtype=np.int64),
        START,
        START + 20 * DAY,
        most=most,
    )
    assert 1 <= len(steps.at) <= most
    assert steps.end == START + 20 * DAY
    assert (np.diff(steps.at) > 0).all()
