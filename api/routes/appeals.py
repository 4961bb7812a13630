"""Appeals, and what the affected are told."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path, Query

from actions import appeals, statements
from api.auth.permissions import Permission
from api.deciding import appealing
from api.deciding.desk import Desk
from api.http.guard import Routes
from api.routes.needs import After, CursorsOf, DeskOf, Limit
from api.schemas.appeals import AN_APPEAL, AppealGiven, AppealShown
from api.schemas.base import Page
from api.schemas.effects import StatementShown
from api.schemas.plans import Why

routes = Routes("appeals")
AppealId = Annotated[
    str, Path(pattern=r"^appeal_[0-9a-f-]{8,64}$", description="An appeal's id.", examples=[AN_APPEAL])
]
OrgId = Annotated[str, Path(max_length=512, description="An organization's id, exactly.", examples=["org_1"])]


@routes.changes(
    "/appeals",
    Permission.ANNOTATE,
    status_code=201,
    once=True,
    problems=("nothing_to_do", "already_decided"),
)
def open_appeal(desk: DeskOf, given: AppealGiven) -> AppealShown:
    """Open an appeal: until it is decided, nothing new happens to the organization."""
    return _shown(appealing.opened(desk, given.org_id, given.statement))


@routes.reads("/appeals")
def list_appeals(
    desk: DeskOf,
    cursors: CursorsOf,
    state: Annotated[
        Literal["open", "granted", "denied"] | None, Query(description="Only those in this state.")
    ] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[AppealShown]:
    """Appeals, the newest first."""
    asked = ["appeals", state]
    before = None if after is None else cursors.read(asked, after)
    with desk.ledger.reading() as reading:
        found = appeals.listed(reading, state=state, before=before, limit=limit + 1)
    page, following = cursors.cut(asked, found, limit, lambda last: last.appeal_id)
    return Page(items=[_shown(each) for each in page], next=following)


@routes.reads("/appeals/{appeal_id}")
def get_appeal(desk: DeskOf, appeal_id: AppealId) -> AppealShown:
    """One appeal."""
    with desk.ledger.reading() as reading:
        return _shown(appeals.get(reading, appeal_id))


@routes.changes(
    "/appeals/{appeal_id}/grant",
    Permission.JUDGE,
    once=True,
    problems=("already_decided", "approved_it", "not_a_person"),
)
def grant_appeal(desk: DeskOf, appeal_id: AppealId, given: Why) -> AppealShown:
    """Restore the organization, keep it apart from its cluster for ever, label it legitimate, dispute the evidence."""
    return _decided(desk, appeal_id, given.reason, grant=True)


@routes.changes(
    "/appeals/{appeal_id}/deny",
    Permission.JUDGE,
    once=True,
    problems=("already_decided", "approved_it", "not_a_person"),
)
def deny_appeal(desk: DeskOf, appeal_id: AppealId, given: Why) -> AppealShown:
    """Let the restriction stand; about the same it can be appealed again after thirty days."""
    return _decided(desk, appeal_id, given.reason, grant=False)


def _decided(desk: Desk, appeal_id: str, reason: str, *, grant: bool) -> AppealShown:
    with desk.ledger.transaction() as tx:
        return _shown(appeals.decide(tx, appeal_id, desk.principal, grant=grant, reason=reason))


@routes.reads("/organizations/{org_id}/statement")
def get_statement(desk: DeskOf, org_id: OrgId) -> StatementShown:
    """What an organization may be told: what is restricted, why in public words, until when, and how to appeal."""
    with desk.ledger.reading() as reading:
        found = statements.statement(reading, org_id)
    return StatementShown.model_validate(
        {**vars(found), "restrictions": [vars(each) for each in found.restrictions]}
    )


def _shown(found: appeals.Appeal) -> AppealShown:
    return AppealShown.model_validate({**vars(found), "plans": list(found.plans)})
