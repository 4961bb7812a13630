"""The pull feed: effects lie in the ledger, in order, for whoever asks with a cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from actions.ledger import Reading, Tx, deliveries, subjects
from actions.model import Effect, Principal, moment_text, restrictions
from actions.sinks import Promise, Receipt

NAME = "feed"
PAGE = 5_000


@dataclass(frozen=True)
class FeedSink:
    """Effects count as applied once they can be pulled; with `acknowledged`, once a reader says so."""

    name: str = NAME
    acknowledged: bool = False
    promise: Promise = "generations"
    retries: Sequence[float] = ()
    batch: int = 5_000

    def deliver(self, effects: Sequence[Effect]) -> Sequence[Receipt]:
        """Nothing has to be sent: an effect can be pulled from the moment in which it is decided."""
        outcome = "waiting" if self.acknowledged else "applied"
        return [Receipt(effect.effect_id, outcome) for effect in effects]  # type: ignore[arg-type]


def pull(reading: Reading, *, after: int = 0, limit: int = 1_000, sink: str = NAME) -> list[Effect]:
    """Effects after a cursor (the `seq` of the last one that was read), in the order in which they were decided."""
    return deliveries.feed(reading, sink, after, min(limit, PAGE))


def acknowledge(tx: Tx, effect_ids: Sequence[str], principal: Principal, *, sink: str = NAME) -> int:
    """A reader has brought these about; how many had not been acknowledged before."""
    count = deliveries.acknowledge(tx, sink, effect_ids)
    if count:
        tx.audit("effects.acknowledged", principal, details={"sink": sink, "effects": count})
    return count


def acknowledge_through(tx: Tx, cursor: int, principal: Principal, *, sink: str = NAME) -> int:
    """A reader that started from the whole state holds everything up to its cursor; how many were new."""
    count = deliveries.acknowledge_through(tx, sink, cursor)
    if count:
        details = {"sink": sink, "effects": count, "through": cursor}
        tx.audit("effects.acknowledged", principal, details=details)
    return count


def state(reading: Reading, *, after: int = 0, limit: int = 1_000) -> dict[str, Any]:
    """What a bouncer that starts has to know: everybody who is restricted, and the cursor to go on from.

    Pages by `next`; the cursor of the first page is the one to go on from. None: that was all.
    """
    rows = subjects.restricted(reading, after=after, limit=min(limit, PAGE))
    return {
        "cursor": deliveries.cursor(reading),
        "as_of": moment_text(reading.now),
        "restricted": [
            {
                "subject_kind": row["kind"],
                "org_id": row["name"],
                "generation": row["generation"],
                "desired_state": list(restrictions(row["mask"])),
            }
            for row in rows
        ],
        "next": rows[-1]["id"] if len(rows) == min(limit, PAGE) else None,
    }
