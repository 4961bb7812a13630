"""The rules of mass actions that are pure functions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions import guardrails, ids, selection
from actions.freezing import TOP, cut
from actions.guardrails import Situation
from actions.model import Action, Kind, Member, PlanRequest, Principal, Selector, restrictions
from actions.outbox import spans
from actions.refusals import CATALOGUE, Refusal
from actions.settings import ActionSettings
from tests.contract.desk import People, ring

RULES = ActionSettings()


def around(**facts: object) -> Situation:
    usual: dict[str, object] = {
        "active_organizations": 100_000,
        "unfit": (),
        "hits_24h": 0,
        "busiest_day": 0,
        "incident": False,
        "automatic_24h": 0,
    }
    return Situation(**{**usual, **facts})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("active", "cap"), [(100, 100), (50_000, 500), (100_000, 1_000), (1_000_000, 10_000), (10**8, 10_000)]
)
def test_the_cap_of_a_day_is_a_share_of_the_active_within_bounds(active: int, cap: int) -> None:
    assert guardrails.lasting_caps(RULES, around(active_organizations=active)) == (1_000, cap)


@pytest.mark.parametrize(
    ("size", "before", "wanted"),
    [(1_000, 0, "approval"), (1_001, 0, "elevated"), (600, 400, "approval"), (600, 401, "elevated")],
)
def test_above_a_cap_approval_is_elevated(size: int, before: int, wanted: str) -> None:
    assert guardrails.needs(RULES, around(hits_24h=before), Action.BAN, size) == wanted
    assert guardrails.needs(RULES, around(hits_24h=before), Action.THROTTLE, size) == "nothing"


def test_the_breaker_compares_with_what_is_usual() -> None:
    def codes(**facts: object) -> list[str]:
        return [refusal.code for refusal in guardrails.halting(RULES, around(**facts), 5_001)]

    assert codes() == ["breaker"]
    assert codes(busiest_day=1_667) == []
    assert codes(active_organizations=1_000_000) == []
    assert codes(incident=True) == []
    assert codes(incident=True, unfit=("late", "half")) == ["unfit_run", "unfit_run"]


def request(action: Action, **more: object) -> PlanRequest:
    return PlanRequest(action, Selector("cluster", cluster_id="c"), "why", **more)  # type: ignore[arg-type]


def test_durations_follow_the_kind() -> None:
    assert guardrails.duration(RULES, request(Action.THROTTLE)) == timedelta(hours=12)
    assert guardrails.duration(RULES, request(Action.BAN)) == timedelta(days=90)
    assert guardrails.duration(RULES, request(Action.BAN, permanent=True)) is None
    assert guardrails.duration(RULES, request(Action.NO_TRIAL)) == timedelta(days=7)
    for wrong in (
        request(Action.VERIFY, permanent=True),
        request(Action.VERIFY, duration=timedelta(hours=12, seconds=1)),
        request(Action.BAN, permanent=True, duration=timedelta(days=1)),
        request(Action.BAN, duration=timedelta(0)),
        request(Action.CHALLENGE, duration=timedelta(days=31)),
    ):
        with pytest.raises(Refusal):
            guardrails.duration(RULES, wrong)


@given(st.lists(st.integers(0, TOP - 1), unique=True, max_size=400), st.booleans(), st.booleans())
def test_the_random_order_is_cut_into_parts_that_hold_everybody_once(
    draws: list[int], controls: bool, waves: bool
) -> None:
    found = cut(draws, RULES, controls=controls, waves=waves)
    assert found.honeypots + found.holdouts + sum(found.waves) == len(draws)
    assert found.honeypots <= min(20, len(draws) // 100)
    assert list(found.bounds) == sorted(found.bounds)
    edges = [0, *found.bounds]
    counts = [sum(low <= draw < high for draw in draws) for low, high in pairwise(edges)]
    assert counts == [found.honeypots, found.holdouts, *found.waves]
    if waves and len(draws) >= 1_000:
        assert found.waves[0] > 0


def test_waves_are_one_ten_and_a_hundred_percent() -> None:
    assert cut(range(50), RULES, controls=True, waves=True).waves == (1, 4, 45)
    assert cut(range(5_000), RULES, controls=False, waves=True).waves == (50, 450, 4_500)
    large = cut(range(5_000), RULES, controls=True, waves=True)
    assert (large.honeypots, large.holdouts) == (20, 50)


@given(st.lists(st.integers(0, 50), unique=True))
def test_spans_name_every_number_once(numbers: list[int]) -> None:
    found = spans(numbers)
    assert [each for low, high in found for each in range(low, high + 1)] == sorted(numbers)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1)))
def test_ids_are_uuids_of_version_7_that_rise_with_time(moment: datetime) -> None:
    at = moment.replace(tzinfo=UTC)
    first, later = ids.uuid7(at), ids.uuid7(at + timedelta(milliseconds=2))
    assert (first.version, first.variant) == (7, "specified in RFC 4122")
    assert first < later
    assert ids.new_id("plan", at).startswith("plan_")


def test_effect_ids_depend_on_plan_action_and_organization_and_on_the_secret() -> None:
    made = {
        ids.effect_ids(secret, plan, action)(org)
        for secret in (b"a", b"b")
        for plan in ("plan_1", "plan_2")
        for action in ("ban", "throttle")
        for org in ("x", "y")
    }
    assert len(made) == 16
    assert ids.effect_ids(b"a", "p", "ban")("x") == ids.effect_ids(b"a", "p", "ban")("x")


def test_restrictions_are_named_in_a_fixed_order() -> None:
    assert restrictions(0) == ()
    assert restrictions(Action.BAN.bit | Action.THROTTLE.bit) == ("throttle", "ban")
    assert sum(action.bit for action in Action) == (1 << 10) - 1
    assert {action.kind for action in Action} == set(Kind)


def test_every_refusal_has_an_exit_code_and_a_status() -> None:
    assert all(0 < exit_code <= 7 and 400 <= status < 600 for exit_code, status in CATALOGUE.values())
    assert Refusal("stale", "x").exit_code == 5


def test_roles_are_sets() -> None:
    Principal("a", frozenset({"viewer", "operator"})).require("operator")
    with pytest.raises(Refusal):
        Principal("a", frozenset({"admin"})).require("operator", "approver")


def test_named_members_that_the_run_does_not_know_are_listed_in_order() -> None:
    people = People(*ring(5))
    wanted = selection.checked(
        Selector("file", ids=("zz", "org_00003", "aa", "org_00001", "org_00003", "org_00002x"))
    )
    found = [member for batch in selection.members(wanted, people) for member in batch]
    assert [each.org_id for each in found] == ["aa", "org_00001", "org_00002x", "org_00003", "zz"]
    assert [each.spared_reason for each in found] == [
        "not in the run",
        "",
        "not in the run",
        "",
        "not in the run",
    ]


def test_a_described_selector_names_nobody() -> None:
    described = selection.described(Selector("members", ids=("org_1",)))
    assert "org_1" not in str(described)
    assert described["count"] == 1


def test_a_member_is_spared_for_the_first_reason_that_holds() -> None:
    cautious = request(Action.BAN)
    assert guardrails.spared(Member("a", actionable=True), None, cautious) is None
    assert guardrails.spared(Member("a"), None, cautious) == "not actionable"
    assert guardrails.spared(Member("a", spared_reason="no tie"), None, cautious) == "no tie"
    protected = Member("a", actionable=True, protections=frozenset({"paying", "aged"}))
    assert guardrails.spared(protected, None, cautious) == "protected: aged, paying"
