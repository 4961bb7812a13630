"""Effects on their way to sinks: claimed under a fencing epoch, settled once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import RowMapping, and_, case, exists, func, insert, or_, select, update

from actions.ledger import subjects as names
from actions.ledger.among import among
from actions.ledger.tables import deliveries, effects, items, leases, plans, subjects
from actions.model import UNSETTLED, Delivered, Effect, ItemState, restrictions
from actions.refusals import Refusal

if TYPE_CHECKING:
    from actions.ledger.ledger import Reading, Tx


@dataclass(frozen=True)
class Lease:
    """The right to work under a name, until somebody else takes it: then its epoch is over."""

    name: str
    epoch: int
    holder: str


@dataclass(frozen=True)
class Settlement:
    """What became of one delivery."""

    seq: int
    state: Delivered
    error: str = ""
    next_at: datetime | None = None


def take_lease(tx: Tx, name: str, holder: str) -> Lease:
    """Begin a new epoch: whoever worked under the name before can settle nothing any more."""
    row = tx.conn.execute(select(leases.c.epoch).where(leases.c.name == name)).first()
    epoch = 1 if row is None else row.epoch + 1
    if row is None:
        tx.conn.execute(insert(leases).values(name=name, epoch=epoch, holder=holder, beats=0))
    else:
        tx.conn.execute(
            update(leases)
            .where(leases.c.name == name)
            .values(epoch=epoch, holder=holder, beats=leases.c.beats + 1)
        )
    return Lease(name, epoch, holder)


def hold(tx: Tx, lease: Lease) -> None:
    """Check that the lease's epoch is not over, and show that its holder is alive. Raises Refusal."""
    beaten = tx.conn.execute(
        update(leases)
        .where(leases.c.name == lease.name, leases.c.epoch == lease.epoch)
        .values(beats=leases.c.beats + 1)
    ).rowcount
    if beaten != 1:
        raise Refusal("lease_lost", f"another worker took over {lease.name}", "This one stands by.")


def check(reading: Reading, lease: Lease) -> None:
    """Check that the lease's epoch is not over, without writing. Raises Refusal."""
    if beats(reading, lease.name)[0] != lease.epoch:
        raise Refusal("lease_lost", f"another worker took over {lease.name}", "This one stands by.")


def beats(reading: Reading, name: str) -> tuple[int, int]:
    """Epoch and heartbeats under a name; (0, 0) when nobody ever worked under it."""
    row = reading.conn.execute(select(leases.c.epoch, leases.c.beats).where(leases.c.name == name)).first()
    return (0, 0) if row is None else (row.epoch, row.beats)


def recover(tx: Tx, sink: str, state: Delivered) -> int:
    """What an earlier epoch was sending goes back to `pending`, or is `unknown` where sending twice would hurt."""
    lost = (deliveries.c.sink == sink, deliveries.c.state == Delivered.SENDING)
    seqs = tx.conn.execute(select(deliveries.c.effect_seq).where(*lost)).scalars().all()
    if not seqs:
        return 0
    settled = tx.now if state not in UNSETTLED else None
    tx.conn.execute(
        update(deliveries)
        .where(*lost)
        .values(state=state, settled_at=settled, next_at=tx.now, error="the worker died while sending")
    )
    if settled is not None:
        settle_items(tx, seqs)
    return len(seqs)


def any_due(reading: Reading, sink: str) -> bool:
    """Whether anything could be sent to a sink now: asked before the ledger is locked for it."""
    found = select(deliveries.c.effect_seq).where(
        deliveries.c.sink == sink,
        deliveries.c.state == Delivered.PENDING,
        deliveries.c.next_at <= reading.now,
    )
    return reading.conn.execute(found.limit(1)).first() is not None


def due(reading: Reading, sink: str, limit: int) -> Sequence[RowMapping]:
    """The next effects for a sink, in order, each with `old`: whether a newer one for the same subject exists.

    Reaches beyond what waits for its next attempt, so that one subject's failures hold up nobody else.
    """
    newer_effects = effects.alias()
    newer_deliveries = deliveries.alias()
    old = exists().where(
        newer_effects.c.subject_id == effects.c.subject_id,
        newer_effects.c.generation > effects.c.generation,
        newer_deliveries.c.effect_seq == newer_effects.c.seq,
        newer_deliveries.c.sink == sink,
    )
    return (
        reading.conn.execute(
            select(
                effects,
                subjects.c.kind,
                subjects.c.name,
                plans.c.params,
                deliveries.c.attempts,
                old.label("old"),
            )
            .join(deliveries, deliveries.c.effect_seq == effects.c.seq)
            .join(subjects, subjects.c.id == effects.c.subject_id)
            .join(plans, plans.c.plan_id == effects.c.plan_id)
            .where(
                deliveries.c.sink == sink,
                deliveries.c.state == Delivered.PENDING,
                deliveries.c.next_at <= reading.now,
            )
            .order_by(deliveries.c.effect_seq)
            .limit(limit)
        )
        .mappings()
        .all()
    )


def effect(row: RowMapping) -> Effect:
    """An effect from a row with `kind`, `name` and `params` beside its own columns."""
    return Effect(
        seq=row["seq"],
        effect_id=row["effect_id"],
        plan_id=row["plan_id"],
        subject_kind=row["kind"],
        org_id=row["name"],
        generation=row["generation"],
        action=row["action"],
        desired_state=restrictions(row["mask"]),
        expires_at=row["expires_at"],
        public_reason=row["public_reason"],
        key_ids=tuple(row["key_ids"] or ()),
        created_at=row["created_at"],
        params=row["params"] if row["action"] != "restore" else {},
    )


def begin_sending(tx: Tx, sink: str, seqs: Sequence[int], epoch: int) -> None:
    """The deliveries are being sent under this epoch."""
    for batch in names.batches(seqs):
        tx.conn.execute(
            update(deliveries)
            .where(deliveries.c.sink == sink, among(tx, deliveries.c.effect_seq, batch))
            .values(state=Delivered.SENDING, epoch=epoch, attempts=deliveries.c.attempts + 1)
        )


def supersede(tx: Tx, sink: str, seqs: Sequence[int]) -> None:
    """These will never be sent: a newer effect for the same subject is on its way."""
    for batch in names.batches(seqs):
        tx.conn.execute(
            update(deliveries)
            .where(deliveries.c.sink == sink, among(tx, deliveries.c.effect_seq, batch))
            .values(state=Delivered.SUPERSEDED, settled_at=tx.now)
        )
    settle_items(tx, seqs)


def settle(tx: Tx, sink: str, epoch: int, settled: Sequence[Settlement]) -> None:
    """Write what became of deliveries that this epoch was sending, and of the members behind them."""
    groups: dict[tuple[Delivered, str, datetime | None], list[int]] = {}
    for each in settled:
        groups.setdefault((each.state, each.error, each.next_at), []).append(each.seq)
    for (state, error, next_at), seqs in groups.items():
        values: dict[str, Any] = {"state": state, "error": error}
        if state not in UNSETTLED:
            values["settled_at"] = tx.now
        if next_at is not None:
            values["next_at"] = next_at
        for batch in names.batches(seqs):
            tx.conn.execute(
                update(deliveries)
                .where(
                    deliveries.c.sink == sink,
                    among(tx, deliveries.c.effect_seq, batch),
                    deliveries.c.state == Delivered.SENDING,
                    deliveries.c.epoch == epoch,
                )
                .values(values)
            )
    settle_items(tx, [each.seq for each in settled if each.state not in UNSETTLED])


def settle_items(tx: Tx, seqs: Sequence[int]) -> None:
    """Give members their end state once every sink has settled: the worst of them."""
    worst = func.max(_rank(deliveries.c.state))
    for batch in names.batches(seqs):
        settled = (
            select(effects.c.effect_id, worst.label("worst"))
            .join(deliveries, deliveries.c.effect_seq == effects.c.seq)
            .where(among(tx, effects.c.seq, batch))
            .group_by(effects.c.effect_id)
            .having(worst < OPEN_RANK)
            .subquery()
        )
        state = case(*((settled.c.worst == rank, ends) for rank, ends in _ENDS.items()))
        reason = case((settled.c.worst == 0, "superseded"), else_="")
        tx.conn.execute(
            update(items)
            .where(items.c.effect_id == settled.c.effect_id, items.c.state != ItemState.SKIPPED)
            .values(state=state, reason=reason)
        )


OPEN_RANK = 9
_ENDS = {0: ItemState.SKIPPED, 1: ItemState.APPLIED, 2: ItemState.UNKNOWN, 3: ItemState.FAILED}
_RANKS = {Delivered.SUPERSEDED: 0, Delivered.APPLIED: 1, Delivered.UNKNOWN: 2, Delivered.FAILED: 3}
"""How bad it is for a member when one of its deliveries ends so."""


def _rank(state: Any) -> Any:
    return case(*((state == each, rank) for each, rank in _RANKS.items()), else_=OPEN_RANK)


def failing(reading: Reading, plan_id: str, attempts: int) -> tuple[int, int]:
    """Deliveries of a plan: (failed, unknown or failing from that attempt on; all that were tried)."""
    bad = or_(
        deliveries.c.state.in_((Delivered.FAILED, Delivered.UNKNOWN)),
        and_(deliveries.c.state == Delivered.PENDING, deliveries.c.attempts >= attempts),
    )
    row = reading.conn.execute(
        select(func.sum(case((bad, 1), else_=0)), func.count())
        .select_from(effects)
        .join(deliveries, deliveries.c.effect_seq == effects.c.seq)
        .where(effects.c.plan_id == plan_id, deliveries.c.attempts > 0)
    ).one()
    return (int(row[0] or 0), int(row[1] or 0))


def feed(reading: Reading, sink: str, after: int, limit: int) -> list[Effect]:
    """Effects for a sink after a cursor, in the order in which they were decided."""
    rows = (
        reading.conn.execute(
            select(effects, subjects.c.kind, subjects.c.name, plans.c.params)
            .join(deliveries, deliveries.c.effect_seq == effects.c.seq)
            .join(subjects, subjects.c.id == effects.c.subject_id)
            .join(plans, plans.c.plan_id == effects.c.plan_id)
            .where(effects.c.seq > after, deliveries.c.sink == sink)
            .order_by(effects.c.seq)
            .limit(limit)
        )
        .mappings()
        .all()
    )
    return [effect(row) for row in rows]


def of_plan(reading: Reading, plan_id: str, after: int, limit: int) -> list[Effect]:
    """Effects of a plan after a cursor."""
    rows = (
        reading.conn.execute(
            select(effects, subjects.c.kind, subjects.c.name, plans.c.params)
            .join(subjects, subjects.c.id == effects.c.subject_id)
            .join(plans, plans.c.plan_id == effects.c.plan_id)
            .where(effects.c.seq > after, effects.c.plan_id == plan_id)
            .order_by(effects.c.seq)
            .limit(limit)
        )
        .mappings()
        .all()
    )
    return [effect(row) for row in rows]


def statuses(reading: Reading, seqs: Sequence[int]) -> dict[int, dict[str, str]]:
    """Where effects are on their way, by sink."""
    found: dict[int, dict[str, str]] = {}
    for batch in names.batches(seqs):
        rows = reading.conn.execute(
            select(deliveries.c.effect_seq, deliveries.c.sink, deliveries.c.state).where(
                among(reading, deliveries.c.effect_seq, batch)
            )
        )
        for row in rows:
            found.setdefault(row.effect_seq, {})[row.sink] = row.state
    return found


def cursor(reading: Reading) -> int:
    """The number of the last effect."""
    return reading.conn.execute(select(func.max(effects.c.seq))).scalar() or 0


def acknowledge(tx: Tx, sink: str, effect_ids: Sequence[str]) -> int:
    """A reader of the feed has brought these about; how many had not been acknowledged before."""
    fresh: list[int] = []
    for batch in names.batches(effect_ids):
        rows = tx.conn.execute(
            select(effects.c.seq)
            .join(deliveries, deliveries.c.effect_seq == effects.c.seq)
            .where(
                among(tx, effects.c.effect_id, batch),
                deliveries.c.sink == sink,
                deliveries.c.acknowledged_at.is_(None),
            )
        )
        fresh.extend(rows.scalars())
    return _acknowledged(tx, sink, fresh)


def acknowledge_through(tx: Tx, sink: str, seq: int) -> int:
    """The same for every effect up to a cursor: what a reader holds who started from the whole state."""
    found = select(deliveries.c.effect_seq).where(
        deliveries.c.sink == sink, deliveries.c.effect_seq <= seq, deliveries.c.acknowledged_at.is_(None)
    )
    return _acknowledged(tx, sink, tx.conn.execute(found).scalars().all())


def _acknowledged(tx: Tx, sink: str, fresh: Sequence[int]) -> int:
    for seqs in names.batches(fresh):
        at = (deliveries.c.sink == sink, among(tx, deliveries.c.effect_seq, seqs))
        tx.conn.execute(update(deliveries).where(*at).values(acknowledged_at=tx.now))
        tx.conn.execute(
            update(deliveries)
            .where(*at, deliveries.c.state.in_((Delivered.WAITING, Delivered.PENDING, Delivered.SENDING)))
            .values(state=Delivered.APPLIED, settled_at=tx.now)
        )
    settle_items(tx, fresh)
    return len(fresh)


def try_again(tx: Tx, plan_id: str, sink: str | None) -> int:
    """Failed and unknown deliveries of a plan start over; how many."""
    mine = select(effects.c.seq).where(effects.c.plan_id == plan_id)
    where = [
        deliveries.c.effect_seq.in_(mine),
        deliveries.c.state.in_((Delivered.FAILED, Delivered.UNKNOWN)),
        *([deliveries.c.sink == sink] if sink is not None else []),
    ]
    seqs = tx.conn.execute(select(deliveries.c.effect_seq).where(*where)).scalars().all()
    tx.conn.execute(
        update(deliveries)
        .where(*where)
        .values(state=Delivered.PENDING, attempts=0, next_at=tx.now, settled_at=None)
    )
    for batch in names.batches(seqs):
        ids = select(effects.c.effect_id).where(among(tx, effects.c.seq, batch))
        tx.conn.execute(
            update(items).where(items.c.effect_id.in_(ids)).values(state=ItemState.SENDING, reason="")
        )
    return len(seqs)


def settle_by_hand(tx: Tx, effect_id: str, sink: str, state: Delivered, note: str) -> bool:
    """A person, or a read-back, says what became of a doubtful delivery; False if there is none such."""
    seq = tx.conn.execute(select(effects.c.seq).where(effects.c.effect_id == effect_id)).scalar()
    changed = tx.conn.execute(
        update(deliveries)
        .where(
            deliveries.c.effect_seq == seq,
            deliveries.c.sink == sink,
            deliveries.c.state.in_((Delivered.UNKNOWN, Delivered.FAILED)),
        )
        .values(state=state, settled_at=tx.now, error=note)
    ).rowcount
    if changed and seq is not None:
        settle_items(tx, [seq])
    return bool(changed)


def backlog(reading: Reading) -> dict[str, dict[str, int]]:
    """Unsettled and failed deliveries, by sink and state: figures for metrics."""
    rows = reading.conn.execute(
        select(deliveries.c.sink, deliveries.c.state, func.count().label("n"))
        .where(deliveries.c.state.not_in((Delivered.APPLIED, Delivered.SUPERSEDED)))
        .group_by(deliveries.c.sink, deliveries.c.state)
    )
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row.sink, {})[row.state] = row.n
    return found
