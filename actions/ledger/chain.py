"""The audit chain's rows: each entry is canonical JSON that holds the hash of the one before."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select

from actions.ledger import subjects
from actions.ledger.tables import audit, checkpoints
from actions.model import ORGANIZATION, Principal, moment_text

if TYPE_CHECKING:
    from actions.ledger.ledger import Reading, Tx

FIRST = "0" * 64
"""What the first entry names as the hash before it."""
PRINCIPAL = "principal"
_WORD = re.compile(r"[^\s,;\"'()]+(?<![.:!?])")
"""What may be somebody's id in a sentence."""


@dataclass(frozen=True)
class Entry:
    """Something that somebody did, before it is chained."""

    verb: str
    actor: Principal | str
    plan_id: str | None
    why: str
    details: dict[str, Any]


def canonical(value: Any) -> str:
    """The one way to write a value: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def hashed(body: str) -> str:
    """SHA-256 of an entry's text."""
    return hashlib.sha256(body.encode("ascii")).hexdigest()


def head(reading: Reading) -> tuple[int, str]:
    """Number and hash of the last entry."""
    row = reading.conn.execute(
        select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)
    ).first()
    return (0, FIRST) if row is None else (row.seq, row.hash)


def append(tx: Tx, entries: Sequence[Entry]) -> None:
    """Chain and write entries; people are named by their audit names."""
    people = {entry.actor.id for entry in entries if isinstance(entry.actor, Principal)}
    names = subjects.audit_names_of(tx, PRINCIPAL, sorted(people))
    seq, previous = head(tx)
    rows = []
    for entry in entries:
        seq += 1
        actor = entry.actor
        body = canonical(
            {
                "seq": seq,
                "at": moment_text(tx.now),
                "verb": entry.verb,
                "actor": actor if isinstance(actor, str) else names[actor.id],
                "actor_kind": "system" if isinstance(actor, str) else actor.kind,
                "plan": entry.plan_id,
                "why": entry.why,
                "details": entry.details,
                "prev": previous,
            }
        )
        previous = hashed(body)
        rows.append(
            {"seq": seq, "verb": entry.verb, "plan_id": entry.plan_id, "body": body, "hash": previous}
        )
    tx.conn.execute(insert(audit), rows)


def unnamed(tx: Tx, reason: str) -> str:
    """A reason with audit names for whom it names: an entry is for good, and a name may be erased."""
    words = sorted(set(_WORD.findall(reason)))
    known: dict[str, str] = {}
    for kind in (ORGANIZATION, PRINCIPAL) if words else ():
        ids = subjects.ids_of(tx, kind, words)
        names = subjects.audit_names(tx, list(ids.values()))
        known.update((name, names[subject_id]) for name, subject_id in ids.items())
    return _WORD.sub(lambda word: known.get(word.group(), word.group()), reason) if known else reason


def read(
    reading: Reading, *, after: int = 0, plan_id: str | None = None, limit: int = 1_000
) -> list[tuple[int, str, str]]:
    """Entries as (number, text, hash), oldest first, from `after` on."""
    found = select(audit.c.seq, audit.c.body, audit.c.hash).where(audit.c.seq > after)
    if plan_id is not None:
        found = found.where(audit.c.plan_id == plan_id)
    rows = reading.conn.execute(found.order_by(audit.c.seq).limit(limit))
    return [(row.seq, row.body, row.hash) for row in rows]


def everything(reading: Reading) -> Iterator[tuple[int, str, str]]:
    """All entries, in pages."""
    after = 0
    while page := read(reading, after=after, limit=500):
        yield from page
        after = page[-1][0]


def add_checkpoint(tx: Tx, seq: int, entry_hash: str, key_id: str, algorithm: str, signature: str) -> None:
    """Keep a signed checkpoint."""
    tx.conn.execute(
        insert(checkpoints).values(
            seq=seq, hash=entry_hash, at=tx.now, key_id=key_id, algorithm=algorithm, signature=signature
        )
    )


def last_checkpoint(reading: Reading) -> int:
    """Number of the entry that the last checkpoint signs; 0 without one."""
    return reading.conn.execute(select(func.max(checkpoints.c.seq))).scalar() or 0


def all_checkpoints(reading: Reading, *, after: int = 0, limit: int | None = None) -> list[dict[str, Any]]:
    """Checkpoints after an entry's number, oldest first, as plain values."""
    found = select(checkpoints).where(checkpoints.c.seq > after).order_by(checkpoints.c.seq).limit(limit)
    rows = reading.conn.execute(found).mappings()
    return [{**row, "at": moment_text(row["at"])} for row in rows]
