"""Ties: the engine against the definition, and against anything that must not matter."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from slow_ties import by_pair, slow_reasons, slow_ties
from worlds import Event, add, drawn, event, home_of, numbered

from detection.run import run
from detection.runs import RunFiles
from detection.settings import DAY, HOUR, LOG_ODDS, WEIGHT_UNIT, BystanderSettings, DetectionSettings
from detection.tie_weights import shipped
from graph.home import Home

NEVER = 1_000_000
NO_PLACES = BystanderSettings(
    least_crowd=NEVER, least_crowd_of_few=NEVER, least_servers=NEVER, least_office=NEVER
)
DEFAULT = DetectionSettings(bystanders=NO_PLACES)
"""What ships, but that nothing is a place: those have tests of their own."""


def kinds(**changes: Mapping[str, object]) -> DetectionSettings:
    """The settings, with some kinds of tie changed."""
    table = dict(DEFAULT.tie_kinds)
    for name, change in changes.items():
        table[name] = table[name].model_copy(update=change)
    return DEFAULT.model_copy(update={"tie_kinds": table})


SETTINGS = {
    "as shipped": DEFAULT,
    "two predecessors": DEFAULT.model_copy(update={"predecessors": 2, "min_weight": 0.01}),
    "short memory": DEFAULT.model_copy(update={"memory_s": 10 * DAY}),
    "low caps": kinds(ip={"cap": 3}, device={"cap": 4}, mailbox={"cap": 5}, payment_method={"cap": 2}),
    "short sessions": kinds(ip={"gap_s": HOUR}, email_domain={"gap_s": DAY + HOUR}, name={"gap_s": 2 * DAY}),
    "one family": kinds(**{name: {"family": "client"} for name in DEFAULT.tie_kinds}),
    "hard to believe": DEFAULT.model_copy(update={"tie_prior": -9.0, "min_weight": 0.2}),
    "only looks": kinds(ip={"counts": False}, name={"counts": False}, email_domain={"counts": False}),
}


def said(kind: str, hours: float = 0, users: int = 2) -> float:
    """What an identifier says by the definition, as a weight."""
    one = DEFAULT.tie_kinds[kind]
    return (one.evidence - one.fade * math.log(1 + hours) - one.crowd * math.log(users - 1)) / LOG_ODDS


def believed(*evidence: float) -> object:
    """The weight of a tie of these, within the rounding of each."""
    return pytest.approx((sum(evidence) + DEFAULT.tie_prior / LOG_ODDS) * WEIGHT_UNIT, abs=3)


def split(events: Sequence[Event], seed: int, parts: int) -> list[list[Event]]:
    """The events in another order, in some files."""
    dice = random.Random(seed)
    shuffled = dice.sample(events, len(events))
    return [part for part in (shuffled[start::parts] for start in range(parts)) if part]


def ties_of(found: RunFiles) -> dict[tuple[str, str], int]:
    return by_pair(found.table("ties").to_pylist())


def strength(tmp_path: Path, *events: Event) -> dict[tuple[str, str], int]:
    """The ties of a hand-made world."""
    return ties_of(run(home_of(tmp_path, numbered(events)), DEFAULT))


@pytest.fixture(scope="module", params=range(2), ids="world {}".format)
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
    found = run(home_of(tmp_path, *split(events, seed, 2)), DEFAULT)
    assert ties_of(found) == slow_ties(events, DEFAULT)


@pytest.mark.parametrize("seed", [20])
def test_reasons_are_the_weights_of_single_identifiers(tmp_path: Path, seed: int) -> None:
    events = drawn(seed)
    found = run(home_of(tmp_path, events), DEFAULT)
    expected = slow_reasons(events, DEFAULT)
    tied = slow_ties(events, DEFAULT)
    wanted = sorted(
        (*pair, kind, weight)
        for (kind, _), weights in expected.items()
        for pair, weight in weights.items()
        if weight > 0 and pair in tied
    )
    rows = found.table("reasons").to_pylist()
    assert sorted((row["a"], row["b"], _base(row["kind"]), row["weight"]) for row in rows) == wanted


def _base(kind: str) -> str:
    recipe = DEFAULT.tie_kinds[kind]
    return recipe.base or kind


def test_the_weights_that_ship_are_those_of_every_kind_and_say_what_kinds_are_worth() -> None:
    learned = shipped()
    assert set(learned.kinds) == set(DEFAULT.tie_kinds)
    fresh = {name: one.evidence for name, one in learned.kinds.items()}
    assert min(fresh["mailbox"], fresh["payment_method"], fresh["device"]) > fresh["name"]
    assert all(one.evidence + learned.prior <= 12 for one in learned.kinds.values())
    assert all(one.like in learned.kinds for one in learned.kinds.values() if one.pairs == 0)


def test_one_fresh_pair_by_hand(tmp_path: Path) -> None:
    ties = strength(tmp_path, event("a", 0, device_id="dev-one"), event("b", 0, device_id="dev-one"))
    assert ties == {("a", "b"): believed(said("device"))}


def test_evidence_fades_by_its_kind(tmp_path: Path) -> None:
    weak = strength(tmp_path / "weak", event("a", 0, ip="10.1.1.1"), event("b", 1, ip="10.1.1.1"))
    assert weak == {("a", "b"): believed(said("ip", 1))}
    assert strength(tmp_path / "gone", event("a", 0, ip="10.1.1.1"), event("b", 13, ip="10.1.1.1")) == {}
    months = 24 * 300
    strong = strength(
        tmp_path / "strong",
        event("a", 0, payment_method="card-token-one"),
        event("b", months, payment_method="card-token-one"),
    )
    assert strong == {("a", "b"): believed(said("payment_method", months))}


@pytest.mark.parametrize(
    ("field", "value"),
    [("device_id", "dev-one"), ("email", "amy@one.example"), ("payment_method", "card-one")],
)
def test_what_one_operator_keeps_ties_across_months(tmp_path: Path, field: str, value: str) -> None:
    """A ring that makes one organization every few weeks shares with nobody on the same day."""
    rows = [event(f"org-{month}", month * 24 * 30, **{field: value}) for month in range(6)]
    neighbours = {(f"org-{month}", f"org-{month + 1}") for month in range(5)}
    assert set(strength(tmp_path, *rows)) >= neighbours


@pytest.mark.parametrize(("days", "tied"), [(396, True), (397, False)])
def test_identifiers_are_forgotten_after_thirteen_months(tmp_path: Path, days: int, tied: bool) -> None:
    ties = strength(
        tmp_path, event("a", 0, email="amy@one.example"), event("b", days * 24, email="amy@one.example")
    )
    assert (("a", "b") in ties) is tied


def test_a_gap_as_long_as_allowed_does_not_end_a_session(tmp_path: Path) -> None:
    first, last = event("a", 0, org_name="Amber Works"), event("b", 24, org_name="Amber Works")
    roomy = DEFAULT.model_copy(update={"min_weight": 1e-6, "tie_prior": -1e-6})
    assert set(ties_of(run(home_of(tmp_path / "kept", numbered([first, last])), roomy))) == {("a", "b")}
    later = event("b", 24.001, org_name="Amber Works")
    assert ties_of(run(home_of(tmp_path / "ended", numbered([first, later])), roomy)) == {}


def test_somebody_elses_use_keeps_a_session_open(tmp_path: Path) -> None:
    """a and c are further apart than the gap, b's use in between bridges it; repeated use by a does too."""
    kept = kinds(device={"gap_s": 2 * DAY})
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


@pytest.mark.parametrize(("users", "tied"), [(12, True), (13, False)])
def test_a_hub_is_a_place_and_ties_nobody(tmp_path: Path, users: int, tied: bool) -> None:
    """A cap counts the organizations of the session: above it, the identifier ties nobody."""
    small = kinds(device={"cap": 12})
    rows = [event(f"org-{number:03d}", 0, device_id="dev-one") for number in range(users)]
    assert (ties_of(run(home_of(tmp_path, numbered(rows)), small)) != {}) is tied


def test_families_add_up_and_little_is_nothing(tmp_path: Path) -> None:
    rows = [event(org, 0, ip="10.1.1.1", org_name="Amber Works", user_id="user-one") for org in ("a", "b")]
    ties = strength(tmp_path / "sum", *rows)
    assert ties == {("a", "b"): believed(said("ip"), said("name"), said("user"))}
    late = [event(org, hours, org_name="Amber Works") for org, hours in [("a", 0), ("b", 23)]]
    assert strength(tmp_path / "dropped", *late) == {}


def test_the_marks_of_one_client_are_one_piece_of_evidence(tmp_path: Path) -> None:
    both = [event(org, 0, ip="10.1.1.1", device_id="dev-one") for org in ("a", "b")]
    ties = strength(tmp_path, *both, event("a", 0, ip="10.2.2.2"), event("b", 0, ip="10.2.2.2"))
    assert ties == {("a", "b"): believed(max(said("ip"), said("device")))}


CARD = {"payment_kind": "prepaid", "payment_bin": "412345"}


def test_strangers_with_cards_of_one_issuer_are_not_tied(tmp_path: Path) -> None:
    rows = [event(f"org-{number}", number / 60, "payment_method_added", **CARD) for number in range(12)]
    assert strength(tmp_path, *rows) == {}


@pytest.mark.parametrize(
    "other", [{"payment_bin": "412346"}, {"payment_kind": "virtual"}, {"payment_kind": "card"}], ids=str
)
def test_issuer_and_sort_of_card_speak_where_something_else_does(
    tmp_path: Path, other: dict[str, str]
) -> None:
    names = [event(org, 0, org_name="Amber Works") for org in ("a", "b")]
    cards = [event(org, 0, "payment_method_added", **CARD) for org in ("a", "b")]
    found = run(home_of(tmp_path / "same", numbered([*names, *cards])), DEFAULT)
    assert ties_of(found) == {("a", "b"): believed(said("name"), said("payment_bin"))}
    assert {row["kind"] for row in found.table("reasons").to_pylist()} == {"name", "payment_bin"}
    assert "payment_bin" not in found.table("links")["kind"].to_pylist()
    cards[1] |= other
    assert strength(tmp_path / "other", *names, *cards) == {("a", "b"): believed(said("name"))}


def test_a_consumer_ties_who_use_it_at_once_and_a_busy_one_nobody(tmp_path: Path) -> None:
    few = [event(org, 0, "inference", consumer_id="consumer-one") for org in ("a", "b")]
    assert strength(tmp_path / "few", *few) == {("a", "b"): believed(said("consumer"))}
    many = [event(f"org-{n:03d}", n / 60, "inference", consumer_id="consumer-one") for n in range(201)]
    assert strength(tmp_path / "many", *many) == {}


def test_a_proven_phone_is_one_identifier_with_the_typed_one(tmp_path: Path) -> None:
    """What says more counts, not the sum of both."""
    typed = [event(org, hours, phone="+14155550101") for org, hours in [("a", 0), ("b", 24 * 60)]]
    known = max(said("phone", 24 * 60), 0)
    assert strength(tmp_path / "typed", *typed) == (
        {("a", "b"): believed(known)} if known + DEFAULT.tie_prior / LOG_ODDS >= DEFAULT.min_weight else {}
    )
    fresh = [event(org, 0, "phone_verified", phone="+14155550101") for org in "ab"]
    best = max(said("phone"), said("phone_verified"))
    assert strength(tmp_path / "fresh", *fresh) == {("a", "b"): believed(best)}


def test_stop_values_and_what_is_only_looked_at_tie_nobody(tmp_path: Path) -> None:
    same = {"device_id": "00000000-0000-0000-0000-000000000000", "ip": "0.0.0.0", "phone": "+10000000000"}  # noqa: S104
    looked = {
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
    whole = run(home_of(tmp_path / "whole", events), DEFAULT)
    members = whole.path("members").read_bytes()
    assert whole.manifest.counts["clusters"] > 0
    several = home_of(tmp_path / "ingests", *split(events, 1, 3), columnar=columnar)
    files = Home(tmp_path / "files" / "home")
    files.path.mkdir(parents=True)
    add(files, *split(events, 2, 2), columnar=columnar)
    for home in (several, files):
        found = run(home, DEFAULT)
        assert ties_of(found) == ties_of(whole)
        assert found.path("members").read_bytes() == members
