"""Users, sessions, invitations and tokens: rows, looked up by digests of secrets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import RowMapping, and_, delete, insert, or_, select, update

from actions.ledger.access_tables import invitations, sessions, tokens, users, webhooks

if TYPE_CHECKING:
    from actions.ledger.ledger import Reading, Tx

Row = RowMapping
"""A row, by the names of its columns."""


def add_user(tx: Tx, **values: Any) -> None:
    """A new user."""
    tx.conn.execute(insert(users).values(created_at=tx.now, failures=0, **values))


def user(reading: Reading, user_id: str) -> Row | None:
    """A user, disabled ones too."""
    return reading.conn.execute(select(users).where(users.c.user_id == user_id)).mappings().first()


def user_of(reading: Reading, issuer: str, subject: str) -> Row | None:
    """Whom a provider's subject is bound to."""
    found = select(users).where(users.c.issuer == issuer, users.c.subject == subject)
    return reading.conn.execute(found).mappings().first()


def user_awaited(reading: Reading, email: str) -> Row | None:
    """The user who waits for a first sign-in through a provider with this address."""
    found = select(users).where(users.c.email == email, users.c.subject.is_(None))
    return reading.conn.execute(found).mappings().first()


def user_with(reading: Reading, email: str) -> Row | None:
    """The user who has this address."""
    return reading.conn.execute(select(users).where(users.c.email == email)).mappings().first()


def list_users(reading: Reading, *, after: str = "", limit: int = 100) -> Sequence[Row]:
    """Users by id."""
    found = select(users).where(users.c.user_id > after).order_by(users.c.user_id).limit(limit)
    return reading.conn.execute(found).mappings().all()


def enabled(reading: Reading) -> Sequence[Row]:
    """Everybody who is not disabled: installations have few people."""
    return reading.conn.execute(select(users).where(users.c.disabled_at.is_(None))).mappings().all()


def change_user(tx: Tx, user_id: str, **values: Any) -> None:
    """Change a user's row."""
    tx.conn.execute(update(users).where(users.c.user_id == user_id).values(**values))


def forget_user(tx: Tx, user_id: str, erased: str) -> None:
    """Take a user away; what they made stays under the erased name."""
    end_sessions(tx, user_id)
    end_invitations(tx, user_id)
    tx.conn.execute(delete(users).where(users.c.user_id == user_id))
    for column in (users.c.created_by, tokens.c.created_by, tokens.c.ended_by, webhooks.c.set_by):
        tx.conn.execute(update(column.table).where(column == user_id).values({column.name: erased}))


def add_session(tx: Tx, **values: Any) -> None:
    """A new session."""
    tx.conn.execute(insert(sessions).values(created_at=tx.now, **values))


def session(reading: Reading, digest: str) -> Row | None:
    """Session and user behind a digest, if the session lasts and the user is not disabled."""
    found = (
        select(sessions, users.c.roles)
        .join(users, users.c.user_id == sessions.c.user_id)
        .where(
            sessions.c.digest == digest, sessions.c.expires_at > reading.now, users.c.disabled_at.is_(None)
        )
    )
    return reading.conn.execute(found).mappings().first()


def list_sessions(reading: Reading, user_id: str) -> Sequence[Row]:
    """A user's sessions that last, the newest first."""
    found = select(sessions).where(sessions.c.user_id == user_id, sessions.c.expires_at > reading.now)
    return reading.conn.execute(found.order_by(sessions.c.session_id.desc())).mappings().all()


def end_session(tx: Tx, digest: str) -> bool:
    """End one session by its secret's digest; whether there was one."""
    return bool(tx.conn.execute(delete(sessions).where(sessions.c.digest == digest)).rowcount)


def end_session_by_id(tx: Tx, user_id: str, session_id: str) -> bool:
    """End one of a user's sessions; whether there was one."""
    which = and_(sessions.c.user_id == user_id, sessions.c.session_id == session_id)
    return bool(tx.conn.execute(delete(sessions).where(which)).rowcount)


def end_sessions(tx: Tx, user_id: str, *, but: str | None = None) -> int:
    """End a user's sessions, except the one with this digest; how many."""
    which = sessions.c.user_id == user_id
    if but is not None:
        which = and_(which, sessions.c.digest != but)
    return tx.conn.execute(delete(sessions).where(which)).rowcount


def add_invitation(tx: Tx, digest: str, user_id: str, expires_at: datetime) -> None:
    """Something that opens one session."""
    tx.conn.execute(insert(invitations).values(digest=digest, user_id=user_id, expires_at=expires_at))


def take_invitation(tx: Tx, digest: str) -> str | None:
    """Use an invitation up: the user that it is for, unless it is unknown or over, or the user disabled."""
    found = (
        select(invitations.c.user_id)
        .join(users, users.c.user_id == invitations.c.user_id)
        .where(
            invitations.c.digest == digest, invitations.c.expires_at > tx.now, users.c.disabled_at.is_(None)
        )
    )
    user_id = tx.conn.execute(found).scalar()
    tx.conn.execute(delete(invitations).where(invitations.c.digest == digest))
    return user_id


def end_invitations(tx: Tx, user_id: str) -> None:
    """What a user was invited with opens nothing any more."""
    tx.conn.execute(delete(invitations).where(invitations.c.user_id == user_id))


def sweep(tx: Tx) -> None:
    """Drop sessions and invitations that are over."""
    tx.conn.execute(delete(sessions).where(sessions.c.expires_at <= tx.now))
    tx.conn.execute(delete(invitations).where(invitations.c.expires_at <= tx.now))


def add_token(tx: Tx, **values: Any) -> None:
    """A new token."""
    tx.conn.execute(insert(tokens).values(created_at=tx.now, **values))


def token(reading: Reading, digest: str) -> Row | None:
    """The token behind a digest, while it holds."""
    found = select(tokens).where(tokens.c.digest == digest, _holds(reading))
    return reading.conn.execute(found).mappings().first()


def token_by_id(reading: Reading, token_id: str) -> Row | None:
    """A token, ended ones too."""
    return reading.conn.execute(select(tokens).where(tokens.c.token_id == token_id)).mappings().first()


def token_named(reading: Reading, name: str) -> bool:
    """Whether a token ever had this name."""
    return reading.conn.execute(select(tokens.c.name).where(tokens.c.name == name)).first() is not None


def list_tokens(reading: Reading, *, after: str = "", limit: int = 100) -> Sequence[Row]:
    """Tokens in the order in which they were made."""
    found = select(tokens).where(tokens.c.token_id > after).order_by(tokens.c.token_id).limit(limit)
    return reading.conn.execute(found).mappings().all()


def end_token(tx: Tx, token_id: str, by: str, at: datetime) -> bool:
    """A token holds until `at` at the latest; whether it still held."""
    which = and_(tokens.c.token_id == token_id, _holds(tx))
    return bool(tx.conn.execute(update(tokens).where(which).values(ended_at=at, ended_by=by)).rowcount)


def _holds(reading: Reading) -> Any:
    ended = or_(tokens.c.ended_at.is_(None), tokens.c.ended_at > reading.now)
    return and_(tokens.c.expires_at > reading.now, ended)
