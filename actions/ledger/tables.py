"""The ledger's tables. Organizations, entities and people are named in one table only, so that a name can be erased."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
Number = BigInteger().with_variant(Integer, "sqlite")
"""64 bits on both; SQLite numbers rows only in a column that it calls INTEGER."""


class Moment(TypeDecorator[datetime]):
    """A UTC datetime as microseconds since 1970: same order and same arithmetic in every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """To the database."""
        return None if value is None else (value - EPOCH) // MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """From the database."""
        return None if value is None else EPOCH + value * MICROSECOND


class Json(TypeDecorator[Any]):
    """Canonical JSON as text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        """To the database."""
        return None if value is None else json.dumps(value, sort_keys=True, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002
        """From the database."""
        return None if value is None else json.loads(value)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _subject(**options: Any) -> Column[int]:
    return Column("subject_id", Number, ForeignKey("subjects.id"), nullable=False, **options)


def _plan(**options: Any) -> Column[str]:
    return Column("plan_id", Text, ForeignKey("plans.plan_id"), nullable=False, **options)


meta = Table(
    "meta", metadata, Column("name", Text, primary_key=True), Column("value", LargeBinary, nullable=False)
)

subjects = Table(
    "subjects",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("audit_name", Text, nullable=False, unique=True),
    Column("salt", LargeBinary),
    Column("generation", BigInteger, nullable=False, server_default="0"),
    Column("mask", BigInteger, nullable=False, server_default="0"),
    Column("erased_at", Moment),
    UniqueConstraint("kind", "name"),
)

plans = Table(
    "plans",
    metadata,
    Column("plan_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("subject_kind", Text, nullable=False),
    Column("creator", Text, nullable=False),
    Column("creator_kind", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("reason", Text, nullable=False),
    Column("second_reason", Text, nullable=False),
    Column("selector", Json, nullable=False),
    Column("run_id", Text),
    Column("as_of", Moment),
    Column("members_sha256", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("spared", Integer, nullable=False),
    Column("params", Json, nullable=False),
    Column("public_reason", Text, nullable=False),
    Column("policy_version", Text, nullable=False),
    Column("sinks", Json, nullable=False),
    Column("duration_us", BigInteger),
    Column("permanent", Boolean, nullable=False),
    Column("controls", Json, nullable=False),
    Column("needs", Text, nullable=False),
    Column("facts", Json, nullable=False),
    Column("automatic", Boolean, nullable=False),
    Column("expires_at", Moment),
    Column("not_before", Moment),
    Column("wave", Integer, nullable=False),
    Column("waves", Json, nullable=False),
    Column("hold_until", Moment),
    Column("paused_reason", Text, nullable=False),
    Column("difference", Json, nullable=False),
    Column("started_at", Moment),
    Column("finished_at", Moment),
    Column("undoes", Json, nullable=False),
    Index(None, "state"),
    Index(None, "created_at"),
)

causes = Table(
    "causes",
    metadata,
    _plan(primary_key=True),
    Column("cause", Text, primary_key=True),
    Index(None, "cause"),
)
"""Why a plan was made, one row a cause, so that it can be undone by cause."""

undone = Table(
    "undone",
    metadata,
    _plan(primary_key=True),
    _subject(primary_key=True),
    Column("target", Text, ForeignKey("plans.plan_id"), primary_key=True),
)
"""The claims that a restoring plan ends: whose, of which plan."""

items = Table(
    "items",
    metadata,
    _plan(primary_key=True),
    _subject(primary_key=True),
    Column("part", Text, nullable=False),
    Column("draw", BigInteger, nullable=False),
    Column("wave", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("prior_mask", BigInteger, nullable=False),
    Column("prior_generation", BigInteger, nullable=False),
    Column("before_mask", BigInteger),
    Column("generation", BigInteger),
    Column("effect_id", Text, unique=True),
    Column("cluster_id", Text),
    Column("member_risk", Float, nullable=False),
    Column("key_ids", Json),
    Column("causes", Json),
    Column("due_at", Moment),
    Index(None, "subject_id"),
    Index(None, "plan_id", "state", "wave", "draw"),
)

claims = Table(
    "claims",
    metadata,
    _subject(primary_key=True),
    Column("action", Text, primary_key=True),
    _plan(primary_key=True),
    Column("bit", BigInteger, nullable=False),
    Column("since", Moment, nullable=False),
    Column("expires_at", Moment),
    Index(None, "plan_id"),
    Index(None, "expires_at"),
)
"""Who wants which restriction: it is in force while anybody claims it."""

effects = Table(
    "effects",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=True),
    Column("effect_id", Text, nullable=False, unique=True),
    _plan(),
    _subject(),
    Column("generation", BigInteger, nullable=False),
    Column("action", Text, nullable=False),
    Column("mask", BigInteger, nullable=False),
    Column("expires_at", Moment),
    Column("public_reason", Text, nullable=False),
    Column("key_ids", Json),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("subject_id", "generation"),
    Index(None, "created_at"),
    Index(None, "plan_id"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("effect_seq", Number, ForeignKey("effects.seq"), primary_key=True),
    Column("sink", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Moment, nullable=False),
    Column("epoch", BigInteger),
    Column("error", Text, nullable=False),
    Column("settled_at", Moment),
    Column("acknowledged_at", Moment),
    Index(None, "sink", "state", "effect_seq"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("holder", Text, nullable=False),
    Column("beats", BigInteger, nullable=False),
)

approvals = Table(
    "approvals",
    metadata,
    _plan(primary_key=True),
    Column("approver", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("typed_count", Integer),
    Column("reason", Text, nullable=False),
    Column("own", Boolean, nullable=False),
    Column("at", Moment, nullable=False),
)

appeals = Table(
    "appeals",
    metadata,
    Column("appeal_id", Text, primary_key=True),
    _subject(),
    Column("state", Text, nullable=False),
    Column("opened_by", Text, nullable=False),
    Column("statement", Text, nullable=False),
    Column("believable", Boolean, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("decided_by", Text),
    Column("decided_at", Moment),
    Column("decision", Text, nullable=False),
    Column("restored_by", Text),
    Index(None, "subject_id"),
    Index(None, "state"),
)

appealed = Table(
    "appealed",
    metadata,
    Column("appeal_id", Text, ForeignKey("appeals.appeal_id"), primary_key=True),
    _plan(primary_key=True),
    Index(None, "plan_id"),
)
"""The plans that an appeal is about."""

protections = Table(
    "protections",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    _subject(),
    Column("reason", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("ends_at", Moment),
    Column("ended_at", Moment),
    Column("ended_by", Text),
    Index(None, "subject_id"),
)

incidents = Table(
    "incidents",
    metadata,
    Column("incident_id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("declared_by", Text, nullable=False),
    Column("declared_at", Moment, nullable=False),
    Column("confirmed_by", Text),
    Column("started_at", Moment),
    Column("ends_at", Moment),
    Column("ended_by", Text),
)

switches = Table(
    "switches",
    metadata,
    Column("name", Text, primary_key=True),
    Column("engaged", Boolean, nullable=False),
    Column("changed_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("changed_at", Moment, nullable=False),
)

requests = Table(
    "requests",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    _subject(),
    Column("plan_id", Text),
    Column("appeal_id", Text),
    Column("body", Json, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("done_at", Moment),
    Index(None, "done_at", "seq"),
)
"""What decisions ask of the facts: labels, not-linked constraints, disputed evidence, scores to look at again."""

idempotency = Table(
    "idempotency",
    metadata,
    Column("principal", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("idempotency_key", Text, primary_key=True),
    Column("body_sha256", Text, nullable=False),
    Column("status", Integer),
    Column("answer", Text),
    Column("created_at", Moment, nullable=False),
    Index(None, "created_at"),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("verb", Text, nullable=False),
    Column("plan_id", Text),
    Column("body", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Index(None, "plan_id"),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("algorithm", Text, nullable=False),
    Column("signature", Text, nullable=False),
)
