"""Sessions of people: every sign-in makes a new secret, whatever the browser brought along."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from actions.access import passwords, roles, secret, users
from actions.ids import new_id
from actions.ledger import Ledger, Reading, Tx, people, subjects
from actions.ledger.chain import PRINCIPAL
from actions.ledger.people import Row
from actions.model import Principal
from actions.refusals import Refusal

LASTS = timedelta(hours=12)
"""A working day; there is no extension, so a stolen one ends by itself."""
INVITED = timedelta(minutes=10)
"""An address on a terminal is used at once, or never."""
INVITED_BY_MAIL = timedelta(hours=24)
FAILURES = 10
LOCKED = timedelta(minutes=15)
"""So many wrong passwords in a row, and then none is looked at for so long: 960 guesses a day."""

How = Literal["password", "invitation", "provider"]


@dataclass(frozen=True)
class Session:
    """A session as its user sees it: `session_id` ends it, and opens nothing."""

    session_id: str
    how: str
    created_at: datetime
    expires_at: datetime


def of_secret(reading: Reading, given: str) -> Principal | None:
    """Whose session it is, with the roles of this moment; None if it is unknown, over or ended."""
    row = people.session(reading, secret.digest(given)) if secret.plausible(given) else None
    if row is None:
        return None
    return Principal(
        row["user_id"], frozenset(row["roles"]), "local" if row["user_id"] == users.OWNER else "user"
    )


def sign_in(ledger: Ledger, name: str, password: str, *, replaces: str | None = None) -> str:
    """The secret of a new session for `user:NAME`. Raises Refusal (401), the same for whatever is wrong.

    `replaces` is the session that the browser had: it ends. After ten wrong passwords in a row no password is looked
    at for a while, and whoever guesses learns neither that nor whether there is such a user.
    """
    user_id = f"user:{name}"
    with ledger.reading() as reading:
        row = people.user(reading, user_id) if secret.plausible(user_id) else None
        shut = row is None or row["disabled_at"] is not None or _locked(row, reading.now)
    kept = None if row is None or shut else row["password"]
    if not passwords.matches(kept, password):  # outside of any transaction: it takes a while
        if kept is not None:
            with ledger.transaction() as tx:
                _failed(tx, user_id)
        raise _unknown()
    assert kept is not None  # noqa: S101  # nothing matches nobody's password
    anew = passwords.rehashed(password) if passwords.outdated(kept) else None
    with ledger.transaction() as tx:
        now = people.user(tx, user_id)
        if now is None or now["password"] != kept or now["disabled_at"] is not None:
            raise _unknown()
        people.change_user(tx, user_id, failures=0, failed_at=None, password=anew or kept)
        return _open(tx, user_id, "password", replaces)


def change_password(ledger: Ledger, principal: Principal, before: str, password: str, keep: str) -> None:
    """Give oneself a new password, by showing the one before; every session but the one with the secret `keep` ends.

    Raises Refusal: a wrong one counts like a wrong one at sign-in, and for whoever has none there is none to change.
    """
    with ledger.reading() as reading:
        row = people.user(reading, principal.id)
        shut = row is None or row["password"] is None or _locked(row, reading.now)
    kept = None if row is None or shut else row["password"]
    if not passwords.matches(kept, before):
        if kept is not None:
            with ledger.transaction() as tx:
                _failed(tx, principal.id)
        raise Refusal(
            "forbidden", "this is not your password", "Ask an admin for a new one, if yours is lost."
        )
    hashed = passwords.hashed(password, principal.id.partition(":")[2])
    with ledger.transaction() as tx:
        users.set_password(tx, principal.id, hashed, principal, keep=secret.digest(keep))


def sign_in_as(
    tx: Tx, issuer: str, subject: str, email: str | None, *, verified: bool, replaces: str | None = None
) -> str:
    """The secret of a new session for whom an identity provider has vouched for.

    The first time, the user is found by an address that the provider has verified and bound to the subject; after
    that by the subject alone, so that an address that changes hands opens nothing. Raises Refusal (401).
    """
    row = people.user_of(tx, issuer, subject)
    if row is None and email is not None and verified:
        row = people.user_awaited(tx, email.casefold())
        if row is not None:
            people.change_user(tx, row["user_id"], issuer=issuer, subject=subject)
            tx.audit("user.bound", Principal(row["user_id"]), details={"issuer": issuer})
    if row is None or row["disabled_at"] is not None:
        raise Refusal(
            "unauthenticated", "nobody here has this identity", "Ask an admin to add you with your address."
        )
    return _open(tx, row["user_id"], "provider", replaces)


def invite(tx: Tx, user_id: str, principal: Principal) -> str:
    """A secret that opens one session for a user, once: for the terminal of a machine's owner, or for a new user.

    Whoever has signed in on their own already is not invited again: an invitation is no way to act as somebody else.
    """
    own = principal.id == user_id == users.OWNER
    user = users.get(tx, user_id)
    if not own:
        roles.require_admin(principal)
        if user_id == users.OWNER or user.signs_in_with == ("password",) or user.bound:
            raise Refusal(
                "wrong_state",
                "this user signs in without an invitation",
                "Set a new password, if theirs is lost.",
            )
    people.sweep(tx)
    given = secret.new()
    people.add_invitation(tx, secret.digest(given), user_id, tx.now + (INVITED if own else INVITED_BY_MAIL))
    _audit(tx, "user.invited", principal, user_id)
    return given


def open_invited(tx: Tx, invitation: str, *, replaces: str | None = None) -> str | None:
    """The secret of a new session for an invitation, which is used up; None if it is unknown, used or over."""
    if not secret.plausible(invitation):
        return None
    user_id = people.take_invitation(tx, secret.digest(invitation))
    return None if user_id is None else _open(tx, user_id, "invitation", replaces)


def close(tx: Tx, given: str) -> None:
    """End a session by its secret."""
    row = people.session(tx, secret.digest(given)) if secret.plausible(given) else None
    if row is not None and people.end_session(tx, row["digest"]):
        tx.audit("session.closed", Principal(row["user_id"]), details={"session": row["session_id"]})


def listed(reading: Reading, user_id: str, principal: Principal) -> list[Session]:
    """A user's sessions, for that user and for admins."""
    if principal.id != user_id:
        principal.require("admin")
    return [
        Session(row["session_id"], row["how"], row["created_at"], row["expires_at"])
        for row in people.list_sessions(reading, user_id)
    ]


def end(tx: Tx, user_id: str, session_id: str, principal: Principal) -> None:
    """End one of a user's sessions: theirs to do, or an admin's."""
    if principal.id != user_id:
        roles.require_admin(principal)
    if not people.end_session_by_id(tx, user_id, session_id):
        raise Refusal("not_found", "there is no such session", "List the sessions.")
    _audit(tx, "session.ended", principal, user_id, session=session_id)


def end_all(tx: Tx, user_id: str, principal: Principal) -> int:
    """End all sessions of a user; how many."""
    if principal.id != user_id:
        roles.require_admin(principal)
    count = people.end_sessions(tx, user_id)
    _audit(tx, "session.all_ended", principal, user_id, sessions=count)
    return count


def _open(tx: Tx, user_id: str, how: How, replaces: str | None) -> str:
    people.sweep(tx)
    if replaces is not None and secret.plausible(replaces):
        people.end_session(tx, secret.digest(replaces))
    given, session_id = secret.new(), new_id("ses", tx.now)
    people.add_session(
        tx,
        digest=secret.digest(given),
        session_id=session_id,
        user_id=user_id,
        how=how,
        expires_at=tx.now + LASTS,
    )
    tx.audit(
        "session.opened",
        Principal(user_id, kind="local" if user_id == users.OWNER else "user"),
        details={"session": session_id, "how": how},
    )
    return given


def _failed(tx: Tx, user_id: str) -> None:
    row = people.user(tx, user_id)
    if row is None:
        return
    fresh = row["failed_at"] is not None and tx.now - row["failed_at"] < LOCKED
    failures = row["failures"] + 1 if fresh else 1
    people.change_user(tx, user_id, failures=failures, failed_at=tx.now)
    if failures == FAILURES:  # one entry for each lock, not for each guess: guessing must not fill the audit
        known = subjects.audit_names_of(tx, PRINCIPAL, [user_id])[user_id]
        tx.audit("user.locked", "system:sign-in", details={"person": known, "failures": failures})


def _locked(row: Row, now: datetime) -> bool:
    return row["failures"] >= FAILURES and row["failed_at"] is not None and now - row["failed_at"] < LOCKED


def _unknown() -> Refusal:
    """One answer for unknown, disabled, locked and wrong."""
    return Refusal(
        "unauthenticated",
        "name or password is wrong",
        f"Try again. After {FAILURES} wrong ones in a row, only {LOCKED.seconds // 60} minutes of waiting help.",
    )


def _audit(tx: Tx, verb: str, principal: Principal, user_id: str, **details: object) -> None:
    known = subjects.audit_names_of(tx, PRINCIPAL, [user_id])[user_id]
    tx.audit(verb, principal, details={"person": known, **details})
