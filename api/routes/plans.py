"""Plans: decide on a whole cluster, have it approved, apply it, and take it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Path, Query

from actions import approvals, planning, undo, waves
from actions.ledger import Tx, items, plans
from actions.model import ORGANIZATION, Action, ItemState, Plan, PlanRequest, PlanState, Selector
from actions.refusals import Refusal
from api.auth.permissions import Permission
from api.deciding import answers, planned, requests
from api.deciding.desk import Desk
from api.deciding.sinks import chosen
from api.http.guard import Routes
from api.reads import Reads
from api.routes.needs import After, CursorsOf, DeskOf, Limit, ReadsOf
from api.schemas.base import Page
from api.schemas.plans import (
    PLAN_ID,
    Approving,
    Because,
    ItemShown,
    PlanGiven,
    PlanShown,
    PreviewShown,
    Rejecting,
    ReviewShown,
    Why,
)

routes = Routes("plans")
NAMING = ("/v1/plans", "/v1/plans/preview")
"""Paths whose bodies may name very many organizations."""

PlanId = Annotated[
    str,
    Path(pattern=PLAN_ID, description="A plan's id.", examples=["plan_0198c5a0-7e60-768e-a4ed-e7825bf3ac8b"]),
]
MAKING = (
    "bad_selector",
    "bad_request",
    "nothing_to_do",
    "second_reason",
    "cap",
    "budget",
    "breaker",
    "unfit_run",
    "kill_switch",
    "already_decided",
)
STARTING = (
    "stale",
    "awaiting_approval",
    "expired",
    "wrong_state",
    "kill_switch",
    "breaker",
    "unfit_run",
    "cap",
)


@routes.changes("/plans/preview", Permission.DRAFT, problems=MAKING)
def preview_plan(desk: DeskOf, reads: ReadsOf, given: PlanGiven) -> PreviewShown:
    """What a plan would do, and why it could not be made, if so. The same code makes the plan; nothing is written."""
    request = planned.without_restore(_request(desk, reads, given))
    found = planning.preview(desk.ledger, request, desk.principal, desk.population())
    return PreviewShown(**answers.preview(found, request))


@routes.changes("/plans", Permission.OPERATE, status_code=201, once=True, problems=MAKING)
def make_plan(desk: DeskOf, reads: ReadsOf, given: PlanGiven) -> PlanShown:
    """Freeze who is meant, what happens to them, and for how long. Nothing happens until the plan is applied."""
    request = _request(desk, reads, given)
    if request.action is Action.RESTORE:
        return PlanShown.of(
            planned.restored(desk, request.selector, request.reason, kind=request.entity_type)
        )
    population = desk.population(with_keys=request.action is Action.BAN)
    with desk.ledger.transaction() as tx:
        made = planning.plan(tx, request, desk.principal, population)
        return PlanShown.of(made, plans.tally(tx, made.plan_id))


def _request(desk: Desk, reads: Reads, given: PlanGiven) -> PlanRequest:
    """What is wanted, as the ledger understands it. Raises RingfenceError."""
    return PlanRequest(
        Action(given.action),
        _selector(reads, given),
        given.reason,
        duration=given.duration,
        permanent=given.permanent,
        second_reason=given.second_reason or "",
        public_reason=given.public_reason,
        params=given.params,
        sinks=chosen(desk, given.sinks or []),
        entity_type=ORGANIZATION if given.entities is None else given.entities.type,
        causes=tuple(given.causes),
    )


def _selector(reads: Reads, given: PlanGiven) -> Selector:
    if given.cluster_id is not None:
        return Selector("cluster", cluster_id=given.cluster_id)
    if given.query is not None:
        found = requests.found_by(reads.store(), given.query.name, given.query.parameters, _whole)
        return Selector("query", ids=found, name=given.query.name)
    named = given.org_ids if given.entities is None else given.entities.keys
    return Selector("members", ids=tuple(named or ()))


def _whole(message: str, remedy: str) -> None:
    """A program reads no warning: a query that finds more than its limit is refused."""
    raise Refusal("bad_selector", message, remedy)


@routes.reads("/plans")
def list_plans(
    desk: DeskOf,
    cursors: CursorsOf,
    state: Annotated[list[PlanState] | None, Query(description="Only plans in these states.")] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[PlanShown]:
    """Plans, the newest first."""
    wanted = sorted(set(state or ()))
    asked = ["plans", wanted]
    before = None if after is None else cursors.read(asked, after)
    with desk.ledger.reading() as reading:
        found = plans.listed(reading, states=wanted, before=before, limit=limit + 1)
    page, following = cursors.cut(asked, found, limit, lambda last: last.plan_id)
    return Page(items=[PlanShown.of(each) for each in page], next=following)


@routes.reads("/plans/{plan_id}")
def get_plan(desk: DeskOf, plan_id: PlanId) -> PlanShown:
    """One plan, with its members counted by state."""
    with desk.ledger.reading() as reading:
        return PlanShown.of(plans.get(reading, plan_id), plans.tally(reading, plan_id))


@routes.reads("/plans/{plan_id}/review")
def review_plan(desk: DeskOf, plan_id: PlanId) -> ReviewShown:
    """What approvers see: size, a random sample, the weakest evidence, the estimated collateral, the digest."""
    with desk.ledger.reading() as reading:
        found, row = answers.reviewed(reading, plan_id, desk.principal)
        tally = plans.tally(reading, plan_id)
    names = ReviewShown.model_fields.keys() - {"plan"}
    return ReviewShown(plan=PlanShown.of(found.plan, tally), **{name: row[name] for name in names})


@routes.reads("/plans/{plan_id}/members")
def list_plan_members(
    desk: DeskOf,
    cursors: CursorsOf,
    plan_id: PlanId,
    state: Annotated[ItemState | None, Query(description="Only members in this state.")] = None,
    spared: Annotated[
        bool | None, Query(description="Only those that are spared, or only the others.")
    ] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[ItemShown]:
    """The members of a plan with what became of each, spared ones with the reason."""
    asked = ["plan members", plan_id, state, spared]
    place = 0 if after is None else cursors.read(asked, after)
    with desk.ledger.reading() as reading:
        plans.get(reading, plan_id)
        found = items.listed(
            reading,
            plan_id,
            state=state,
            spared=spared,
            after=place,
            limit=limit + 1,
        )
    page, following = cursors.cut(asked, found, limit, lambda last: last.subject_id)
    return Page(items=[ItemShown(**answers.item(each, desk.principal)) for each in page], next=following)


@routes.changes(
    "/plans/{plan_id}/approve",
    Permission.APPROVE,
    once=True,
    problems=(
        "own_plan",
        "not_a_person",
        "already_decided",
        "digest_mismatch",
        "wrong_count",
        "wrong_state",
        "expired",
    ),
)
def approve_plan(desk: DeskOf, plan_id: PlanId, given: Approving) -> PlanShown:
    """Approve somebody else's plan, as it was seen: its digest, and its size typed where the plan asks for it."""

    def decide(tx: Tx) -> Plan:
        return approvals.approve(
            tx,
            plan_id,
            desk.principal,
            digest=given.digest,
            typed_count=given.typed_count,
            reason=given.reason,
        )

    return _decided(desk, decide)


@routes.changes(
    "/plans/{plan_id}/reject",
    Permission.APPROVE,
    once=True,
    problems=("not_a_person", "already_decided", "digest_mismatch", "wrong_state", "expired"),
)
def reject_plan(desk: DeskOf, plan_id: PlanId, given: Rejecting) -> PlanShown:
    """Turn a plan down, for good; an approved one too, until it starts."""
    return _decided(
        desk,
        lambda tx: approvals.reject(tx, plan_id, desk.principal, digest=given.digest, reason=given.reason),
    )


@routes.changes("/plans/{plan_id}/withdraw", Permission.OPERATE, once=True, problems=("wrong_state",))
def withdraw_plan(desk: DeskOf, plan_id: PlanId, given: Why) -> PlanShown:
    """Take a plan back before it starts."""
    return _decided(desk, lambda tx: approvals.withdraw(tx, plan_id, desk.principal, reason=given.reason))


@routes.changes("/plans/{plan_id}/apply", Permission.OPERATE, once=True, problems=STARTING)
def apply_plan(desk: DeskOf, plan_id: PlanId) -> PlanShown:
    """Start a plan; a worker does the rest. A plan whose members moved is stale: 409 with the difference."""
    with desk.ledger.reading() as reading:
        plan = plans.get(reading, plan_id)
    return PlanShown.of(planned.started(desk, plan))


@routes.changes("/plans/{plan_id}/pause", Permission.OPERATE, once=True, problems=("wrong_state",))
def pause_plan(desk: DeskOf, plan_id: PlanId, given: Why) -> PlanShown:
    """Let a plan that executes act on nobody else for now."""
    return _decided(desk, lambda tx: waves.pause(tx, plan_id, desk.principal, given.reason))


@routes.changes(
    "/plans/{plan_id}/resume", Permission.OPERATE, once=True, problems=("wrong_state", "kill_switch")
)
def resume_plan(desk: DeskOf, plan_id: PlanId, given: Why) -> PlanShown:
    """Let a paused plan go on."""
    return _decided(desk, lambda tx: waves.resume(tx, plan_id, desk.principal, given.reason))


@routes.changes("/plans/{plan_id}/abort", Permission.OPERATE, once=True, problems=("wrong_state",))
def abort_plan(desk: DeskOf, plan_id: PlanId, given: Why) -> PlanShown:
    """End a plan that runs; what it did stays until it is undone."""
    return _decided(desk, lambda tx: waves.abort(tx, plan_id, desk.principal, given.reason))


@routes.changes(
    "/plans/{plan_id}/undo",
    Permission.OPERATE,
    status_code=201,
    once=True,
    problems=("not_undoable", "nothing_to_do", "wrong_state"),
)
def undo_plan(desk: DeskOf, plan_id: PlanId, given: Why) -> PlanShown:
    """Restore whatever this plan still holds: a plan of its own, started at once. One person, no caps."""
    return _undone(desk, lambda tx: undo.undo_plan(tx, plan_id, desk.principal, reason=given.reason))


@routes.changes(
    "/undo",
    Permission.OPERATE,
    status_code=201,
    once=True,
    problems=("nothing_to_do", "bad_request", "wrong_state"),
)
def undo_because(desk: DeskOf, given: Because) -> PlanShown:
    """Restore what was done for a cause, across plans: a plan of its own, started at once."""

    def decide(tx: Tx) -> Plan:
        return undo.undo_because(tx, given.because, desk.principal, reason=given.reason, since=given.since)

    return _undone(desk, decide)


def _decided(desk: Desk, decide: Callable[[Tx], Plan]) -> PlanShown:
    """Take one decision about a plan, and say how it is now."""
    with desk.ledger.transaction() as tx:
        plan = decide(tx)
        return PlanShown.of(plan, plans.tally(tx, plan.plan_id))


def _undone(desk: Desk, decide: Callable[[Tx], Plan]) -> PlanShown:
    """Make the inverse plan, and start it."""
    with desk.ledger.transaction() as tx:
        made = decide(tx)
    return PlanShown.of(planned.started(desk, made))
