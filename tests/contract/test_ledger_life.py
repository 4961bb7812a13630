"""A plan's life on both databases: planned, approved, applied, undone."""

from __future__ import annotations

from actions.model import Action, PlanState
from tests.contract.desk import BOB, Desk, MemorySink, request

pytest_plugins = ("tests.contract.ledgers",)


def test_a_ban_is_planned_approved_applied_and_undone(desk: Desk) -> None:
    sink = desk.sink
    assert isinstance(sink, MemorySink)
    plan = desk.plan(request(Action.BAN, controls=False))
    assert (plan.state, plan.size, plan.needs, plan.waves) == (
        PlanState.PLANNED,
        200,
        "approval",
        (2, 18, 180),
    )
    assert desk.approve(plan, BOB).state is PlanState.APPROVED
    assert desk.apply(plan).state is PlanState.COMPLETED
    assert desk.tally(plan) == {"applied": 200}
    assert set(sink.state.values()) == {("ban",)}
    undone = desk.undo(plan)
    assert (undone.state, desk.tally(undone)) == (PlanState.COMPLETED, {"applied": 200})
    assert set(sink.state.values()) == {()}
    assert set(sink.generations.values()) == {2}
