"""The event record, version 1: the contract of ingest as pydantic models, and the oracle its columns are tested with.

Batches never go through these models (that would be a hundred times slower); `tests/unit/test_columns_agree.py`
holds both to the same answers. `event_schema()` is the JSON schema for people and tools.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
)

from graph.identifiers import is_stop_exact
from ingest.fields import EVENT_TYPES, INTEGER_FIELDS, LONG_FIELDS, MONEY_FIELDS
from ingest.grammar import (
    DETAILS,
    GrammarError,
    as_text,
    check_moment,
    parse_boolean,
    parse_integer,
    parse_moment,
    parse_money,
)
from ingest.settings import IngestSettings
from ingest.words import read_word

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Reading:
    """What a row's meaning depends on beside the row: pass it as the validation context."""

    arrived_at: datetime
    settings: IngestSettings = field(default_factory=IngestSettings)
    timezone: str | None = None
    epoch_unit: str | None = None


def _reading(info: ValidationInfo) -> Reading:
    context: Reading | None = info.context
    if context is None:
        raise TypeError("pass a Reading as the validation context")
    return context


def _text(value: Any, info: ValidationInfo) -> str | None:
    text = as_text(value)
    settings = _reading(info).settings
    limit = settings.max_identifier if info.field_name in LONG_FIELDS else settings.max_text
    if text is not None and len(text) > limit:
        raise GrammarError("too_long")
    return text


def _organization(value: Any, info: ValidationInfo) -> str | None:
    text = _text(value, info)
    missing = text is None or is_stop_exact(text)
    if missing and info.data.get("event_type") != "entity_labelled":
        raise GrammarError("missing_org_id")
    return text


def _entity(value: Any, info: ValidationInfo) -> str | None:
    text = _text(value, info)
    if text is not None and info.data.get("entity_type") is None:
        raise GrammarError("missing_entity_type")
    return text


def _word(value: Any, info: ValidationInfo) -> str | None:
    text = _text(value, info)
    if text is None:
        if info.field_name == "event_type":
            raise GrammarError("missing_event_type")
        return None
    return read_word(str(info.field_name), text)


def _money(value: Any, info: ValidationInfo) -> Decimal | None:
    text = _text(value, info)
    return None if text is None else parse_money(text, negative=MONEY_FIELDS[str(info.field_name)][1])


def _integer(value: Any, info: ValidationInfo) -> int | None:
    text = _text(value, info)
    return None if text is None else parse_integer(text, *INTEGER_FIELDS[str(info.field_name)])


def _boolean(value: Any, info: ValidationInfo) -> bool | None:
    text = _text(value, info)
    return None if text is None else parse_boolean(text)


def _moment(value: Any, info: ValidationInfo) -> datetime | None:
    text = _text(value, info)
    if text is None:
        if info.field_name == "occurred_at":
            raise GrammarError("missing_occurred_at")
        return None
    reading = _reading(info)
    micros = parse_moment(text, reading.timezone, reading.epoch_unit)
    latest = reading.arrived_at + reading.settings.future
    check_moment(micros, micros_of(reading.settings.earliest), micros_of(latest))
    return _EPOCH + timedelta(microseconds=micros)


def micros_of(moment: datetime) -> int:
    """Microseconds since 1970 of an aware time."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _as(reader: Callable[[Any, ValidationInfo], Any]) -> BeforeValidator:
    return BeforeValidator(reader)


Text = Annotated[str | None, _as(_text)]
Word = Annotated[str | None, _as(_word)]
Money = Annotated[Decimal | None, _as(_money)]
Integer = Annotated[int | None, _as(_integer)]


class EventV1(BaseModel):
    """One flat record. Everything is optional but `event_type`, `occurred_at` and, mostly, `org_id`.

    Text cells, JSON scalars and typed columns are read by one grammar (`ingest.grammar`); blank means absent;
    unknown columns are kept. Identifiers are given here as they came: `graph.identifiers` spells and keys them.
    """

    model_config = ConfigDict(frozen=True, extra="allow", validate_default=True, title="Event, version 1")

    event_type: Annotated[Literal[EVENT_TYPES], _as(_word)] = Field(  # type: ignore[valid-type]
        None, description="What happened; folded, so that hidden characters do not hide it."
    )
    occurred_at: Annotated[datetime, _as(_moment)] = Field(
        None,  # type: ignore[assignment]
        description="When: RFC 3339 with a zone, or epoch s, ms or µs (one unit a file).",
    )
    event_id: Text = Field(None, description="Unique within a source; makes the row idempotent.")
    ingested_at: Annotated[datetime | None, _as(_moment)] = Field(
        None, description="When it was first known."
    )
    org_id: Annotated[str | None, _as(_organization)] = Field(
        None, description="The organization. Exact. Required but for entity_labelled."
    )
    user_id: Text = Field(None, description="The user. Exact.")
    ip: Text = Field(None, description="Client address; IPv6 counts by /64.")
    device_id: Text = Field(None, description="Device; case is ignored in hex and UUIDs only.")
    attested: Annotated[bool | None, _as(_boolean)] = Field(None, description="A signed client vouches.")
    tls_fingerprint: Text = Field(None, description="JA3, JA4 or the like.")
    user_agent: Text = Field(None, description="User agent, case kept.")
    api_key: Text = Field(None, description="Secret: only a keyed hash is kept.")
    payment_method: Text = Field(None, description="Secret: only a keyed hash and the last four are kept.")
    email: Text = Field(None, description="Address; provider rules decide which spellings are one mailbox.")
    phone: Text = Field(None, description="Secret: only a keyed hash, country and line type are kept.")
    org_name: Text = Field(None, description="The organization's name; keyed by what it looks like.")
    country: Word = Field(None, description="ISO 3166, two letters.")
    consumer_id: Text = Field(None, description="Who actually sends inference.")
    plan: Word = Field(None, description="free, trial, paid or enterprise.")
    program_id: Word = Field(None, description="Promotion or referral programme.")
    promo_code: Text = Field(None, description="Folded.")
    referral_code: Text = Field(None, description="Folded.")
    referrer_org_id: Text = Field(None, description="Exact.")
    reward_usd: Money = Field(None, description="In `currency`, as all money.")
    payout_id: Text = Field(None, description="Where a reward is paid to.")
    credit_usd: Money = Field(None, description="Credit granted.")
    credit_used_usd: Money = Field(None, description="Credit consumed, not negative.")
    model: Word = Field(None, description="Model served.")
    requests: Integer = Field(None, description="Requests in the row; 1 where absent.")
    tokens: Integer = Field(None, description="Total of the row.")
    cost_usd: Money = Field(None, description="What serving the row cost, not negative.")
    status_code: Integer = Field(None, description="HTTP status.")
    amount_usd: Money = Field(None, description="Billed; negative for what is given back.")
    currency: Word = Field(None, description="ISO 4217; the home's where absent.")
    payment_kind: Word = Field(None, description="card, prepaid, virtual, wallet or bank.")
    payment_bin: Word = Field(None, description="Issuer's range of a card.")
    action: Word = Field(None, description="What was decided.")
    reason: Word = Field(None, description="Why, in words.")
    other_org_id: Text = Field(None, description="The second organization. Exact.")
    label: Word = Field(None, description="abusive or legitimate.")
    label_source: Word = Field(None, description="Who says so.")
    entity_type: Word = Field(None, description="Kind of `entity_key`: ip, api_key, email …")
    entity_key: Annotated[str | None, _as(_entity)] = Field(
        None, description="The labelled identifier; hashed where it is a secret."
    )


_EVENT: TypeAdapter[EventV1] = TypeAdapter(EventV1)


def read_event(row: Mapping[str, Any], reading: Reading) -> EventV1:
    """The event that a row is. Raises pydantic's ValidationError; `reasons` lists its codes."""
    return _EVENT.validate_python(dict(row), context=reading)


def reasons(error: ValidationError) -> set[str]:
    """The reason codes (keys of DETAILS) in a failed validation."""
    causes = (problem.get("ctx", {}).get("error") for problem in error.errors())
    return {cause.reason for cause in causes if isinstance(cause, GrammarError)} & set(DETAILS)


def event_schema() -> dict[str, Any]:
    """JSON schema of the event record as the models read it, for documentation and other tools."""
    return _EVENT.json_schema()
