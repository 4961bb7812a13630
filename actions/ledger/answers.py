"""Answers kept under idempotency keys."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import RowMapping, and_, delete, insert, or_, select, update

from actions.ledger.tables import idempotency

if TYPE_CHECKING:
    from actions.ledger.ledger import Reading, Tx

Key = tuple[str, str, str]
"""(principal, route, idempotency key)."""


def _at(key: Key) -> Any:
    principal, route, name = key
    return and_(
        idempotency.c.principal == principal,
        idempotency.c.route == route,
        idempotency.c.idempotency_key == name,
    )


def get(reading: Reading, key: Key) -> RowMapping | None:
    """What is kept under a key."""
    return reading.conn.execute(select(idempotency).where(_at(key))).mappings().first()


def begin(tx: Tx, key: Key, body_sha256: str) -> None:
    """Note that a request runs; one that died before is replaced."""
    tx.conn.execute(delete(idempotency).where(_at(key)))
    principal, route, name = key
    tx.conn.execute(
        insert(idempotency).values(
            principal=principal,
            route=route,
            idempotency_key=name,
            body_sha256=body_sha256,
            created_at=tx.now,
        )
    )


def finish(tx: Tx, key: Key, status: int, answer: str) -> None:
    """Keep the answer."""
    tx.conn.execute(update(idempotency).where(_at(key)).values(status=status, answer=answer))


def remove(tx: Tx, key: Key) -> None:
    """The request failed without an effect: it may be made again."""
    tx.conn.execute(delete(idempotency).where(_at(key)))


def forget(tx: Tx, before: datetime, naming: str | None = None) -> int:
    """Drop old answers, and those that name somebody who was erased."""
    old = idempotency.c.created_at < before
    where = old if naming is None else or_(old, idempotency.c.answer.contains(naming, autoescape=True))
    return tx.conn.execute(delete(idempotency).where(where)).rowcount
