"""Where webhooks go: rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import RowMapping, insert, select, update

from actions.ledger.access_tables import webhooks

if TYPE_CHECKING:
    from actions.ledger.ledger import Reading, Tx


def get(reading: Reading, name: str) -> RowMapping | None:
    """One webhook."""
    return reading.conn.execute(select(webhooks).where(webhooks.c.name == name)).mappings().first()


def everything(reading: Reading) -> Sequence[RowMapping]:
    """All webhooks by name."""
    return reading.conn.execute(select(webhooks).order_by(webhooks.c.name)).mappings().all()


def put(tx: Tx, name: str, **values: Any) -> None:
    """Add a webhook, or change it."""
    changed = tx.conn.execute(update(webhooks).where(webhooks.c.name == name).values(**values)).rowcount
    if not changed:
        tx.conn.execute(insert(webhooks).values(name=name, **values))


def disable(tx: Tx, name: str, why: str) -> bool:
    """Nothing is sent there any more; whether something was until now."""
    which = (webhooks.c.name == name, webhooks.c.disabled_at.is_(None))
    changed = update(webhooks).where(*which).values(disabled_at=tx.now, disabled_why=why)
    return bool(tx.conn.execute(changed).rowcount)
