"""Where an erased organization or person stands in the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select, update

from actions.ledger import subjects as names
from actions.ledger.tables import (
    appeals,
    approvals,
    claims,
    deliveries,
    effects,
    idempotency,
    incidents,
    items,
    plans,
    protections,
    requests,
    subjects,
    switches,
)
from actions.model import UNSETTLED, Delivered, ItemState

if TYPE_CHECKING:
    from actions.ledger.ledger import Tx

PEOPLE = (
    (plans, "creator"),
    (approvals, "approver"),
    (appeals, "opened_by"),
    (appeals, "decided_by"),
    (protections, "created_by"),
    (protections, "ended_by"),
    (incidents, "declared_by"),
    (incidents, "confirmed_by"),
    (incidents, "ended_by"),
    (switches, "changed_by"),
    (idempotency, "principal"),
)


WORDS = (
    plans.c.reason,
    plans.c.second_reason,
    plans.c.paused_reason,
    approvals.c.reason,
    appeals.c.statement,
    appeals.c.decision,
    protections.c.reason,
    incidents.c.reason,
    switches.c.reason,
)
"""What people wrote in their own words."""
SHORTEST = 4


def leave_out(tx: Tx, name: str, instead: str) -> None:
    """Put another name for a name wherever people wrote it; a short one is any word's part and says nothing."""
    if len(name) < SHORTEST:
        return
    for column in WORDS:
        tx.conn.execute(
            update(column.table)
            .where(column.contains(name, autoescape=True))
            .values({column.name: func.replace(column, name, instead)})
        )


def end_everything(tx: Tx, audit_name: str) -> None:
    """Nothing waits, is sent or is in force for a subject any more; words about it are gone."""
    subject_id = tx.conn.execute(
        select(subjects.c.id).where(subjects.c.audit_name == audit_name)
    ).scalar_one()
    mine = select(effects.c.seq).where(effects.c.subject_id == subject_id)
    tx.conn.execute(delete(claims).where(claims.c.subject_id == subject_id))
    names.recompute(tx, subjects.c.id == subject_id, raise_generation=False)
    tx.conn.execute(
        update(deliveries)
        .where(deliveries.c.effect_seq.in_(mine), deliveries.c.state.in_(UNSETTLED))
        .values(state=Delivered.SUPERSEDED, settled_at=tx.now)
    )
    tx.conn.execute(
        update(items)
        .where(items.c.subject_id == subject_id, items.c.state.in_((ItemState.PENDING, ItemState.SENDING)))
        .values(state=ItemState.SKIPPED, reason="erased")
    )
    tx.conn.execute(update(items).where(items.c.subject_id == subject_id).values(key_ids=None))
    tx.conn.execute(update(effects).where(effects.c.subject_id == subject_id).values(key_ids=None))
    tx.conn.execute(
        update(appeals).where(appeals.c.subject_id == subject_id).values(statement="", decision="")
    )
    tx.conn.execute(update(protections).where(protections.c.subject_id == subject_id).values(reason="erased"))
    tx.conn.execute(delete(requests).where(requests.c.subject_id == subject_id))


def rename_person(tx: Tx, person_id: str, erased: str) -> None:
    """Put the erased name in every place of a person's id."""
    for table, column in PEOPLE:
        where = table.c[column] == person_id
        tx.conn.execute(update(table).where(where).values({column: erased}))
