"""Plans in the ledger: written whole, read whole, changed by a checked step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import RowMapping, and_, case, exists, func, insert, or_, select, update

from actions.ledger.tables import causes, effects, items, plans
from actions.model import (
    RUNNING,
    WAITING,
    Action,
    ItemState,
    Kind,
    Part,
    Plan,
    PlanState,
)
from actions.refusals import Refusal

if TYPE_CHECKING:
    from actions.ledger.ledger import Reading, Tx

MICROSECOND = timedelta(microseconds=1)
LASTING = tuple(action.value for action in Action if action.kind is Kind.LASTING)
CONTAINING = tuple(action.value for action in Action if action.kind is Kind.CONTAINMENT)


def add(tx: Tx, values: dict[str, Any], causes_: Iterable[str] = ()) -> None:
    """Write a plan with its causes."""
    duration: timedelta | None = values.pop("duration")
    tx.conn.execute(
        insert(plans).values(**values, duration_us=None if duration is None else duration // MICROSECOND)
    )
    plan_id = values["plan_id"]
    cause_rows = [{"plan_id": plan_id, "cause": cause} for cause in sorted(set(causes_))]
    if cause_rows:
        tx.conn.execute(insert(causes), cause_rows)


def remove_draft(tx: Tx, plan_id: str) -> None:
    """Take a draft away, because it is planned now."""
    tx.conn.execute(plans.delete().where(plans.c.plan_id == plan_id, plans.c.state == PlanState.DRAFT))


def get(reading: Reading, plan_id: str) -> Plan:
    """One plan. Raises Refusal when there is none."""
    row = reading.conn.execute(select(plans).where(plans.c.plan_id == plan_id)).mappings().first()
    if row is None:
        raise Refusal("not_found", f"there is no plan {plan_id!r}", "List them: ringfence plans")
    return _plan(row)


def _plan(row: RowMapping) -> Plan:
    values = dict(row)
    micros = values.pop("duration_us")
    values |= {
        "kind": Kind(row["kind"]),
        "action": Action(row["action"]),
        "state": PlanState(row["state"]),
        "sinks": tuple(row["sinks"]),
        "waves": tuple(row["waves"]),
        "duration": None if micros is None else timedelta(microseconds=micros),
    }
    return Plan(**values)


def listed(
    reading: Reading,
    *,
    states: Sequence[PlanState] = (),
    creator: str | None = None,
    before: str | None = None,
    limit: int = 50,
) -> list[Plan]:
    """Plans, the newest first, before the plan `before`; ids rise with time, so that they are the page's key."""
    found = select(plans)
    if states:
        found = found.where(plans.c.state.in_(states))
    if creator is not None:
        found = found.where(plans.c.creator == creator)
    if before is not None:
        found = found.where(plans.c.plan_id < before)
    rows = reading.conn.execute(found.order_by(plans.c.plan_id.desc()).limit(limit)).mappings()
    return [_plan(row) for row in rows]


def count_awaiting(reading: Reading) -> int:
    """How many plans wait for an approval."""
    found = select(func.count()).select_from(plans)
    waiting = (plans.c.state == PlanState.PLANNED) & (plans.c.needs != "nothing")
    return int(reading.conn.execute(found.where(waiting)).scalar_one())


def at_work(reading: Reading) -> list[Plan]:
    """Plans that the worker has to step: executing ones, and any with control members still to be acted on."""
    controls = exists().where(
        items.c.plan_id == plans.c.plan_id,
        items.c.state == ItemState.PENDING,
        items.c.part.in_((Part.HONEYPOT, Part.HOLDOUT)),
    )
    done = (PlanState.COMPLETED, PlanState.COMPLETED_WITH_FAILURES)
    rows = reading.conn.execute(
        select(plans)
        .where(
            or_(
                plans.c.state == PlanState.EXECUTING,
                and_(plans.c.state.in_(done), plans.c.kind == Kind.LASTING, controls),
            )
        )
        .order_by(plans.c.started_at, plans.c.plan_id)
    ).mappings()
    return [_plan(row) for row in rows]


def overdue(reading: Reading) -> list[Plan]:
    """Plans that nobody approved or started in time."""
    rows = reading.conn.execute(
        select(plans).where(plans.c.state.in_(WAITING), plans.c.expires_at <= reading.now)
    ).mappings()
    return [_plan(row) for row in rows]


def change(tx: Tx, plan_id: str, **values: Any) -> None:
    """Set columns of a plan."""
    tx.conn.execute(update(plans).where(plans.c.plan_id == plan_id).values(**values))


def causes_of(reading: Reading, plan_id: str) -> list[str]:
    """Why a plan was made."""
    rows = reading.conn.execute(
        select(causes.c.cause).where(causes.c.plan_id == plan_id).order_by(causes.c.cause)
    )
    return [row.cause for row in rows]


def tally(reading: Reading, plan_id: str) -> dict[str, int]:
    """How many members are in which state; those spared are counted as `spared`, waiting controls as `control`."""
    control = and_(items.c.part.in_((Part.HONEYPOT, Part.HOLDOUT)), items.c.state == ItemState.PENDING)
    label = case((items.c.part == Part.SPARED, "spared"), (control, "control"), else_=items.c.state)
    rows = reading.conn.execute(
        select(label.label("what"), func.count().label("n")).where(items.c.plan_id == plan_id).group_by(label)
    )
    return {row.what: row.n for row in rows}


def hits_between(reading: Reading, since: datetime, until: datetime, actions: Sequence[str]) -> int:
    """Effects of these actions that were decided in a span of time."""
    return (
        reading.conn.execute(
            select(func.count())
            .select_from(effects)
            .where(effects.c.created_at >= since, effects.c.created_at < until, effects.c.action.in_(actions))
        ).scalar()
        or 0
    )


def hits_by_day(reading: Reading, since: datetime, until: datetime, actions: Sequence[str]) -> list[int]:
    """Effects of these actions on each UTC day that had any."""
    days = select(effects.c.created_at).where(
        effects.c.created_at >= since, effects.c.created_at < until, effects.c.action.in_(actions)
    )
    counts: dict[Any, int] = {}
    for moment in reading.conn.execute(days).scalars():
        counts[moment.date()] = counts.get(moment.date(), 0) + 1
    return list(counts.values())


def automatic_hits(reading: Reading, since: datetime) -> int:
    """Containing effects that policies brought about since then."""
    return (
        reading.conn.execute(
            select(func.count())
            .select_from(effects)
            .join(plans, plans.c.plan_id == effects.c.plan_id)
            .where(
                effects.c.created_at >= since,
                effects.c.action.in_(CONTAINING),
                plans.c.creator_kind == "policy",
            )
        ).scalar()
        or 0
    )


def running(reading: Reading, *, kinds: Sequence[Kind] = ()) -> list[Plan]:
    """Plans that are executing or paused."""
    found = select(plans).where(plans.c.state.in_(RUNNING))
    if kinds:
        found = found.where(plans.c.kind.in_(kinds))
    return [_plan(row) for row in reading.conn.execute(found.order_by(plans.c.plan_id)).mappings()]
