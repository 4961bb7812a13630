"""Saved views: filters of the list of clusters under a name, one's own or shared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from actions import ids
from actions.ledger import Reading, Tx, casework
from actions.model import Principal
from actions.refusals import Refusal

MOST = 100
SHOWN = 1_000


@dataclass(frozen=True)
class View:
    """Filters under a name of their owner's; everybody sees those that are `shared`."""

    view_id: str
    owner: str
    name: str
    shared: bool
    filters: Mapping[str, Any]
    saved_at: datetime


def save(
    tx: Tx, name: str, principal: Principal, filters: Mapping[str, Any], *, shared: bool = False
) -> View:
    """Save a view, in place of one's own with this name. Raises Refusal for too many."""
    if casework.count_views(tx, principal.id) >= MOST:
        raise Refusal("cap", f"somebody has {MOST} views at most", "Remove one.")
    view_id = casework.put_view(
        tx, ids.new_id("view", tx.now), principal.id, name, shared=shared, filters=dict(filters)
    )
    return next(each for each in listed(tx, principal) if each.view_id == view_id)


def listed(reading: Reading, principal: Principal) -> list[View]:
    """One's own views and those that others share, by name."""
    return [View(**row) for row in casework.list_views(reading, principal.id, SHOWN)]


def remove(tx: Tx, view_id: str, principal: Principal) -> None:
    """Remove one of one's own views. Raises Refusal."""
    if not casework.remove_view(tx, view_id, principal.id):
        raise Refusal("not_found", "you have no such view", "List the views.")
