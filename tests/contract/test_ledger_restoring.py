"""Undo, expiry and appeals, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from actions import appeals, approvals, protections, statements, undo, waves, wishes
from actions.model import Action, PlanState, Principal, Selector
from actions.refusals import Refusal
from actions.settings import ActionSettings
from tests.contract.desk import ALICE, BOB, CAROL, OSCAR, ROBOT, Desk, MemorySink, People, request, ring

pytest_plugins = ("tests.contract.ledgers",)
CUSTOMER = Principal("user:customer")


def states(desk: Desk) -> dict[str, tuple[str, ...]]:
    assert isinstance(desk.sink, MemorySink)
    return desk.sink.state


def test_an_undo_restores_only_what_its_plan_still_holds(desk: Desk) -> None:
    desk.people = People(*ring(3))
    throttled = desk.apply(desk.plan(request(Action.THROTTLE)))
    banned = desk.plan(request(Action.BAN, Selector("members", ids=("org_00000", "org_00001"))))
    desk.apply(desk.approve(banned))
    assert states(desk)["org_00000"] == ("throttle", "ban")
    with desk.ledger.transaction() as tx:
        lifted = undo.restore(tx, ["org_00001"], OSCAR, reason="a customer")
    desk.apply(lifted, OSCAR)
    assert states(desk)["org_00001"] == ()
    undone = desk.undo(banned)
    assert (undone.size, undone.facts["no_longer_held"]) == (1, 1)
    assert states(desk) == {"org_00000": ("throttle",), "org_00001": (), "org_00002": ("throttle",)}
    desk.clock.pass_(hours=12)
    desk.run()
    assert set(states(desk).values()) == {()}
    with desk.ledger.transaction() as tx, pytest.raises(Refusal) as error:
        undo.undo_plan(tx, throttled.plan_id, OSCAR, reason="late")
    assert error.value.code == "nothing_to_do"


def test_what_another_plan_still_wants_stays_and_is_said(desk: Desk) -> None:
    desk.people = People(*ring(2))
    first = desk.apply(desk.plan(request(Action.THROTTLE)))
    renewed = desk.apply(desk.plan(request(Action.THROTTLE, Selector("members", ids=("org_00000",)))))
    undone = desk.undo(first)
    assert desk.tally(undone) == {"applied": 1, "skipped": 1}
    assert states(desk) == {"org_00000": ("throttle",), "org_00001": ()}
    desk.undo(renewed)
    assert states(desk)["org_00000"] == ()


def test_renewed_containment_ends_with_the_last_claim(desk: Desk) -> None:
    desk.people = People(*ring(1))
    desk.apply(desk.plan(request(Action.THROTTLE)))
    desk.clock.pass_(hours=6)
    desk.apply(desk.plan(request(Action.THROTTLE)))
    assert isinstance(desk.sink, MemorySink)
    assert desk.sink.received[-1].expires_at == desk.clock.now + timedelta(hours=12)
    desk.clock.pass_(hours=6)
    desk.run()
    assert states(desk) == {"org_00000": ("throttle",)}
    desk.clock.pass_(hours=6)
    desk.run()
    assert states(desk) == {"org_00000": ()}


def test_undo_by_cause_reaches_across_plans_and_only_those_members(desk: Desk) -> None:
    members = ring(6)
    members[:3] = [replace(each, evidence=("shared_phone", "name_template")) for each in members[:3]]
    desk.people = People(*members)
    desk.apply(desk.plan(request(Action.THROTTLE)))
    desk.clock.pass_(hours=1)
    desk.apply(desk.plan(request(Action.VERIFY, causes=("entity:ip:203.0.113.9",))))
    with desk.ledger.transaction() as tx:
        late = undo.undo_because(
            tx, "signal:shared_phone", OSCAR, reason="wrong detector", since=desk.clock.now
        )
    desk.apply(late, OSCAR)
    assert states(desk)["org_00000"] == ("throttle",)
    assert states(desk)["org_00005"] == ("throttle", "verify")
    with desk.ledger.transaction() as tx:
        both = undo.undo_because(tx, "signal:shared_phone", OSCAR, reason="wrong detector")
    desk.apply(both, OSCAR)
    assert [states(desk)[f"org_{n:05}"] for n in range(6)] == [()] * 3 + [("throttle", "verify")] * 3
    with desk.ledger.transaction() as tx:
        rest = undo.undo_because(tx, "entity:ip:203.0.113.9", OSCAR, reason="a campus")
    desk.apply(rest, OSCAR)
    assert states(desk)["org_00005"] == ("throttle",)
    with desk.ledger.transaction() as tx, pytest.raises(Refusal) as error:
        undo.undo_because(tx, "signal:shared", OSCAR, reason="a prefix is no cause")
    assert error.value.code == "nothing_to_do"


def test_a_restore_cannot_be_undone(desk: Desk) -> None:
    undone = desk.undo(desk.apply(desk.plan(request(Action.THROTTLE))))
    with desk.ledger.transaction() as tx, pytest.raises(Refusal) as error:
        undo.undo_plan(tx, undone.plan_id, OSCAR, reason="again")
    assert error.value.code == "not_undoable"


def test_a_ban_ends_unless_it_was_said_to_be_permanent(desk: Desk) -> None:
    desk.people = People(*ring(2))
    for org_id, more in (("org_00000", {}), ("org_00001", {"permanent": True})):
        plan = desk.plan(request(Action.BAN, Selector("members", ids=(org_id,)), **more))
        desk.apply(desk.approve(plan))
    desk.clock.pass_(days=90)
    desk.run()
    assert states(desk) == {"org_00000": (), "org_00001": ("ban",)}


def test_an_appeal_is_decided_by_somebody_else_and_restores(desk: Desk) -> None:
    plan = desk.plan(request(Action.BAN, controls=False))
    desk.apply(desk.approve(plan, BOB))
    with desk.ledger.transaction() as tx:
        appeal = appeals.open_appeal(tx, "org_00003", CUSTOMER, statement="We are a school.")
    for person, code in ((BOB, "approved_it"), (ROBOT, "not_a_person"), (CUSTOMER, "forbidden")):
        with desk.ledger.transaction() as tx, pytest.raises(Refusal) as error:
            appeals.decide(tx, appeal.appeal_id, person, grant=True, reason="looks fine")
        assert error.value.code == code
    with desk.ledger.transaction() as tx:
        granted = appeals.decide(tx, appeal.appeal_id, CAROL, grant=True, reason="a school")
    desk.run()
    assert granted.restored_by is not None
    assert (states(desk)["org_00003"], states(desk)["org_00004"]) == ((), ("ban",))
    with desk.ledger.transaction() as tx:
        asked = wishes.open_wishes(tx)
        assert [(each.kind, each.org_id, each.cluster_id) for each in asked] == [
            (kind, "org_00003", "cl_ring") for kind in wishes.GRANTED
        ]
        wishes.fulfilled(tx, [each.seq for each in asked])
        assert wishes.open_wishes(tx) == []


def test_an_open_appeal_freezes_what_would_happen_next(desk: Desk) -> None:
    desk.apply(desk.plan(request(Action.THROTTLE)))
    with desk.ledger.transaction() as tx:
        appeal = appeals.open_appeal(tx, "org_00003", CUSTOMER, statement="no")
        with pytest.raises(Refusal):
            appeals.open_appeal(tx, "org_00003", CUSTOMER, statement="no!")
        with pytest.raises(Refusal) as error:
            appeals.open_appeal(tx, "org_nobody", CUSTOMER, statement="why")
    assert error.value.code == "nothing_to_do"
    plan = desk.plan(request(Action.BAN, controls=False))
    assert plan.facts["spared"] == {"appeal open": 1}
    with desk.ledger.transaction() as tx:
        other = appeals.open_appeal(tx, "org_00004", CUSTOMER, statement="me too")
    desk.apply(desk.approve(plan))
    assert desk.tally(plan) == {"applied": 198, "skipped": 1, "spared": 1}
    assert states(desk)["org_00004"] == ("throttle",)
    with desk.ledger.transaction() as tx:
        for each in (appeal, other):
            appeals.decide(tx, each.appeal_id, BOB if each is other else CAROL, grant=False, reason="a ring")
        with pytest.raises(Refusal) as error:
            appeals.open_appeal(tx, "org_00003", CUSTOMER, statement="again")
    assert error.value.code == "already_decided"


@pytest.mark.parametrize(("believable", "state"), [(True, PlanState.PAUSED), (False, PlanState.EXECUTING)])
def test_a_ring_cannot_stop_a_ban_by_appealing(desk: Desk, *, believable: bool, state: PlanState) -> None:
    desk.ledger.settings = ActionSettings()
    desk.people = People(*ring(1_000))
    plan = desk.plan(request(Action.HOLD_PAYOUT))
    desk.apply(desk.approve(plan))
    for org_id in sorted(states(desk)):
        with desk.ledger.transaction() as tx:
            appeals.open_appeal(tx, org_id, CUSTOMER, statement="no!", independent_life=believable)
    assert len(states(desk)) == 10
    desk.run()
    assert desk.get(plan).state is state


def test_granted_appeals_pause_a_plan(desk: Desk) -> None:
    desk.ledger.settings = ActionSettings()
    desk.people = People(*ring(1_000))
    plan = desk.plan(request(Action.HOLD_PAYOUT))
    desk.apply(desk.approve(plan))
    for number, org_id in enumerate(sorted(states(desk))[:5]):
        assert desk.get(plan).state is PlanState.EXECUTING, number
        with desk.ledger.transaction() as tx:
            appeal = appeals.open_appeal(tx, org_id, CUSTOMER, statement="no!")
            appeals.decide(tx, appeal.appeal_id, CAROL, grant=True, reason="right")
        desk.run()
    assert desk.get(plan).paused_reason == "5 believable appeals"
    with desk.ledger.transaction() as tx:
        waves.resume(tx, plan.plan_id, ALICE, "looked at")
    desk.clock.pass_(minutes=10)
    desk.run()
    assert desk.tally(plan)["applied"] == 100


def test_who_is_protected_meanwhile_is_skipped(desk: Desk) -> None:
    plan = desk.approve(desk.plan(request(Action.BAN, controls=False)))
    with desk.ledger.transaction() as tx:
        protections.protect(tx, "org_00100", BOB, reason="signed a contract")
    desk.apply(plan)
    assert desk.tally(plan) == {"applied": 199, "skipped": 1}
    with desk.ledger.transaction() as tx:
        assert [each.org_id for each in protections.listed(tx)] == ["org_00100"]
        protections.unprotect(tx, "org_00100", BOB, reason="contract ended")
        assert protections.listed(tx) == []


def test_a_statement_says_what_was_restricted_and_names_nobody(desk: Desk) -> None:
    desk.apply(desk.plan(request(Action.THROTTLE, public_reason="multiple_accounts")))
    with desk.ledger.reading() as reading:
        said = statements.statement(reading, "org_00000")
        assert statements.statement(reading, "org_unknown").restrictions == ()
    (restriction,) = said.restrictions
    assert (restriction.clause, restriction.automated) == ("one-trial-per-customer", False)
    assert restriction.ends_at == desk.clock.now + timedelta(hours=12)
    assert "sign_up_burst" not in repr(said)
    assert "cl_ring" not in repr(said)
    with pytest.raises(Refusal):
        desk.plan(request(Action.VERIFY, public_reason="because the detector says so"))


def test_entities_are_acted_on_for_a_while_and_undone(desk: Desk) -> None:
    from actions.population import Hits

    desk.people.hits = {"gmail.example": Hits(3_000, ("org_1",)), "young.example": Hits(0)}
    wanted = request(
        Action.DENY_SIGNUP,
        Selector("members", ids=("young.example",)),
        entity_type="domain",
    )
    plan = desk.plan(wanted)
    assert (plan.needs, plan.duration, plan.subject_kind) == ("nothing", timedelta(days=7), "domain")
    desk.apply(plan)
    assert states(desk) == {"young.example": ("deny_signup",)}
    broad = desk.plan(replace(wanted, selector=Selector("members", ids=("gmail.example",))))
    assert (broad.needs, broad.facts["legitimate_hits"]) == ("elevated", 3_000)
    with desk.ledger.transaction() as tx:
        approvals.withdraw(tx, broad.plan_id, ALICE, reason="oh")
    desk.undo(plan)
    assert states(desk) == {"young.example": ()}
    for wrong in (
        replace(wanted, entity_type="organization"),
        replace(wanted, entity_type="planet"),
        replace(wanted, permanent=True),
        replace(wanted, selector=Selector("cluster", cluster_id="cl_ring")),
    ):
        with pytest.raises(Refusal):
            desk.plan(wrong)
