"""What people decide about plans and organizations: approvals, appeals, protections, incidents, switches."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import RowMapping, and_, func, insert, or_, select, update

from actions.ledger.tables import (
    appealed,
    appeals,
    approvals,
    claims,
    incidents,
    items,
    plans,
    protections,
    requests,
    subjects,
    switches,
)
from actions.model import ItemState, Kind

if TYPE_CHECKING:
    from actions.ledger.ledger import Reading, Tx


def add_approval(tx: Tx, **values: Any) -> None:
    """Write an approval or a rejection."""
    tx.conn.execute(insert(approvals).values(**values, at=tx.now))


def approvals_of(reading: Reading, plan_id: str) -> Sequence[RowMapping]:
    """What approvers said about a plan, in order."""
    found = select(approvals).where(approvals.c.plan_id == plan_id)
    return reading.conn.execute(found.order_by(approvals.c.at)).mappings().all()


def add_appeal(tx: Tx, plan_ids: Sequence[str], **values: Any) -> None:
    """Open an appeal about the plans that restrict its subject."""
    tx.conn.execute(insert(appeals).values(**values, state="open", opened_at=tx.now, decision=""))
    rows = [{"appeal_id": values["appeal_id"], "plan_id": plan_id} for plan_id in plan_ids]
    tx.conn.execute(insert(appealed), rows)


def appeal(reading: Reading, appeal_id: str) -> RowMapping | None:
    """One appeal with its subject's kind and name."""
    found = _appeals().where(appeals.c.appeal_id == appeal_id)
    return reading.conn.execute(found).mappings().first()


def _appeals() -> Any:
    return select(appeals, subjects.c.kind, subjects.c.name, subjects.c.audit_name).join(
        subjects, subjects.c.id == appeals.c.subject_id
    )


def list_appeals(
    reading: Reading,
    *,
    state: str | None = None,
    subject_id: int | None = None,
    before: str | None = None,
    limit: int = 50,
) -> Sequence[RowMapping]:
    """Appeals, the newest first."""
    found = _appeals()
    if state is not None:
        found = found.where(appeals.c.state == state)
    if subject_id is not None:
        found = found.where(appeals.c.subject_id == subject_id)
    if before is not None:
        found = found.where(appeals.c.appeal_id < before)
    return reading.conn.execute(found.order_by(appeals.c.appeal_id.desc()).limit(limit)).mappings().all()


def count_open_appeals(reading: Reading) -> int:
    """How many appeals nobody has decided yet."""
    found = select(func.count()).select_from(appeals).where(appeals.c.state == "open")
    return int(reading.conn.execute(found).scalar_one())


def change_appeal(tx: Tx, appeal_id: str, **values: Any) -> None:
    """Set columns of an appeal."""
    tx.conn.execute(update(appeals).where(appeals.c.appeal_id == appeal_id).values(**values))


def appealed_plans(reading: Reading, appeal_id: str) -> list[str]:
    """The plans that an appeal is about."""
    rows = reading.conn.execute(
        select(appealed.c.plan_id).where(appealed.c.appeal_id == appeal_id).order_by(appealed.c.plan_id)
    )
    return list(rows.scalars())


def approvers_of(reading: Reading, plan_ids: Sequence[str]) -> set[str]:
    """Everybody who approved one of these plans."""
    rows = reading.conn.execute(
        select(approvals.c.approver).where(
            approvals.c.plan_id.in_(plan_ids), approvals.c.verdict == "approved"
        )
    )
    return set(rows.scalars())


def denied_since(reading: Reading, subject_id: int, plan_ids: Sequence[str], since: datetime) -> bool:
    """Whether an appeal about any of these plans was denied since then."""
    found = (
        select(appeals.c.appeal_id)
        .join(appealed, appealed.c.appeal_id == appeals.c.appeal_id)
        .where(
            appeals.c.subject_id == subject_id,
            appeals.c.state == "denied",
            appeals.c.decided_at >= since,
            appealed.c.plan_id.in_(plan_ids),
        )
    )
    return reading.conn.execute(found.limit(1)).first() is not None


def counting_appeals(reading: Reading, plan_id: str) -> int:
    """Appeals about a plan that may stop it: granted ones, and those of members with independent life."""
    return (
        reading.conn.execute(
            select(func.count())
            .select_from(appeals)
            .join(appealed, appealed.c.appeal_id == appeals.c.appeal_id)
            .where(appealed.c.plan_id == plan_id, _counts())
        ).scalar()
        or 0
    )


def _counts() -> Any:
    return or_(appeals.c.state == "granted", and_(appeals.c.believable, appeals.c.state == "open"))


def usual_appeals(reading: Reading, but: str, since: datetime) -> tuple[int, int]:
    """(counting appeals, members acted on) of other lasting plans since then: the baseline."""
    others = select(plans.c.plan_id).where(
        plans.c.kind == Kind.LASTING, plans.c.started_at >= since, plans.c.plan_id != but
    )
    appealed_ = (
        reading.conn.execute(
            select(func.count())
            .select_from(appealed)
            .join(appeals, appeals.c.appeal_id == appealed.c.appeal_id)
            .where(appealed.c.plan_id.in_(others), _counts())
        ).scalar()
        or 0
    )
    acted = (
        reading.conn.execute(
            select(func.count())
            .select_from(items)
            .where(items.c.plan_id.in_(others), items.c.state == ItemState.APPLIED)
        ).scalar()
        or 0
    )
    return appealed_, acted


def claims_on(reading: Reading, subject_id: int) -> Sequence[RowMapping]:
    """The restrictions in force on a subject, with what their plans say in public."""
    found = (
        select(claims, plans.c.public_reason, plans.c.automatic, plans.c.permanent, plans.c.sinks)
        .join(plans, plans.c.plan_id == claims.c.plan_id)
        .where(claims.c.subject_id == subject_id)
        .order_by(claims.c.since, claims.c.plan_id)
    )
    return reading.conn.execute(found).mappings().all()


def cluster_of(reading: Reading, subject_id: int, plan_ids: Sequence[str]) -> str | None:
    """The cluster for which these plans acted on a subject."""
    found = select(items.c.cluster_id).where(
        items.c.subject_id == subject_id, items.c.plan_id.in_(plan_ids), items.c.cluster_id.is_not(None)
    )
    return reading.conn.execute(found.limit(1)).scalar()


def add_protection(tx: Tx, **values: Any) -> None:
    """Put a subject on the protected list."""
    tx.conn.execute(insert(protections).values(**values, created_at=tx.now))


def end_protections(tx: Tx, subject_id: int, ended_by: str) -> int:
    """Take a subject off the protected list; how many entries ended."""
    return tx.conn.execute(
        update(protections)
        .where(protections.c.subject_id == subject_id, protections.c.ended_at.is_(None))
        .values(ended_at=tx.now, ended_by=ended_by)
    ).rowcount


def list_protections(reading: Reading, *, after: int = 0, limit: int = 100) -> Sequence[RowMapping]:
    """Protections that hold now, with names."""
    found = (
        select(protections, subjects.c.kind, subjects.c.name)
        .join(subjects, subjects.c.id == protections.c.subject_id)
        .where(
            protections.c.id > after,
            protections.c.ended_at.is_(None),
            or_(protections.c.ends_at.is_(None), protections.c.ends_at > reading.now),
        )
    )
    return reading.conn.execute(found.order_by(protections.c.id).limit(limit)).mappings().all()


def add_incident(tx: Tx, **values: Any) -> None:
    """Write a proposed incident."""
    tx.conn.execute(insert(incidents).values(**values, declared_at=tx.now, state="proposed"))


def incident(reading: Reading, incident_id: str) -> RowMapping | None:
    """One incident."""
    found = select(incidents).where(incidents.c.incident_id == incident_id)
    return reading.conn.execute(found).mappings().first()


def list_incidents(reading: Reading, limit: int = 50) -> Sequence[RowMapping]:
    """Incidents, the newest first."""
    found = select(incidents).order_by(incidents.c.incident_id.desc()).limit(limit)
    return reading.conn.execute(found).mappings().all()


def active_incident(reading: Reading) -> RowMapping | None:
    """The incident that two people declared and that is not over."""
    found = select(incidents).where(incidents.c.state == "active", incidents.c.ends_at > reading.now)
    return reading.conn.execute(found.limit(1)).mappings().first()


def change_incident(tx: Tx, incident_id: str, **values: Any) -> None:
    """Set columns of an incident."""
    tx.conn.execute(update(incidents).where(incidents.c.incident_id == incident_id).values(**values))


def set_switch(tx: Tx, name: str, *, engaged: bool, changed_by: str, reason: str) -> None:
    """Turn a kill switch on or off."""
    values = {"engaged": engaged, "changed_by": changed_by, "reason": reason, "changed_at": tx.now}
    if not tx.conn.execute(update(switches).where(switches.c.name == name).values(**values)).rowcount:
        tx.conn.execute(insert(switches).values(name=name, **values))


def switches_engaged(reading: Reading) -> dict[str, str]:
    """Kill switches that are on, with their reasons."""
    rows = reading.conn.execute(select(switches.c.name, switches.c.reason).where(switches.c.engaged))
    return {row.name: row.reason for row in rows}


def ask(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Ask something of the facts: see `actions.wishes`."""
    tx.conn.execute(insert(requests), [{"created_at": tx.now, **row} for row in rows])


def asked(reading: Reading, limit: int = 100) -> Sequence[RowMapping]:
    """Requests that nobody fulfilled yet, oldest first, with names."""
    found = (
        select(requests, subjects.c.kind.label("subject_kind"), subjects.c.name)
        .join(subjects, subjects.c.id == requests.c.subject_id)
        .where(requests.c.done_at.is_(None))
        .order_by(requests.c.seq)
        .limit(limit)
    )
    return reading.conn.execute(found).mappings().all()


def fulfil(tx: Tx, seqs: Sequence[int]) -> None:
    """These requests are done."""
    tx.conn.execute(update(requests).where(requests.c.seq.in_(seqs)).values(done_at=tx.now))
