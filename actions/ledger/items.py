"""Members of plans in the ledger, by state and never by offset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import RowMapping, func, insert, select, update

from actions.ledger import subjects as names
from actions.ledger.among import among
from actions.ledger.tables import items, subjects
from actions.model import (
    Delivered,
    Item,
    ItemState,
    Part,
    Plan,
    restrictions,
)

if TYPE_CHECKING:
    from actions.ledger.ledger import Reading, Tx

UNSETTLED_DELIVERIES = (Delivered.PENDING, Delivered.SENDING, Delivered.WAITING)


def add(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Write frozen members."""
    if rows:
        tx.conn.execute(insert(items), rows)


def assign(tx: Tx, plan_id: str, lower: int, upper: int, **values: Any) -> None:
    """Give the part and wave to members whose draw is in [lower, upper)."""
    tx.conn.execute(
        update(items)
        .where(
            items.c.plan_id == plan_id,
            items.c.part != Part.SPARED,
            items.c.draw >= lower,
            items.c.draw < upper,
        )
        .values(**values)
    )


def listed(
    reading: Reading,
    plan_id: str,
    *,
    state: ItemState | None = None,
    part: Part | None = None,
    spared: bool | None = None,
    after: int = 0,
    limit: int = 100,
) -> list[Item]:
    """Members of a plan by subject id, after `after`; `spared`: only those, or only the others."""
    found = (
        select(items, subjects.c.name)
        .join(subjects, subjects.c.id == items.c.subject_id)
        .where(items.c.plan_id == plan_id, items.c.subject_id > after)
    )
    if state is not None:
        found = found.where(items.c.state == state)
    if part is not None:
        found = found.where(items.c.part == part)
    if spared is not None:
        found = found.where((items.c.part == Part.SPARED) if spared else (items.c.part != Part.SPARED))
    rows = reading.conn.execute(found.order_by(items.c.subject_id).limit(limit)).mappings()
    return [_item(row) for row in rows]


def everyone(reading: Reading, plan_id: str) -> Iterator[Item]:
    """All members of a plan, in pages."""
    after = 0
    while page := listed(reading, plan_id, after=after, limit=5_000):
        yield from page
        after = page[-1].subject_id


def sampled(reading: Reading, plan_id: str, size: int) -> list[Item]:
    """A random sample of who is acted on: in an order that is neither the waves' nor anybody's choice."""
    order = (items.c.draw % 1_000_003, items.c.draw)
    return _acted(reading, plan_id, order, size)


def weakest(reading: Reading, plan_id: str, size: int) -> list[Item]:
    """Those who are acted on with the least risk."""
    return _acted(reading, plan_id, (items.c.member_risk, items.c.draw), size)


def _acted(reading: Reading, plan_id: str, order: Any, size: int) -> list[Item]:
    rows = reading.conn.execute(
        select(items, subjects.c.name)
        .join(subjects, subjects.c.id == items.c.subject_id)
        .where(items.c.plan_id == plan_id, items.c.part != Part.SPARED)
        .order_by(*order)
        .limit(size)
    ).mappings()
    return [_item(row) for row in rows]


def _item(row: RowMapping) -> Item:
    return Item(
        plan_id=row["plan_id"],
        subject_id=row["subject_id"],
        org_id=row["name"],
        part=Part(row["part"]),
        wave=row["wave"],
        state=ItemState(row["state"]),
        reason=row["reason"],
        prior=restrictions(row["prior_mask"]),
        prior_generation=row["prior_generation"],
        generation=row["generation"],
        effect_id=row["effect_id"],
        cluster_id=row["cluster_id"],
        member_risk=row["member_risk"],
        due_at=row["due_at"],
    )


def of_subject(reading: Reading, kind: str, name: str, limit: int = 100) -> list[Item]:
    """Everything that plans meant to do with one organization or entity, the newest plan first."""
    rows = reading.conn.execute(
        select(items, subjects.c.name)
        .join(subjects, subjects.c.id == items.c.subject_id)
        .where(subjects.c.kind == kind, subjects.c.name == name)
        .order_by(items.c.plan_id.desc())
        .limit(limit)
    ).mappings()
    return [_item(row) for row in rows]


def moved(reading: Reading, plan_id: str) -> list[int]:
    """Ids of members that still wait, and whose state is not the one that the plan froze."""
    rows = reading.conn.execute(
        select(items.c.subject_id)
        .join(subjects, subjects.c.id == items.c.subject_id)
        .where(
            items.c.plan_id == plan_id,
            items.c.state == ItemState.PENDING,
            items.c.part != Part.SPARED,
            items.c.prior_generation != subjects.c.generation,
        )
    )
    return list(rows.scalars())


def waiting_names(reading: Reading, plan_id: str) -> dict[str, int]:
    """Members that nothing has happened to yet: name to subject id."""
    rows = reading.conn.execute(
        select(subjects.c.name, items.c.subject_id)
        .join(subjects, subjects.c.id == items.c.subject_id)
        .where(items.c.plan_id == plan_id, items.c.state == ItemState.PENDING, items.c.part != Part.SPARED)
    )
    return {row.name: row.subject_id for row in rows}


def frozen_names(reading: Reading, plan_id: str) -> set[str]:
    """Every member that the plan acts on, whatever became of it."""
    rows = reading.conn.execute(
        select(subjects.c.name)
        .join(items, subjects.c.id == items.c.subject_id)
        .where(items.c.plan_id == plan_id, items.c.part != Part.SPARED)
    )
    return set(rows.scalars())


def skip(tx: Tx, plan_id: str, ids: Sequence[int], reason: str) -> int:
    """Leave out members that still wait; how many."""
    count = 0
    for batch in names.batches(ids):
        count += tx.conn.execute(
            update(items)
            .where(
                items.c.plan_id == plan_id,
                items.c.state == ItemState.PENDING,
                among(tx, items.c.subject_id, batch),
            )
            .values(state=ItemState.SKIPPED, reason=reason)
        ).rowcount
    return count


def skip_waiting(tx: Tx, plan_id: str, reason: str) -> int:
    """Leave out every member that still waits, controls too."""
    return tx.conn.execute(
        update(items)
        .where(items.c.plan_id == plan_id, items.c.state == ItemState.PENDING)
        .values(state=ItemState.SKIPPED, reason=reason)
    ).rowcount


def count(reading: Reading, plan_id: str, *, state: ItemState, wave: int | None = None) -> int:
    """Members in a state, of one wave or of all."""
    found = (
        select(func.count())
        .select_from(items)
        .where(items.c.plan_id == plan_id, items.c.state == state, items.c.part != Part.SPARED)
    )
    if wave is not None:
        found = found.where(items.c.wave == wave)
    return reading.conn.execute(found).scalar() or 0


def due_controls(reading: Reading, plan_id: str) -> int:
    """Control members whose time has come."""
    return (
        reading.conn.execute(
            select(func.count())
            .select_from(items)
            .where(
                items.c.plan_id == plan_id,
                items.c.state == ItemState.PENDING,
                items.c.part.in_((Part.HONEYPOT, Part.HOLDOUT)),
                items.c.due_at <= reading.now,
            )
        ).scalar()
        or 0
    )


def open_controls(reading: Reading, plan_id: str) -> dict[str, int]:
    """Control members that are still left alone: name to subject id."""
    rows = reading.conn.execute(
        select(subjects.c.name, subjects.c.id)
        .join(items, subjects.c.id == items.c.subject_id)
        .where(
            items.c.plan_id == plan_id,
            items.c.state == ItemState.PENDING,
            items.c.part.in_((Part.HONEYPOT, Part.HOLDOUT)),
            items.c.due_at > reading.now,
        )
    )
    return {row.name: row.id for row in rows}


def set_due(tx: Tx, plan_id: str, ids: Sequence[int], due_at: datetime) -> None:
    """Bring control members forward, because they consumed their budget."""
    tx.conn.execute(
        update(items)
        .where(items.c.plan_id == plan_id, among(tx, items.c.subject_id, ids))
        .values(due_at=due_at)
    )


def start_controls(tx: Tx, plan_id: str, part: Part, due_at: datetime) -> None:
    """Set the end date of control members, when their plan starts."""
    tx.conn.execute(
        update(items).where(items.c.plan_id == plan_id, items.c.part == part).values(due_at=due_at)
    )


def subjects_of(reading: Reading, plan: Plan, ids: Sequence[int]) -> list[str]:
    """Names by subject id, sorted: for the difference that a stale plan is refused with."""
    rows = reading.conn.execute(
        select(subjects.c.name).where(
            subjects.c.kind == plan.subject_kind, among(reading, subjects.c.id, ids)
        )
    )
    return sorted(rows.scalars())
