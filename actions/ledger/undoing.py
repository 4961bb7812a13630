"""Finding the claims that an undo ends, and writing them down."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, RowMapping, Text, and_, exists, func, insert, or_, select, type_coerce

from actions.ledger.tables import causes, claims, items, plans, subjects, undone

if TYPE_CHECKING:
    from actions.ledger.ledger import Reading, Tx


def of_plan(plan_id: str) -> ColumnElement[bool]:
    """Claims of one plan."""
    return claims.c.plan_id == plan_id


def of_subjects(ids: Sequence[int]) -> ColumnElement[bool]:
    """Whatever restricts these subjects."""
    return claims.c.subject_id.in_(ids)


def because(cause: str, since: datetime | None) -> ColumnElement[bool]:
    """Claims made for a cause: the whole plan's, or this member's own evidence."""
    own = exists().where(
        items.c.plan_id == claims.c.plan_id,
        items.c.subject_id == claims.c.subject_id,
        type_coerce(items.c.causes, Text).contains(json.dumps(cause), autoescape=True),
    )
    whole = claims.c.plan_id.in_(select(causes.c.plan_id).where(causes.c.cause == cause))
    found = or_(own, whole)
    return found if since is None else and_(found, claims.c.since >= since)


def pages(reading: Reading, where: ColumnElement[bool], size: int = 5_000) -> Iterator[Sequence[RowMapping]]:
    """Claims with the state of their subjects, in pages by subject; a subject's claims may span two pages."""
    last = (0, "", "")
    while True:
        key = (claims.c.subject_id, claims.c.action, claims.c.plan_id)
        after = or_(
            key[0] > last[0],
            and_(key[0] == last[0], key[1] > last[1]),
            and_(key[0] == last[0], key[1] == last[1], key[2] > last[2]),
        )
        rows = (
            reading.conn.execute(
                select(
                    claims.c.subject_id,
                    claims.c.action,
                    claims.c.plan_id,
                    subjects.c.name,
                    subjects.c.kind,
                    subjects.c.mask,
                    subjects.c.generation,
                )
                .join(subjects, subjects.c.id == claims.c.subject_id)
                .where(where, claims.c.subject_id >= last[0], after)
                .order_by(*key)
                .limit(size)
            )
            .mappings()
            .all()
        )
        if not rows:
            return
        yield rows
        last = (rows[-1]["subject_id"], rows[-1]["action"], rows[-1]["plan_id"])


def write(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Note which claims a restoring plan ends."""
    if rows:
        tx.conn.execute(insert(undone), rows)


def sinks_of(reading: Reading, plan_ids: Sequence[str]) -> set[str]:
    """Every sink that any of these plans told."""
    rows = reading.conn.execute(select(plans.c.sinks).where(plans.c.plan_id.in_(plan_ids)))
    return {sink for row in rows for sink in row.sinks}


def no_longer_held(reading: Reading, plan_id: str) -> int:
    """How many members a plan acted on and holds no more: an undo leaves them as they are."""
    acted = select(func.count()).select_from(items)
    held = select(func.count()).select_from(claims).where(claims.c.plan_id == plan_id)
    released = acted.where(items.c.plan_id == plan_id, items.c.generation.is_not(None))
    return (reading.conn.execute(released).scalar() or 0) - (reading.conn.execute(held).scalar() or 0)
