"""Rows of cases, notes and saved views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import RowMapping, delete, func, insert, or_, select, update
from sqlalchemy import case as case_when

from actions.ledger.desk_tables import case_notes, cases, views

if TYPE_CHECKING:
    from actions.ledger.ledger import Reading, Tx

Row = RowMapping


def add_case(tx: Tx, **values: Any) -> None:
    """A new case, in its first version."""
    tx.conn.execute(insert(cases).values(version=1, opened_at=tx.now, changed_at=tx.now, **values))


def case(reading: Reading, case_id: str) -> Row | None:
    """A case by its id."""
    return reading.conn.execute(select(cases).where(cases.c.case_id == case_id)).mappings().first()


def case_of(reading: Reading, cluster_id: str) -> Row | None:
    """The case of a cluster."""
    return reading.conn.execute(select(cases).where(cases.c.cluster_id == cluster_id)).mappings().first()


def change_case(tx: Tx, case_id: str, version: int, **values: Any) -> bool:
    """Change a case that is still in this version; whether it was."""
    changed = (
        update(cases)
        .where(cases.c.case_id == case_id, cases.c.version == version)
        .values(version=version + 1, changed_at=tx.now, **values)
    )
    return tx.conn.execute(changed).rowcount == 1


def list_cases(
    reading: Reading,
    *,
    states: Sequence[str] = (),
    assignee: str | None = None,
    awake: bool = False,
    before: str | None = None,
    limit: int = 50,
) -> Sequence[Row]:
    """Cases, the newest first, before `before`; an empty `assignee`: those of nobody; `awake`: not snoozed now."""
    found = select(cases)
    if states:
        found = found.where(cases.c.state.in_(states))
    if assignee is not None:
        found = found.where(cases.c.assignee == assignee if assignee else cases.c.assignee.is_(None))
    if awake:
        found = found.where(or_(cases.c.snoozed_until.is_(None), cases.c.snoozed_until <= reading.now))
    if before is not None:
        found = found.where(cases.c.case_id < before)
    return reading.conn.execute(found.order_by(cases.c.case_id.desc()).limit(limit)).mappings().all()


def count_cases(reading: Reading) -> Sequence[Row]:
    """For each state: how many, of nobody, snoozed now, and since when the oldest is open."""
    snoozed = func.count(case_when((cases.c.snoozed_until > reading.now, 1)))
    found = select(
        cases.c.state,
        func.count().label("cases"),
        (func.count() - func.count(cases.c.assignee)).label("unassigned"),
        snoozed.label("snoozed"),
        func.min(cases.c.opened_at).label("oldest"),
    ).group_by(cases.c.state)
    return reading.conn.execute(found).mappings().all()


def add_note(tx: Tx, **values: Any) -> None:
    """A new note."""
    tx.conn.execute(insert(case_notes).values(at=tx.now, **values))


def notes(reading: Reading, case_id: str, limit: int) -> Sequence[Row]:
    """The notes of a case, the newest first."""
    found = select(case_notes).where(case_notes.c.case_id == case_id)
    return reading.conn.execute(found.order_by(case_notes.c.note_id.desc()).limit(limit)).mappings().all()


def put_view(tx: Tx, view_id: str, owner: str, name: str, **values: Any) -> str:
    """Save a view, or change the one that its owner has under this name; its id."""
    mine = (views.c.owner == owner) & (views.c.name == name)
    known = tx.conn.execute(select(views.c.view_id).where(mine)).scalar()
    if known is None:
        row = {"view_id": view_id, "owner": owner, "name": name}
        tx.conn.execute(insert(views).values(saved_at=tx.now, **row, **values))
        return view_id
    tx.conn.execute(update(views).where(mine).values(saved_at=tx.now, **values))
    return str(known)


def list_views(reading: Reading, owner: str, limit: int) -> Sequence[Row]:
    """An owner's views and those that others share, by name."""
    found = select(views).where(or_(views.c.owner == owner, views.c.shared))
    return reading.conn.execute(found.order_by(views.c.name, views.c.view_id).limit(limit)).mappings().all()


def count_views(reading: Reading, owner: str) -> int:
    """How many views an owner has."""
    found = select(func.count()).select_from(views).where(views.c.owner == owner)
    return int(reading.conn.execute(found).scalar_one())


def remove_view(tx: Tx, view_id: str, owner: str) -> bool:
    """Remove an owner's view; whether it was there."""
    mine = (views.c.view_id == view_id) & (views.c.owner == owner)
    return tx.conn.execute(delete(views).where(mine)).rowcount == 1
