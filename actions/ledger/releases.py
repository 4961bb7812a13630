"""Deciding effects for many members at once: claims, generations, effects and deliveries in a few statements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    RowMapping,
    Text,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    update,
)

from actions.ledger import subjects as names
from actions.ledger.among import among
from actions.ledger.tables import Moment, claims, deliveries, effects, items, plans, subjects, undone
from actions.model import Delivered, ItemState, Part, Plan

if TYPE_CHECKING:
    from actions.ledger.ledger import Reading, Tx

CONTROL_WAVE = 0
"""Honeypots and holdouts belong to no wave: they become due."""
SMALL = 1_000
"""Claims that are looked up in one statement."""
AUDITED = 1_000
"""Members named in one entry of the audit."""


@dataclass(frozen=True)
class Chunk:
    """Members that one transaction releases: of one plan and wave, with a draw from `lower` to `upper`."""

    plan: Plan
    wave: int
    lower: int
    upper: int

    def where(self, state: ItemState = ItemState.SENDING) -> ColumnElement[bool]:
        """The items of the chunk that have no generation yet."""
        return and_(
            items.c.plan_id == self.plan.plan_id,
            items.c.state == state,
            items.c.wave == self.wave,
            items.c.draw >= self.lower,
            items.c.draw <= self.upper,
            items.c.generation.is_(None),
            items.c.part != Part.SPARED,
        )

    @property
    def ids(self) -> Any:
        """Subquery: the subjects that are being released."""
        return select(items.c.subject_id).where(self.where())


@dataclass(frozen=True)
class Waiting:
    """A member that is about to be released, as the ledger sees it now."""

    subject_id: int
    draw: int
    prior_generation: int
    generation: int
    mask: int
    protected: str | None
    appealed: bool
    held: bool
    """Whether a plan that is undone still restricts it."""
    kind: str
    name: str


def next_waiting(reading: Reading, plan: Plan, wave: int, limit: int) -> list[Waiting]:
    """The next members of a wave in their random order; of controls those that are due."""
    due = items.c.due_at <= reading.now if wave == CONTROL_WAVE else items.c.part == Part.ACT
    held = exists().where(
        undone.c.plan_id == items.c.plan_id,
        undone.c.subject_id == items.c.subject_id,
        claims.c.subject_id == undone.c.subject_id,
        claims.c.plan_id == undone.c.target,
    )
    rows = reading.conn.execute(
        select(
            items.c.subject_id,
            items.c.draw,
            items.c.prior_generation,
            subjects.c.generation,
            subjects.c.mask,
            names.protection(reading),
            names.appeal_open(),
            held,
            subjects.c.kind,
            subjects.c.name,
        )
        .join(subjects, subjects.c.id == items.c.subject_id)
        .where(
            items.c.plan_id == plan.plan_id,
            items.c.state == ItemState.PENDING,
            items.c.wave == wave,
            items.c.part != Part.SPARED,
            due,
        )
        .order_by(items.c.draw)
        .limit(limit)
    )
    return [Waiting(*row) for row in rows]


def take(tx: Tx, chunk: Chunk) -> None:
    """The chunk's members are on their way from here on; what was in force before is remembered."""
    before = select(subjects.c.mask).where(subjects.c.id == items.c.subject_id).scalar_subquery()
    due = [items.c.due_at <= tx.now] if chunk.wave == CONTROL_WAVE else []
    tx.conn.execute(
        update(items)
        .where(chunk.where(ItemState.PENDING), *due)
        .values(state=ItemState.SENDING, before_mask=before)
    )


def restrict(tx: Tx, chunk: Chunk) -> None:
    """Claim the plan's restriction for the chunk."""
    plan = chunk.plan
    expires = None if plan.duration is None else tx.now + plan.duration
    columns = select(
        items.c.subject_id,
        literal(plan.action.value, Text),
        literal(plan.plan_id, Text),
        literal(plan.action.bit, BigInteger),
        literal(tx.now, Moment),
        literal(expires, Moment) if expires is not None else null(),
    ).where(chunk.where())
    tx.conn.execute(
        insert(claims).from_select(["subject_id", "action", "plan_id", "bit", "since", "expires_at"], columns)
    )
    names.recompute(tx, subjects.c.id.in_(chunk.ids), raise_generation=True)


def restore(tx: Tx, chunk: Chunk, ids: Sequence[int]) -> None:
    """End the claims on the chunk (`ids`) that the plan undoes; whom another plan restricts as before is skipped."""
    mine = (  # a count, which PostgreSQL looks up for each claim: an EXISTS it joins, and badly on fresh tables
        select(func.count())
        .where(
            undone.c.plan_id == chunk.plan.plan_id,
            undone.c.subject_id == claims.c.subject_id,
            undone.c.target == claims.c.plan_id,
        )
        .correlate(claims)
        .scalar_subquery()
    )
    for batch in names.batches(ids, SMALL):
        tx.conn.execute(delete(claims).where(among(tx, claims.c.subject_id, batch), mine > 0))
    names.recompute(tx, subjects.c.id.in_(chunk.ids), raise_generation=False)
    same = select(subjects.c.id).where(
        subjects.c.id == items.c.subject_id, subjects.c.mask == items.c.before_mask
    )
    tx.conn.execute(
        update(items)
        .where(chunk.where(), same.exists())
        .values(state=ItemState.SKIPPED, reason="still restricted by another plan")
    )
    tx.conn.execute(
        update(subjects).where(subjects.c.id.in_(chunk.ids)).values(generation=subjects.c.generation + 1)
    )


def decide(tx: Tx, chunk: Chunk) -> None:
    """Write the chunk's effects and a delivery for each sink."""
    plan = chunk.plan
    ends = _ends(plan)
    made = (
        select(
            items.c.effect_id,
            items.c.plan_id,
            items.c.subject_id,
            subjects.c.generation,
            literal(plan.action.value, Text),
            subjects.c.mask,
            ends,
            literal(plan.public_reason, Text),
            items.c.key_ids,
            literal(tx.now, Moment),
        )
        .join(subjects, subjects.c.id == items.c.subject_id)
        .where(chunk.where())
        .order_by(items.c.draw)
    )
    tx.conn.execute(
        insert(effects).from_select(
            [
                "effect_id",
                "plan_id",
                "subject_id",
                "generation",
                "action",
                "mask",
                "expires_at",
                "public_reason",
                "key_ids",
                "created_at",
            ],
            made,
        )
    )
    for sink in plan.sinks:
        _deliver_to(tx, chunk, sink)


def _ends(plan: Plan) -> Any:
    """When the restriction ends: the latest of all claims on it, never while one is permanent."""
    if not plan.action.bit:
        return null()
    return (
        select(
            case((func.count() == func.count(claims.c.expires_at), func.max(claims.c.expires_at)), else_=None)
        )
        .where(claims.c.subject_id == items.c.subject_id, claims.c.action == plan.action.value)
        .scalar_subquery()
    )


def _deliver_to(tx: Tx, chunk: Chunk, sink: str) -> None:
    rows = (
        select(
            effects.c.seq,
            literal(sink, Text),
            literal(Delivered.PENDING.value, Text),
            literal(0, BigInteger),
            literal(tx.now, Moment),
            literal("", Text),
        )
        .join(items, items.c.effect_id == effects.c.effect_id)
        .where(chunk.where())
    )
    tx.conn.execute(
        insert(deliveries).from_select(["effect_seq", "sink", "state", "attempts", "next_at", "error"], rows)
    )


def changes(reading: Reading, chunk: Chunk) -> Iterator[list[list[Any]]]:
    """What the audit says of the chunk, in entries: [audit name, mask before, mask after, generation]."""
    rows = reading.conn.execute(
        select(subjects.c.audit_name, items.c.before_mask, subjects.c.mask, subjects.c.generation)
        .join(subjects, subjects.c.id == items.c.subject_id)
        .where(chunk.where())
        .order_by(items.c.draw)
    ).all()
    listed = [list(row) for row in rows]
    return (listed[start : start + AUDITED] for start in range(0, len(listed), AUDITED))


def finish(tx: Tx, chunk: Chunk) -> int:
    """Write the generations that the chunk's members were given; how many there are."""
    given = select(subjects.c.generation).where(subjects.c.id == items.c.subject_id).scalar_subquery()
    return tx.conn.execute(update(items).where(chunk.where()).values(generation=given)).rowcount


def expired(reading: Reading, limit: int) -> Sequence[RowMapping]:
    """Claims whose time is over, with what is needed to end them."""
    return (
        reading.conn.execute(
            select(
                claims,
                subjects.c.name,
                subjects.c.audit_name,
                subjects.c.mask,
                subjects.c.generation,
                plans.c.sinks,
            )
            .join(subjects, subjects.c.id == claims.c.subject_id)
            .join(plans, plans.c.plan_id == claims.c.plan_id)
            .where(claims.c.expires_at <= reading.now)
            .order_by(claims.c.expires_at, claims.c.subject_id)
            .limit(limit)
        )
        .mappings()
        .all()
    )


def any_expired(reading: Reading) -> bool:
    """Whether a claim's time is over: asked before the ledger is locked for it."""
    found = select(claims.c.plan_id).where(claims.c.expires_at <= reading.now).limit(1)
    return reading.conn.execute(found).first() is not None


def end_claims(tx: Tx, rows: Sequence[RowMapping]) -> dict[int, int]:
    """Remove these claims; the masks of their subjects afterwards."""
    for row_batch in names.batches(rows, 300):
        same = [
            and_(
                claims.c.subject_id == row["subject_id"],
                claims.c.action == row["action"],
                claims.c.plan_id == row["plan_id"],
            )
            for row in row_batch
        ]
        tx.conn.execute(delete(claims).where(or_(*same)))
    ids = sorted({row["subject_id"] for row in rows})
    names.recompute(tx, among(tx, subjects.c.id, ids), raise_generation=False)
    after = tx.conn.execute(select(subjects.c.id, subjects.c.mask).where(among(tx, subjects.c.id, ids)))
    return {row.id: row.mask for row in after}


def add_effects(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Write effects that belong to no member of a plan, each with `sinks`; the subjects' generations rise."""
    if not rows:
        return
    ids = [row["subject_id"] for row in rows]
    tx.conn.execute(
        update(subjects).where(among(tx, subjects.c.id, ids)).values(generation=subjects.c.generation + 1)
    )
    tx.conn.execute(insert(effects), [{k: v for k, v in row.items() if k != "sinks"} for row in rows])
    by_id = {row["effect_id"]: row for row in rows}
    written = tx.conn.execute(
        select(effects.c.seq, effects.c.effect_id).where(effects.c.effect_id.in_(list(by_id)))
    ).all()
    pairs = [
        {
            "effect_seq": row.seq,
            "sink": sink,
            "state": Delivered.PENDING,
            "attempts": 0,
            "next_at": tx.now,
            "error": "",
        }
        for row in written
        for sink in by_id[row.effect_id]["sinks"]
    ]
    if pairs:
        tx.conn.execute(insert(deliveries), pairs)
