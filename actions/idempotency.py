"""Idempotency keys: the same request gets the same answer, and is done once.

The order is `begin`, then the mutation with `finish` in its own transaction, so that the answer is kept exactly
when the mutation is; `abandon` when nothing was done.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from actions.ledger import Tx, answers
from actions.model import Principal
from actions.refusals import Refusal

MAX_KEY = 255


@dataclass(frozen=True)
class Ticket:
    """The right to do a request once."""

    principal: str
    route: str
    key: str

    @property
    def place(self) -> answers.Key:
        """Where its answer is kept."""
        return self.principal, self.route, self.key


@dataclass(frozen=True)
class Replay:
    """The answer that was given before."""

    status: int
    answer: str


def begin(tx: Tx, principal: Principal, route: str, key: str, body: bytes) -> Ticket | Replay:
    """A ticket for a new request, or the stored answer of the same one.

    Raises Refusal: another body under the same key (422), or the first one still runs (409).
    """
    if not 0 < len(key) <= MAX_KEY or not key.isprintable():
        raise Refusal("bad_request", "the idempotency key is empty, too long or not printable", "Use a UUID.")
    ticket = Ticket(principal.id, route, key)
    digest = hashlib.sha256(body).hexdigest()
    kept = answers.get(tx, ticket.place)
    if kept is not None and kept["created_at"] > tx.now - timedelta(days=tx.settings.idempotency_days):
        if kept["body_sha256"] != digest:
            raise Refusal("key_reused", "this idempotency key was used for another request", "Use a new key.")
        if kept["status"] is not None:
            return Replay(kept["status"], kept["answer"])
        if kept["created_at"] > tx.now - timedelta(minutes=tx.settings.running_minutes):
            raise Refusal("still_running", "the first request with this key still runs", "Try again shortly.")
    answers.begin(tx, ticket.place, digest)
    return ticket


def finish(tx: Tx, ticket: Ticket, status: int, answer: str) -> None:
    """Keep the answer, in the transaction of what was done."""
    answers.finish(tx, ticket.place, status, answer)


def abandon(tx: Tx, ticket: Ticket) -> None:
    """Nothing was done: the same key may be used again."""
    answers.remove(tx, ticket.place)


def forget_old(tx: Tx) -> int:
    """Drop answers that are no longer promised."""
    return answers.forget(tx, tx.now - timedelta(days=tx.settings.idempotency_days))
