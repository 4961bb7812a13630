"""Saved views of the list of clusters."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from actions import views
from api.auth.permissions import Permission
from api.http.guard import Routes
from api.routes.needs import DeskOf
from api.schemas.base import Page
from api.schemas.cases import A_VIEW, ViewGiven, ViewShown

routes = Routes("views")
ViewId = Annotated[
    str, Path(pattern=r"^view_[0-9a-f-]{8,64}$", description="A view's id.", examples=[A_VIEW])
]


@routes.reads("/views")
def list_views(desk: DeskOf) -> Page[ViewShown]:
    """One's own views and those that others share, by name."""
    with desk.ledger.reading() as reading:
        found = views.listed(reading, desk.principal)
    return Page(items=[ViewShown.of(each, desk.principal.id) for each in found], total=len(found))


@routes.changes("/views", Permission.ANNOTATE, status_code=201, once=True, problems=("cap",))
def save_view(desk: DeskOf, given: ViewGiven) -> ViewShown:
    """Save a view, in place of one's own with this name."""
    filters = given.filters.model_dump(exclude_none=True)
    with desk.ledger.transaction() as tx:
        saved = views.save(tx, given.name, desk.principal, filters, shared=given.shared)
    return ViewShown.of(saved, desk.principal.id)


@routes.changes("/views/{view_id}/remove", Permission.ANNOTATE, status_code=204)
def remove_view(desk: DeskOf, view_id: ViewId) -> None:
    """Remove one of one's own views."""
    with desk.ledger.transaction() as tx:
        views.remove(tx, view_id, desk.principal)
