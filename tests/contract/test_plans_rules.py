"""Who may do what: guardrails, approvals, staleness, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from actions import approvals, incidents, planning, protections, undo, waves
from actions.ledger import items, plans
from actions.model import Action, ItemState, PlanState, Principal, Selector
from actions.refusals import Refusal
from actions.settings import ActionSettings, ContainmentSettings, LastingSettings, WaveSettings
from tests.contract.desk import (
    ADMIN,
    ALICE,
    BOB,
    CAROL,
    OSCAR,
    ROBOT,
    Desk,
    MemorySink,
    People,
    request,
    ring,
)

pytest_plugins = ("tests.contract.ledgers",)


def refused(code: str, error: pytest.ExceptionInfo[Refusal]) -> Refusal:
    assert error.value.code == code
    return error.value


def named(*org_ids: str) -> Selector:
    return Selector("members", ids=org_ids)


def test_a_preview_is_the_plan_and_writes_nothing(desk: Desk) -> None:
    wanted = request(Action.BAN)
    preview = planning.preview(desk.ledger, wanted, ALICE, desk.people)
    with desk.ledger.reading() as reading:
        assert plans.listed(reading) == []
    plan = desk.plan(wanted)
    assert (preview.digest, preview.size, preview.waves) == (plan.digest, plan.size, plan.waves)
    assert preview.needs == plan.needs == "approval"
    assert len(preview.sample) == 20
    assert [each.member_risk for each in preview.weakest] == [90.0] * 10
    assert preview.estimated_collateral == pytest.approx(plan.facts["estimated_collateral"], abs=1e-3)
    assert (
        planning.preview(desk.ledger, replace(wanted, permanent=True), ALICE, desk.people).digest
        != plan.digest
    )


def test_everybody_who_is_spared_is_listed_with_the_reason(desk: Desk) -> None:
    members = ring(10)
    desk.people = People(
        *members[3:],
        replace(members[0], actionable=False, spared_reason="only one type of tie"),
        replace(members[1], protections=frozenset({"paying"})),
        members[2],
    )
    with desk.ledger.transaction() as tx:
        protections.protect(tx, members[2].org_id, BOB, reason="partner")
    plan = desk.plan(request(Action.BAN))
    assert (plan.size, plan.spared) == (7, 3)
    assert plan.facts["spared"] == {
        "only one type of tie": 1,
        "protected: paying": 1,
        "protected: partner": 1,
    }
    assert desk.tally(plan) == {"pending": 7, "spared": 3}


def test_a_person_may_name_the_spared_in_a_lasting_plan_with_a_second_reason(desk: Desk) -> None:
    member = replace(ring(1)[0], actionable=False, spared_reason="no", protections=frozenset({"aged"}))
    desk.people = People(member)
    chosen = named(member.org_id)
    for action, second in ((Action.BAN, ""), (Action.THROTTLE, "I know him")):
        with pytest.raises(Refusal) as error:
            desk.plan(request(action, chosen, second_reason=second))
        refused("nothing_to_do", error)
    plan = desk.plan(request(Action.BAN, chosen, second_reason="I know him"))
    assert plan.size == 1
    assert desk.apply(desk.approve(plan)).state is PlanState.COMPLETED


@pytest.mark.parametrize(
    ("selector", "code"),
    [
        (Selector("cluster"), "bad_selector"),
        (Selector("members"), "bad_selector"),
        (Selector("query", name="all", ids=(" ",)), "bad_selector"),
        (Selector("cluster", cluster_id="cl_gone"), "nothing_to_do"),
        (named("org_nowhere"), "nothing_to_do"),
    ],
)
def test_nobody_and_everybody_are_no_selection(desk: Desk, selector: Selector, code: str) -> None:
    with pytest.raises(Refusal) as error:
        desk.plan(request(Action.THROTTLE, selector))
    refused(code, error)


def test_approvers_see_a_sample_the_weakest_and_what_is_missing(desk: Desk) -> None:
    plan = desk.plan(request(Action.BAN, causes=("source:billing",)))
    with desk.ledger.reading() as reading:
        seen = approvals.review(reading, plan.plan_id)
        history = items.of_subject(reading, "organization", "org_00003")
    assert (len(seen.sample), seen.missing, seen.causes) == (20, 1, ("source:billing",))
    assert [each.member_risk for each in seen.weakest] == [90.0] * 20
    assert [each.plan_id for each in history] == [plan.plan_id]
    desk.approve(plan)
    with desk.ledger.reading() as reading:
        assert approvals.review(reading, plan.plan_id).missing == 0


def test_only_another_person_approves_what_was_seen(desk: Desk) -> None:
    plan = desk.plan(request(Action.BAN), CAROL)
    wrong = [
        (CAROL, plan.digest, "own_plan"),
        (ROBOT, plan.digest, "not_a_person"),
        (ALICE, plan.digest, "forbidden"),
        (BOB, "0" * 64, "digest_mismatch"),
    ]
    for person, digest, code in wrong:
        with desk.ledger.transaction() as tx, pytest.raises(Refusal) as error:
            approvals.approve(tx, plan.plan_id, person, digest=digest)
        refused(code, error)
    with pytest.raises(Refusal) as error:
        desk.apply(plan)
    assert refused("awaiting_approval", error).exit_code == 4
    assert desk.approve(plan).state is PlanState.APPROVED


def test_above_a_cap_two_people_type_the_count(desk: Desk) -> None:
    desk.ledger.settings = ActionSettings(lasting=LastingSettings(plan_cap=150, day_floor=1_000))
    plan = desk.plan(request(Action.BAN))
    assert plan.needs == "elevated"
    with desk.ledger.transaction() as tx, pytest.raises(Refusal) as error:
        approvals.approve(tx, plan.plan_id, BOB, digest=plan.digest, typed_count=199)
    refused("wrong_count", error)
    assert desk.approve(plan, BOB).state is PlanState.PLANNED
    with desk.ledger.transaction() as tx, pytest.raises(Refusal) as error:
        approvals.approve(tx, plan.plan_id, BOB, digest=plan.digest, typed_count=200)
    refused("already_decided", error)
    assert desk.approve(plan, CAROL).state is PlanState.APPROVED


def test_the_cap_of_a_day_counts_what_was_done_before(desk: Desk) -> None:
    desk.ledger.settings = ActionSettings(
        lasting=LastingSettings(day_floor=100, day_share=0.0001),
        waves=WaveSettings(holds=(timedelta(0), timedelta(0))),
    )
    first = desk.plan(request(Action.HOLD_PAYOUT, named(*sorted(desk.people.members)[:90])))
    assert first.needs == "approval"
    desk.apply(desk.approve(first))
    more = named(*sorted(desk.people.members)[90:110])
    assert desk.plan(request(Action.BAN, more)).needs == "elevated"
    desk.clock.pass_(hours=24, seconds=1)
    assert (
        planning.preview(desk.ledger, request(Action.BAN, named("org_00150")), ALICE, desk.people).needs
        == "approval"
    )


def test_an_approval_is_over_after_a_day(desk: Desk) -> None:
    plan = desk.approve(desk.plan(request(Action.BAN)))
    desk.clock.pass_(hours=24)
    with pytest.raises(Refusal) as error:
        desk.apply(plan)
    refused("expired", error)


def test_containment_is_one_persons_and_ends_by_itself(desk: Desk) -> None:
    with pytest.raises(Refusal) as error:
        desk.plan(request(Action.THROTTLE, duration=timedelta(hours=13)))
    refused("bad_request", error)
    plan = desk.apply(desk.plan(request(Action.THROTTLE)))
    assert (plan.state, plan.waves, plan.duration) == (PlanState.COMPLETED, (200,), timedelta(hours=12))
    desk.clock.pass_(hours=12)
    desk.run()
    assert isinstance(desk.sink, MemorySink)
    assert set(desk.sink.state.values()) == {()}
    assert {effect.public_reason for effect in desk.sink.received[200:]} == {"expired"}
    assert len(desk.sink.received) == 400


def test_policies_have_a_budget_and_people_do_not(desk: Desk) -> None:
    desk.ledger.settings = ActionSettings(containment=ContainmentSettings(automatic_per_day=199))
    policy = Principal("policy:surge", frozenset({"operator"}), "policy")
    with pytest.raises(Refusal) as error:
        desk.plan(request(Action.THROTTLE), policy)
    refused("budget", error)
    assert desk.plan(request(Action.THROTTLE)).size == 200


def test_an_unfit_run_and_the_breaker_halt_lasting_actions_but_no_containment(desk: Desk) -> None:
    desk.people.unfit = ("source billing is late",)
    with pytest.raises(Refusal) as error:
        desk.plan(request(Action.BAN))
    refused("unfit_run", error)
    desk.people.unfit = ()
    desk.ledger.settings = ActionSettings(lasting=LastingSettings(breaker_floor=100, breaker_share=0.001))
    with pytest.raises(Refusal) as error:
        desk.plan(request(Action.BAN))
    refused("breaker", error)
    desk.people.unfit = ("source billing is late",)
    assert desk.apply(desk.plan(request(Action.THROTTLE))).state is PlanState.COMPLETED


def test_an_incident_of_two_people_raises_the_caps_for_a_day(desk: Desk) -> None:
    desk.ledger.settings = ActionSettings(
        lasting=LastingSettings(plan_cap=10, breaker_floor=10, breaker_share=0.0001)
    )
    with desk.ledger.transaction() as tx:
        incident = incidents.declare(tx, BOB, reason="20,000 sign-ups")
    with desk.ledger.transaction() as tx, pytest.raises(Refusal) as error:
        incidents.confirm(tx, incident.incident_id, BOB)
    refused("own_plan", error)
    with desk.ledger.transaction() as tx:
        assert incidents.current(tx) is None
        incidents.confirm(tx, incident.incident_id, CAROL)
    assert desk.plan(request(Action.BAN)).needs == "approval"
    desk.clock.pass_(hours=24)
    with desk.ledger.reading() as reading:
        assert incidents.current(reading) is None
    with pytest.raises(Refusal) as error:
        desk.plan(request(Action.CLAWBACK))
    assert error.value.code in {"breaker", "nothing_to_do"}


def test_two_operators_act_on_overlapping_members(desk: Desk) -> None:
    first = desk.plan(request(Action.BAN, named(*[f"org_{n:05}" for n in range(120)]), controls=False))
    second = desk.plan(request(Action.HOLD_PAYOUT), OSCAR)
    assert (second.size, second.facts["spared"]) == (80, {f"in open plan {first.plan_id}": 120})
    desk.apply(desk.approve(first))
    desk.apply(desk.approve(second))
    assert isinstance(desk.sink, MemorySink)
    assert sorted(desk.sink.state.values()) == [("ban",)] * 120 + [("hold_payout",)] * 80
    assert len(desk.sink.received) == 200


def test_containment_does_not_wait_for_a_ban_that_waits_for_approval(desk: Desk) -> None:
    ban = desk.approve(desk.plan(request(Action.BAN)))
    assert desk.apply(desk.plan(request(Action.THROTTLE), OSCAR)).state is PlanState.COMPLETED
    with pytest.raises(Refusal) as error:
        desk.apply(ban)
    assert refused("stale", error).extra["moved"] == 200


def test_a_plan_is_stale_when_its_members_changed_and_says_how(desk: Desk) -> None:
    plan = desk.approve(desk.plan(request(Action.BAN)))
    for number in range(6):
        del desk.people.members[f"org_{number:05}"]
    desk.people.members |= {each.org_id: each for each in ring(6, prefix="new")}
    desk.people.run_id = "run_20260501T120000Z_1badcafe"
    with pytest.raises(Refusal) as error:
        desk.apply(plan)
    refusal = refused("stale", error)
    assert (refusal.exit_code, refusal.http_status) == (5, 409)
    assert (refusal.extra["removed"], refusal.extra["added"], refusal.extra["moved"]) == (6, 6, 0)
    assert refusal.extra["names"]["added"] == [f"new_{number:05}" for number in range(6)]
    assert desk.get(plan).state is PlanState.STALE
    assert desk.tally(plan) == {"skipped": 200}
    with pytest.raises(Refusal) as error:
        desk.apply(plan)
    refused("stale", error)


def test_a_few_members_that_changed_are_skipped_and_reported(desk: Desk) -> None:
    plan = desk.approve(desk.plan(request(Action.BAN, controls=False)))
    del desk.people.members["org_00007"]
    desk.people.run_id = "run_20260501T120000Z_1badcafe"
    done = desk.apply(plan)
    assert (done.state, desk.tally(plan)) == (PlanState.COMPLETED, {"applied": 199, "skipped": 1})
    assert (done.difference["removed"], done.difference["share"]) == (1, 0.005)


def test_drift_at_a_later_wave_pauses(desk: Desk) -> None:
    desk.ledger.settings = ActionSettings()
    plan = desk.approve(desk.plan(request(Action.BAN, controls=False)))
    waves.apply(desk.ledger, plan.plan_id, ALICE, desk.people)
    desk.run()
    assert desk.tally(plan) == {"applied": 2, "pending": 198}
    with desk.ledger.reading() as reading:
        late = [
            each.org_id for each in items.everyone(reading, plan.plan_id) if each.state is ItemState.PENDING
        ]
    for org_id in late[:20]:
        del desk.people.members[org_id]
    desk.people.run_id = "run_20260501T120000Z_1badcafe"
    desk.clock.pass_(minutes=10)
    desk.run()
    assert desk.get(plan).state is PlanState.PAUSED
    with desk.ledger.transaction() as tx:
        waves.resume(tx, plan.plan_id, ALICE, "they left the cluster")


def test_drafts_become_plans_of_who_freezes_them(desk: Desk) -> None:
    analyst = Principal("user:ann", frozenset({"analyst"}))
    with pytest.raises(Refusal) as error:
        desk.plan(request(Action.BAN), analyst)
    refused("forbidden", error)
    with desk.ledger.transaction() as tx:
        draft = planning.draft(tx, request(Action.BAN), analyst)
    assert draft.state is PlanState.DRAFT
    with desk.ledger.transaction() as tx:
        plan = planning.plan_draft(tx, draft.plan_id, ALICE, desk.people)
    assert (plan.creator, plan.size) == ("user:alice", 200)
    with desk.ledger.reading() as reading, pytest.raises(Refusal):
        plans.get(reading, draft.plan_id)


def test_a_lone_operator_waits_ten_minutes_and_is_audited(desk: Desk) -> None:
    desk.ledger.settings = ActionSettings(single_operator=True)
    alone = Principal("user:solo", frozenset({"operator", "approver"}), "local")
    plan = desk.plan(request(Action.BAN), alone)
    with desk.ledger.transaction() as tx, pytest.raises(Refusal) as error:
        approvals.approve(tx, plan.plan_id, alone, digest=plan.digest)
    refused("wrong_count", error)
    desk.approve(plan, alone)
    with pytest.raises(Refusal) as error:
        desk.apply(plan, alone)
    refused("wrong_state", error)
    desk.clock.pass_(minutes=10)
    assert desk.apply(plan, alone).state is PlanState.EXECUTING


def test_a_rejected_or_withdrawn_plan_frees_its_members(desk: Desk) -> None:
    plan = desk.plan(request(Action.BAN))
    with desk.ledger.transaction() as tx:
        approvals.reject(tx, plan.plan_id, BOB, digest=plan.digest, reason="too soon")
    again = desk.plan(request(Action.BAN))
    with desk.ledger.transaction() as tx:
        approvals.withdraw(tx, again.plan_id, ALICE, reason="never mind")
    assert desk.plan(request(Action.BAN)).size == 200
    assert desk.get(plan).state is PlanState.REJECTED


def test_what_waits_does_not_name_honeypots_to_anybody_but_admins(desk: Desk) -> None:
    desk.people = People(*ring(300))
    plan = desk.plan(request(Action.BAN))
    with desk.ledger.reading() as reading:
        everybody = items.listed(reading, plan.plan_id, limit=300)
    parts = [approvals.visible(each, ADMIN).part for each in everybody]
    assert (parts.count("honeypot"), parts.count("holdout")) == (3, 3)
    assert {approvals.visible(each, ALICE).part for each in everybody} == {"act"}


def test_undoing_nothing_is_nothing_to_do(desk: Desk) -> None:
    plan = desk.plan(request(Action.BAN))
    with desk.ledger.transaction() as tx, pytest.raises(Refusal) as error:
        undo.undo_plan(tx, plan.plan_id, OSCAR, reason="no")
    refused("nothing_to_do", error)
