"""Tables of who may ask, and of where effects are sent. Secrets lie here as digests only."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint

from actions.ledger.tables import Json, Moment, metadata


def _user() -> Column[str]:
    return Column("user_id", Text, ForeignKey("users.user_id"), nullable=False)


users = Table(
    "users",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("roles", Json, nullable=False),
    Column("password", Text),
    Column("email", Text),
    Column("issuer", Text),
    Column("subject", Text),
    Column("created_by", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("disabled_at", Moment),
    Column("failures", Integer, nullable=False),
    Column("failed_at", Moment),
    UniqueConstraint("issuer", "subject"),
    UniqueConstraint("email"),
)
"""`password` is Argon2id's own text; `email` is what a first sign-in through a provider has to show."""

sessions = Table(
    "sessions",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("session_id", Text, nullable=False, unique=True),
    _user(),
    Column("how", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Index(None, "user_id"),
)

invitations = Table(
    "invitations",
    metadata,
    Column("digest", Text, primary_key=True),
    _user(),
    Column("expires_at", Moment, nullable=False),
    Index(None, "user_id"),
)
"""What opens one session, once."""

tokens = Table(
    "tokens",
    metadata,
    Column("token_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("digest", Text, nullable=False, unique=True),
    Column("hint", Text, nullable=False),
    Column("roles", Json, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("ended_by", Text),
    Index(None, "name"),
)
"""`hint` is the end of a token, by which people tell two apart."""

webhooks = Table(
    "webhooks",
    metadata,
    Column("name", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("older_until", Moment),
    Column("set_by", Text, nullable=False),
    Column("set_at", Moment, nullable=False),
    Column("disabled_at", Moment),
    Column("disabled_why", Text, nullable=False),
)
"""`version` numbers the signing secret; the one before is still used, too, until `older_until`."""
