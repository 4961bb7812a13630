"""What a value may look like, in words of one cell: shared by the models (the oracle) and the columns' slow path.

One grammar for all sources: text cells, JSON scalars and Parquet's types read alike (see `as_text`). Blank text
means absent. Money is rounded half-even to six decimals; fractions of a microsecond are cut off.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

MICRO = 1_000_000
MICROS_A_UNIT = {"s": MICRO, "ms": 1000, "us": 1}
UNIT_LIMITS = {"s": 10**11, "ms": 10**14, "us": 10**17}
"""An epoch number below the limit (in magnitude) is in that unit: seconds until the year 5138."""
MONEY_LIMIT = Decimal(10) ** 12
"""Money must be smaller in magnitude: decimal(18, 6)."""

_NUMBER = re.compile(r"^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?$")
_NOT_FINITE = re.compile(r"^[+-]?(?:nan|inf|infinity)$", re.IGNORECASE)
_MOMENT = re.compile(
    r"^([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?"
    r" ?([Zz]|UTC|[+-][0-9]{2}(?::?[0-9]{2})?)?$"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SIXTH = Decimal("0.000001")
_CONTEXT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_MAX_DIGITS = 400
_BOOLEANS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0"), False),
}

DETAILS = {
    "missing_event_type": "event_type is required; a mapping makes events of columns with other names",
    "unknown_event_type": "not one of the event types of the event record; a mapping can rename it",
    "missing_occurred_at": "occurred_at is required: RFC 3339 with a zone, or epoch s, ms or µs",
    "bad_timestamp": "expected RFC 3339 such as 2026-01-31T12:00:00Z, or epoch s, ms or µs",
    "timestamp_without_zone": "no zone: add one, or set `timezone` in the mapping",
    "timestamp_too_old": "before the year 2000",
    "timestamp_in_future": "more than 24 h after arrival",
    "mixed_epoch_units": "another epoch unit than the rest of the file: one unit a file",
    "missing_org_id": "org_id is required (but for entity_labelled); placeholders such as null do not count",
    "not_a_number": "expected a number such as 12.5, without thousands separators",
    "not_an_integer": "expected a whole number",
    "number_out_of_range": "outside what the column holds",
    "not_a_boolean": "expected true or false",
    "nul_character": "holds a NUL character",
    "invalid_utf8": "is not valid UTF-8",
    "nested_value": "expected a single value, found a list or an object",
    "too_long": "longer than ingest allows",
    "unknown_currency": "expected an ISO 4217 code such as EUR",
    "unknown_country": "expected an ISO 3166 code of two letters such as DE",
    "unknown_plan": "expected free, trial, paid or enterprise",
    "unknown_payment_kind": "expected card, prepaid, virtual, wallet or bank",
    "unknown_label": "expected abusive or legitimate",
    "unknown_entity_type": "expected an identifier's name such as ip, api_key or email",
    "missing_entity_type": "entity_key needs an entity_type that says what it is",
}
"""Every reason code, with what would be right. Details never quote a value: it may be a secret in a wrong column."""


class GrammarError(ValueError):
    """A value outside the grammar; `reason` is a key of DETAILS. The value itself is left out on purpose."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def as_text(value: Any) -> str | None:
    """The text form of a scalar of any source: what the same value would be in a CSV cell. None if absent.

    Whole floats lose their `.0` (pandas turns integer columns with gaps into floats). Raises GrammarError for lists and
    objects, undecodable bytes and lone surrogates.
    """
    if value is None:
        return None
    if isinstance(value, str):
        text = value
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, float):
        text = str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    elif isinstance(value, Decimal):
        text = format(value, "f")
    elif isinstance(value, datetime):
        text = value.isoformat(sep="T", timespec="microseconds")
    elif isinstance(value, (int, date)):
        text = str(value)
    else:
        text = _bytes_as_text(value)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise GrammarError("invalid_utf8") from error
    if "\0" in text:
        raise GrammarError("nul_character")
    return text if text.strip() else None


def _bytes_as_text(value: Any) -> str:
    if not isinstance(value, bytes):
        raise GrammarError("nested_value")
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise GrammarError("invalid_utf8") from error


def parse_number(text: str) -> Decimal:
    """A finite decimal number, exact. Raises GrammarError (not_a_number, number_out_of_range)."""
    bare = text.strip()
    if len(bare) > _MAX_DIGITS or not _NUMBER.match(bare):
        raise GrammarError("not_a_number")
    return Decimal(bare)


def parse_money(text: str, *, negative: bool) -> Decimal:
    """Money with six decimals, rounded half-even; below 10^12 in magnitude. Raises GrammarError."""
    number = parse_number(text)
    if number.adjusted() > 12:
        raise GrammarError("number_out_of_range")
    try:
        money = number.quantize(_SIXTH, context=_CONTEXT)
    except InvalidOperation as error:  # more digits than the context holds
        raise GrammarError("number_out_of_range") from error
    if abs(money) >= MONEY_LIMIT or (money < 0 and not negative):
        raise GrammarError("number_out_of_range")
    return money if money else Decimal("0.000000")


def parse_integer(text: str, low: int, high: int) -> int:
    """A whole number from `low` to `high`; `3`, `3.0` and `3e0` are the same. Raises GrammarError."""
    number = parse_number(text)
    if number.adjusted() > 20:
        raise GrammarError("number_out_of_range")
    if number.adjusted() < -100 or number != number.to_integral_value():
        if number:
            raise GrammarError("not_an_integer")
        return 0 if low <= 0 <= high else _out_of_range()
    whole = int(number)
    return whole if low <= whole <= high else _out_of_range()


def _out_of_range() -> int:
    raise GrammarError("number_out_of_range")


def parse_boolean(text: str) -> bool:
    """true, t, yes, y, 1 or false, f, no, n, 0 in any case. Raises GrammarError."""
    value = _BOOLEANS.get(text.strip().lower())
    if value is None:
        raise GrammarError("not_a_boolean")
    return value


def parse_moment(text: str, timezone: str | None = None, epoch_unit: str | None = None) -> int:
    """Microseconds since 1970 in UTC. Raises GrammarError.

    `timezone` is the IANA zone of times written without one (absent: such a time is refused; in the hour that a
    clock repeats the earlier reading counts). `epoch_unit` is the one unit of the file (absent: by magnitude).
    A leap second reads as the first second of the next minute.
    """
    bare = text.strip()
    match = _MOMENT.match(bare)
    if match is None:
        return _parse_epoch(bare, epoch_unit)
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    whole = int(second or 0)
    try:
        local = datetime(int(year), int(month), int(day), int(hour), int(minute), min(whole, 59))
    except ValueError as error:
        raise GrammarError("bad_timestamp") from error
    if whole > 60:
        raise GrammarError("bad_timestamp")
    micros = int((fraction or "")[:6].ljust(6, "0")) + (MICRO if whole == 60 else 0)
    naive = (local.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
    return naive + micros - _offset(local, zone, timezone)


def _offset(local: datetime, zone: str | None, timezone: str | None) -> int:
    if zone is None:
        if timezone is None:
            raise GrammarError("timestamp_without_zone")
        return local_offset(local, timezone)
    if zone in ("Z", "z", "UTC"):
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    if hours > 23 or minutes > 59:
        raise GrammarError("bad_timestamp")
    return (-1 if zone[0] == "-" else 1) * (hours * 60 + minutes) * 60 * MICRO


def local_offset(local: datetime, timezone: str) -> int:
    """How far the zone's clock was ahead of UTC at that local time, in microseconds."""
    offset = local.replace(tzinfo=ZoneInfo(timezone)).utcoffset()
    return (offset or timedelta()) // timedelta(microseconds=1)


def _parse_epoch(bare: str, epoch_unit: str | None) -> int:
    number = epoch_number(bare)
    unit = None if number is None else unit_of(number)
    if number is None or unit is None:
        raise GrammarError("bad_timestamp")
    if epoch_unit is not None and unit != epoch_unit:
        raise GrammarError("mixed_epoch_units")
    return int((number * MICROS_A_UNIT[unit]) // 1)


def epoch_number(text: str) -> Decimal | None:
    """The number that an epoch timestamp's text holds, or None if it is none."""
    bare = text.strip()
    if len(bare) > _MAX_DIGITS or not _NUMBER.match(bare):
        return None
    number = Decimal(bare)
    return number if abs(number.adjusted()) < 40 or not number else None


def unit_of(number: Decimal) -> str | None:
    """The unit of an epoch number by its magnitude, None where no unit fits."""
    size: Decimal = abs(number)
    return next((unit for unit, limit in UNIT_LIMITS.items() if size < limit), None)


def check_moment(micros: int, earliest: int, latest: int) -> int:
    """`micros` if it lies in the window (microseconds since 1970, both ends included). Raises GrammarError."""
    if micros < earliest:
        raise GrammarError("timestamp_too_old")
    if micros > latest:
        raise GrammarError("timestamp_in_future")
    return micros
