"""Ties: the engine against the definition, and against anything that must not matter."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from slow_ties import by_pair, slow_reasons, slow_ties
from worlds import Event, add, drawn, event, home_of, numbered

from detection.run import run
from detection.runs import RunFiles
from detection.settings import DAY, HOUR, WEIGHT_UNIT, DetectionSettings
from graph.home import Home

DEFAULT = DetectionSettings()
RARE = math.log(500, 1_000)
"""ln(N/d)/ln(N) for two organizations, N being a thousand at least."""


def kinds(**changes: dict[str, object]) -> DetectionSettings:
    """The settings, with some kinds of tie changed."""
    table = dict(DEFAULT.tie_kinds)
    for name, change in changes.items():
        table[name] = table[name].model_copy(update=change)
    return DEFAULT.model_copy(update={"tie_kinds": table})


SETTINGS = {
    "as shipped": DEFAULT,
    "two predecessors": DEFAULT.model_copy(update={"predecessors": 2, "min_weight": 0.01}),
    "short memory": DEFAULT.model_copy(update={"strong_memory_s": 10 * DAY, "strong_floor": 0.9}),
    "low caps": kinds(ip={"cap": 3}, device={"cap": 4}, mailbox={"cap": 5}, payment_method={"cap": 2}),
    "short sessions": kinds(ip={"gap_s": HOUR}, email_domain={"gap_s": DAY + HOUR}, name={"gap_s": 2 * DAY}),
}


def split(events: Sequence[Event], seed: int, parts: int) -> list[list[Event]]:
    """The events in another order, in some files."""
    dice = random.Random(seed)
    shuffled = dice.sample(events, len(events))
    return [part for part in (shuffled[start::parts] for start in range(parts)) if part]


def ties_of(found: RunFiles) -> dict[tuple[str, str], int]:
    return by_pair(found.table("ties").to_pylist())


def strength(tmp_path: Path, *events: Event) -> dict[tuple[str, str], int]:
    """The ties of a hand-made world."""
    return ties_of(run(home_of(tmp_path, numbered(events))))


@pytest.fixture(scope="module", params=range(3), ids="world {}".format)
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Event], Home]:
    """A drawn world that came in several parts."""
    events = drawn(request.param)
    parts = split(events, request.param, 1 + request.param)
    return events, home_of(tmp_path_factory.mktemp("world"), *parts)


@pytest.mark.parametrize("recipe", SETTINGS.values(), ids=SETTINGS.keys())
def test_the_engine_agrees_with_the_definition(
    world: tuple[list[Event], Home], recipe: DetectionSettings
) -> None:
    events, home = world
    found = run(home, recipe)
    expected = slow_ties(events, recipe)
    assert len(expected) > 50
    assert ties_of(found) == expected


@pytest.mark.parametrize("seed", [10])
def test_a_busy_world_agrees_too(tmp_path: Path, seed: int) -> None:
    events = drawn(seed, organizations=90, events=1_500, days=(1, 30))
    found = run(home_of(tmp_path, *split(events, seed, 2)))
    assert ties_of(found) == slow_ties(events, DEFAULT)


@pytest.mark.parametrize("seed", [20])
def test_reasons_are_the_weights_of_single_identifiers(tmp_path: Path, seed: int) -> None:
    events = drawn(seed)
    found = run(home_of(tmp_path, events))
    expected = slow_reasons(events, DEFAULT)
    tied = slow_ties(events, DEFAULT)
    wanted = sorted(
        (*pair, kind, weight)
        for (kind, _), weights in expected.items()
        for pair, weight in weights.items()
        if weight and pair in tied
    )
    rows = found.table("reasons").to_pylist()
    assert sorted((row["a"], row["b"], _base(row["kind"]), row["weight"]) for row in rows) == wanted


def _base(kind: str) -> str:
    recipe = DEFAULT.tie_kinds[kind]
    return recipe.base or kind


def test_one_fresh_pair_by_hand(tmp_path: Path) -> None:
    ties = strength(tmp_path, event("a", 0, device_id="dev-one"), event("b", 0, device_id="dev-one"))
    assert ties == {("a", "b"): round(0.8 * RARE * WEIGHT_UNIT)}


def test_weak_identifiers_fade_and_strong_ones_keep_half(tmp_path: Path) -> None:
    weak = strength(tmp_path / "weak", event("a", 0, ip="10.1.1.1"), event("b", 6, ip="10.1.1.1"))
    assert weak["a", "b"] == pytest.approx(0.35 * RARE * math.exp(-1) * WEIGHT_UNIT, abs=2)
    months = 24 * 300
    strong = strength(
        tmp_path / "strong",
        event("a", 0, payment_method="card-token-one"),
        event("b", months, payment_method="card-token-one"),
    )
    assert strong["a", "b"] == pytest.approx(0.9 * RARE * 0.5 * WEIGHT_UNIT, abs=2)


@pytest.mark.parametrize(("days", "tied"), [(396, True), (397, False)])
def test_strong_identifiers_are_forgotten_after_thirteen_months(
    tmp_path: Path, days: int, tied: bool
) -> None:
    ties = strength(
        tmp_path, event("a", 0, email="amy@one.example"), event("b", days * 24, email="amy@one.example")
    )
    assert (("a", "b") in ties) is tied


def test_a_gap_as_long_as_allowed_does_not_end_a_session(tmp_path: Path) -> None:
    first, last = event("a", 0, device_id="dev-one"), event("b", 72, device_id="dev-one")
    assert set(strength(tmp_path / "kept", first, last)) == {("a", "b")}
    assert strength(tmp_path / "ended", first, event("b", 72.001, device_id="dev-one")) == {}


def test_somebody_elses_use_keeps_a_session_open(tmp_path: Path) -> None:
    """a and c are further apart than the gap, b's use in between bridges it; repeated use by a does too."""
    kept = kinds(device={"gap_s": 2 * DAY, "tau_s": 30 * DAY})
    days = [("a", 0), ("b", 2), ("a", 4), ("c", 6)]
    home = home_of(tmp_path, numbered(event(org, day * 24, device_id="dev-one") for org, day in days))
    assert set(ties_of(run(home, kept))) == {("a", "b"), ("a", "c"), ("b", "c")}


def test_links_grow_linearly_and_still_chain(tmp_path: Path) -> None:
    """A busy device ties everybody to ten predecessors, not all to all."""
    users = 40
    events = [event(f"org-{number:02d}", number / 60, device_id="dev-one") for number in range(users)]
    ties = strength(tmp_path, *events)
    assert len(ties) == 10 * users - 55
    assert {int(b[-2:]) - int(a[-2:]) for a, b in ties} == set(range(1, 11))


@pytest.mark.parametrize(("users", "tied"), [(100, True), (101, False)])
def test_a_hub_is_a_place_and_ties_nobody(tmp_path: Path, users: int, tied: bool) -> None:
    """A cap counts the organizations of the session: above it, the identifier ties nobody."""
    roomy = DEFAULT.model_copy(update={"min_weight": 1e-6})
    rows = [event(f"org-{number:03d}", 0, email=f"m{number}@one.example") for number in range(users)]
    assert (ties_of(run(home_of(tmp_path, numbered(rows)), roomy)) != {}) is tied


def test_identifiers_add_up_and_little_is_nothing(tmp_path: Path) -> None:
    ip = [event(org, 0, ip="10.1.1.1", org_name="Amber Works") for org in ("a", "b")]
    user = [event(org, 0, user_id="user-one") for org in ("a", "b")]
    assert strength(tmp_path / "sum", *ip, *user) == {
        ("a", "b"): pytest.approx((0.35 + 0.25 + 0.8) * RARE * WEIGHT_UNIT, abs=3)
    }
    late = [event(org, hours, ip="10.1.1.1") for org, hours in [("a", 0), ("b", 11.9)]]
    assert strength(tmp_path / "dropped", *late) == {}


def test_a_proven_phone_is_one_identifier_with_the_typed_one(tmp_path: Path) -> None:
    """The stronger of both counts, not their sum."""
    months = 24 * 60
    typed = [event(org, hours, phone="+14155550101") for org, hours in [("a", 0), ("b", months)]]
    assert strength(tmp_path / "typed", *typed) == {}
    proven = [{**one, "event_type": "phone_verified"} for one in typed]
    ties = strength(tmp_path / "proven", *proven)
    assert ties["a", "b"] == pytest.approx(0.8 * RARE * 0.5 * WEIGHT_UNIT, abs=2)
    fresh = [event(org, 0, "phone_verified", phone="+14155550101") for org in "ab"]
    assert strength(tmp_path / "fresh", *fresh)["a", "b"] == pytest.approx(0.8 * RARE * WEIGHT_UNIT, abs=2)


def test_stop_values_and_what_is_only_looked_at_tie_nobody(tmp_path: Path) -> None:
    same = {"device_id": "00000000-0000-0000-0000-000000000000", "ip": "0.0.0.0", "phone": "+10000000000"}  # noqa: S104
    looked = {
        "consumer_id": "consumer-one",
        "promo_code": "promo-one",
        "user_agent": "client/1",
        "org_name": "null",
    }
    assert strength(tmp_path, *(event(org, 0, **same, **looked) for org in "abc")) == {}


def test_a_referral_ties_both_sides(tmp_path: Path) -> None:
    ties = strength(
        tmp_path, event("a", 0, "session_started"), event("b", 1, "referral_redeemed", referrer_org_id="a")
    )
    assert set(ties) == {("a", "b")}


@pytest.mark.parametrize("columnar", [False, True], ids=["ndjson", "parquet"])
def test_neither_files_nor_rows_nor_ingests_in_any_order_matter(tmp_path: Path, columnar: bool) -> None:
    events = drawn(33, organizations=60, events=250, days=(1, 4))
    whole = run(home_of(tmp_path / "whole", events))
    members = whole.path("members").read_bytes()
    assert whole.manifest.counts["clusters"] > 0
    several = home_of(tmp_path / "ingests", *split(events, 1, 3), columnar=columnar)
    files = Home(tmp_path / "files" / "home")
    files.path.mkdir(parents=True)
    add(files, *split(events, 2, 2), columnar=columnar)
    for home in (several, files):
        found = run(home)
        assert ties_of(found) == ties_of(whole)
        assert found.path("members").read_bytes() == members
