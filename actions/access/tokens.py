"""Tokens for scripts: shown once, kept as digests, scoped by roles, for 90 days at most."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from actions.access import roles, secret
from actions.ids import new_id
from actions.ledger import Reading, Tx, people
from actions.ledger.people import Row
from actions.model import Principal, moment_text
from actions.refusals import Refusal

LONGEST = timedelta(days=90)
USUAL = timedelta(days=30)
OVERLAP = timedelta(hours=24)
"""For how long a token that was rotated still works: the time to bring the new one out."""
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")


@dataclass(frozen=True)
class Token:
    """A token without its secret. `hint` is how the secret ends."""

    token_id: str
    name: str
    hint: str
    roles: frozenset[str]
    purpose: str
    created_by: str
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True)
class Issued:
    """A new token, with the secret that is never shown again."""

    token: Token
    secret: str


def of_secret(reading: Reading, given: str) -> Principal | None:
    """Who a token stands for; None if it is unknown, expired or revoked."""
    if not given.startswith(secret.TOKEN) or not secret.plausible(given):
        return None
    row = people.token(reading, secret.digest(given))
    return None if row is None else Principal(f"token:{row['name']}", frozenset(row["roles"]), "token")


def issue(
    tx: Tx,
    name: str,
    wanted: Iterable[str],
    principal: Principal,
    *,
    purpose: str,
    life: timedelta = USUAL,
) -> Issued:
    """A token that acts as `token:NAME`; a name is used once, so that the audit always means the same script."""
    roles.require_admin(principal)
    if not _NAME.fullmatch(name) or not purpose.strip():
        raise Refusal(
            "bad_request",
            "a token needs a name and a purpose",
            "Name it with up to 64 of a-z 0-9 . _ - and say what it is for.",
        )
    if not timedelta(0) < life <= LONGEST:
        raise Refusal("bad_request", f"a token lives up to {LONGEST.days} days", "Rotate it before it ends.")
    if people.token_named(tx, name):
        raise Refusal("taken", "a token had this name before", "Choose another name, or rotate that one.")
    given = roles.checked(wanted, among=roles.FOR_TOKENS)
    return _add(tx, "token.issued", name, given, purpose, life, principal)


def rotate(tx: Tx, token_id: str, principal: Principal, *, life: timedelta = USUAL) -> Issued:
    """A successor with the same name and roles; the old one works for a day more."""
    roles.require_admin(principal)
    old = _row(tx, token_id)
    if not timedelta(0) < life <= LONGEST:
        raise Refusal("bad_request", f"a token lives up to {LONGEST.days} days", "Rotate it before it ends.")
    over = min(tx.now + OVERLAP, old["expires_at"])
    if old["ended_at"] is not None or not people.end_token(tx, token_id, principal.id, over):
        raise Refusal("wrong_state", "this token has ended", "Rotate its successor, or issue another.")
    return _add(tx, "token.rotated", old["name"], old["roles"], old["purpose"], life, principal)


def revoke(tx: Tx, token_id: str, principal: Principal, *, reason: str = "") -> Token:
    """End a token now. Safe, so that any admin may, by token as well."""
    principal.require("admin")
    if not people.end_token(tx, token_id, principal.id, tx.now):
        _row(tx, token_id)
        raise Refusal("wrong_state", "this token has ended", "")
    token = _of_row(_row(tx, token_id))
    tx.audit("token.revoked", principal, why=reason, details={"token": token_id, "name": token.name})
    return token


def listed(reading: Reading, *, after: str = "", limit: int = 100) -> list[Token]:
    """Tokens in the order in which they were made, ended ones too."""
    return [_of_row(row) for row in people.list_tokens(reading, after=after, limit=limit)]


def _add(
    tx: Tx,
    verb: str,
    name: str,
    given: list[str],
    purpose: str,
    life: timedelta,
    principal: Principal,
) -> Issued:
    shown, token_id = secret.new(secret.TOKEN), new_id("tok", tx.now)
    expires_at = tx.now + life
    people.add_token(
        tx,
        token_id=token_id,
        name=name,
        digest=secret.digest(shown),
        hint=shown[-4:],
        roles=given,
        purpose=purpose,
        created_by=principal.id,
        expires_at=expires_at,
    )
    tx.audit(
        verb,
        principal,
        why=purpose,
        details={"token": token_id, "name": name, "roles": given, "expires_at": moment_text(expires_at)},
    )
    return Issued(_of_row(_row(tx, token_id)), shown)


def _row(reading: Reading, token_id: str) -> Row:
    row = people.token_by_id(reading, token_id)
    if row is None:
        raise Refusal("not_found", "there is no such token", "List the tokens.")
    return row


def _of_row(row: Row) -> Token:
    return Token(
        row["token_id"],
        row["name"],
        row["hint"],
        frozenset(row["roles"]),
        row["purpose"],
        row["created_by"],
        row["created_at"],
        row["expires_at"],
        row["ended_at"],
    )
