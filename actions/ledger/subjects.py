"""The one table that knows names: organizations, entities, people."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    Insert,
    RowMapping,
    Select,
    Table,
    and_,
    exists,
    func,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from actions.ledger.among import among
from actions.ledger.tables import appeals, claims, items, plans, protections, subjects
from actions.model import ENTITY_TYPES, OPEN, WAITING, Action, ItemState, Kind, Part

if TYPE_CHECKING:
    from actions.ledger.ledger import Reading, Tx

BATCH = 5_000


@dataclass(frozen=True)
class Known:
    """What the ledger knows of one subject, as far as a plan has to ask."""

    subject_id: int
    generation: int
    mask: int
    protected: str | None
    appealed: bool
    open_plan: str | None
    claimed_by: str | None
    """A plan that holds the very restriction that is asked about."""


def insert_new(tx: Tx, table: Table) -> Insert:
    """An INSERT that leaves rows alone that are there already."""
    if tx.conn.dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


def ensure(tx: Tx, kind: str, names: Sequence[str]) -> dict[str, int]:
    """Ids by name; names that are new are added, each with a salted audit name."""
    found = ids_of(tx, kind, names)
    missing = [name for name in names if name not in found]
    if missing:
        tx.conn.execute(insert_new(tx, subjects), [_row(kind, name) for name in missing])
        found |= ids_of(tx, kind, missing)
    return found


def _row(kind: str, name: str) -> dict[str, Any]:
    salt = secrets.token_bytes(16)
    digest = hmac.digest(salt, f"{kind}\0{name}".encode(), "sha256").hex()
    return {"kind": kind, "name": name, "audit_name": f"s_{digest[:32]}", "salt": salt}


def ids_of(reading: Reading, kind: str, names: Sequence[str]) -> dict[str, int]:
    """Ids of the names that are known."""
    found: dict[str, int] = {}
    for batch in batches(names):
        rows = reading.conn.execute(
            select(subjects.c.name, subjects.c.id).where(
                subjects.c.kind == kind, among(reading, subjects.c.name, batch)
            )
        )
        found.update((row.name, row.id) for row in rows)
    return found


def audit_names_of(tx: Tx, kind: str, names: Sequence[str]) -> dict[str, str]:
    """Audit names by name; names that are new are added."""
    ids = ensure(tx, kind, names)
    by_id = audit_names(tx, list(ids.values()))
    return {name: by_id[each] for name, each in ids.items()}


def audit_names(reading: Reading, ids: Sequence[int]) -> dict[int, str]:
    """Audit names by id."""
    found: dict[int, str] = {}
    for batch in batches(ids):
        rows = reading.conn.execute(
            select(subjects.c.id, subjects.c.audit_name).where(among(reading, subjects.c.id, batch))
        )
        found.update((row.id, row.audit_name) for row in rows)
    return found


def names_behind(reading: Reading, audit_names_: Sequence[str]) -> dict[str, str]:
    """Who is behind audit names, for an auditor: the mapping that an erasure takes away."""
    rows = reading.conn.execute(
        select(subjects.c.audit_name, subjects.c.name).where(
            subjects.c.audit_name.in_(audit_names_), subjects.c.erased_at.is_(None)
        )
    )
    return {row.audit_name: row.name for row in rows}


def batches(values: Sequence[Any], size: int = BATCH) -> Iterable[Sequence[Any]]:
    """Pieces that fit into one statement."""
    return (values[start : start + size] for start in range(0, len(values), size))


def known(reading: Reading, kind: str, names: Sequence[str], action: Action) -> dict[str, Known]:
    """What the ledger knows of these names: state, protection, appeal, open plan, claims of `action`."""
    found: dict[str, Known] = {}
    for batch in batches(names):
        rows = reading.conn.execute(_known(reading, kind, batch, action))
        found.update((row.name, Known(*row[1:])) for row in rows)
    return found


def _known(reading: Reading, kind: str, names: Sequence[str], action: Action) -> Select[Any]:
    holds = (
        select(func.min(claims.c.plan_id))
        .where(
            claims.c.subject_id == subjects.c.id,
            claims.c.action == action.value,
            or_(claims.c.expires_at.is_(None), claims.c.expires_at > reading.now),
        )
        .scalar_subquery()
    )
    gives_way = and_(plans.c.kind == Kind.LASTING, plans.c.state.in_(WAITING))
    opened = (
        select(func.min(items.c.plan_id))
        .join(plans, plans.c.plan_id == items.c.plan_id)
        .where(
            items.c.subject_id == subjects.c.id,
            items.c.part != Part.SPARED,
            items.c.state.in_((ItemState.PENDING, ItemState.SENDING)),
            plans.c.state.in_(OPEN),
            plans.c.kind != Kind.RESTORE,
            ~gives_way if action.kind is Kind.CONTAINMENT else true(),
        )
        .scalar_subquery()
    )
    return select(
        subjects.c.name,
        subjects.c.id,
        subjects.c.generation,
        subjects.c.mask,
        protection(reading),
        appeal_open(),
        opened,
        holds,
    ).where(subjects.c.kind == kind, among(reading, subjects.c.name, names))


def protection(reading: Reading) -> Any:
    """Why the subject of the row is on the protected list, or null."""
    return (
        select(func.min(protections.c.reason))
        .where(
            protections.c.subject_id == subjects.c.id,
            protections.c.ended_at.is_(None),
            or_(protections.c.ends_at.is_(None), protections.c.ends_at > reading.now),
        )
        .scalar_subquery()
    )


def appeal_open() -> Any:
    """Whether the subject of the row has an appeal that nobody decided yet."""
    return exists().where(appeals.c.subject_id == subjects.c.id, appeals.c.state == "open")


def recompute(tx: Tx, which: ColumnElement[bool], *, raise_generation: bool) -> None:
    """Bring the masks of subjects in line with the claims on them."""
    mask = (
        select(
            func.coalesce(func.sum(claims.c.bit.distinct()), 0)
        )  # distinct powers of two: their sum is their union
        .where(claims.c.subject_id == subjects.c.id)
        .scalar_subquery()
    )
    values: dict[str, Any] = {"mask": mask}
    if raise_generation:
        values["generation"] = subjects.c.generation + 1
    tx.conn.execute(update(subjects).where(which).values(values))


def restricted(reading: Reading, *, after: int = 0, limit: int = 1_000) -> list[RowMapping]:
    """Subjects with any restriction in force, by id: what a bouncer that starts has to know."""
    rows = reading.conn.execute(
        select(subjects.c.id, subjects.c.kind, subjects.c.name, subjects.c.generation, subjects.c.mask)
        .where(subjects.c.id > after, subjects.c.mask != 0)
        .order_by(subjects.c.id)
        .limit(limit)
    ).mappings()
    return list(rows)


def restricted_entities(reading: Reading) -> Sequence[RowMapping]:
    """Entities, not organizations, with any restriction in force."""
    found = select(subjects.c.kind, subjects.c.name, subjects.c.mask).where(
        subjects.c.kind.in_(ENTITY_TYPES), subjects.c.mask != 0
    )
    return reading.conn.execute(found).mappings().all()


def in_force(reading: Reading, kind: str, name: str) -> RowMapping | None:
    """One subject's mask, and why it is protected (null: it is not)."""
    found = select(subjects.c.mask, protection(reading).label("protected")).where(
        subjects.c.kind == kind, subjects.c.name == name
    )
    return reading.conn.execute(found).mappings().first()


def erase(tx: Tx, kind: str, name: str) -> str | None:
    """Forget a name: what is left is its audit name, which no longer leads back. None if it is unknown."""
    row = tx.conn.execute(
        select(subjects.c.id, subjects.c.audit_name).where(subjects.c.kind == kind, subjects.c.name == name)
    ).first()
    if row is None:
        return None
    tx.conn.execute(
        update(subjects)
        .where(subjects.c.id == row.id)
        .values(name=f"erased:{row.audit_name}", salt=None, erased_at=tx.now)
    )
    return str(row.audit_name)
