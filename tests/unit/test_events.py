"""The event record as models: what is accepted, what is refused and why."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ingest.events import EventV1, Reading, event_schema, read_event, reasons
from ingest.fields import EVENT_TYPES, KNOWN_FIELDS
from ingest.grammar import DETAILS, parse_moment
from ingest.settings import IngestSettings

ARRIVED = datetime(2026, 3, 1, 12, tzinfo=UTC)
READING = Reading(ARRIVED)
GOOD: dict[str, Any] = {"event_type": "inference", "occurred_at": "2026-02-01T00:00:00Z", "org_id": "org_9"}


def read(reading: Reading = READING, **fields: Any) -> EventV1:
    return read_event({**GOOD, **fields}, reading)


def refused(reading: Reading = READING, **fields: Any) -> set[str]:
    with pytest.raises(ValidationError) as caught:
        read(reading, **fields)
    return reasons(caught.value)


def test_the_models_know_every_field_and_only_those() -> None:
    assert set(EventV1.model_fields) == KNOWN_FIELDS


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_every_event_type_needs_no_more_than_the_required_fields(event_type: str) -> None:
    assert read(event_type=event_type).event_type == event_type


def test_only_entity_labels_do_without_an_organization() -> None:
    assert (
        read(event_type="entity_labelled", org_id=None, entity_type="ip", entity_key="203.0.113.9").org_id
        is None
    )
    assert refused(org_id=None) == {"missing_org_id"}
    assert refused(org_id=" ") == {"missing_org_id"}
    assert refused(org_id="NULL") == {"missing_org_id"}


def test_unknown_columns_are_kept() -> None:
    assert read(colour="blue", size=3).model_extra == {"colour": "blue", "size": 3}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31 12:00:00.123456789+05:30", datetime(2026, 1, 31, 6, 30, 0, 123456, tzinfo=UTC)),
        ("2026-01-31t12:00z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T23:59:60Z", datetime(2026, 2, 1, tzinfo=UTC)),
        (1769860800, datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("1769860800000", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        (1769860800000001, datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC)),
        (1769860800.5, datetime(2026, 1, 31, 12, 0, 0, 500000, tzinfo=UTC)),
        ("1.7698608e9", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        (datetime(2026, 1, 31, 12, tzinfo=UTC), datetime(2026, 1, 31, 12, tzinfo=UTC)),
    ],
)
def test_times_in_all_forms(text: Any, expected: datetime) -> None:
    assert read(occurred_at=text).occurred_at == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "missing_occurred_at"),
        ("", "missing_occurred_at"),
        ("yesterday", "bad_timestamp"),
        ("2026-02-30T00:00:00Z", "bad_timestamp"),
        ("2026-01-01T24:00:00Z", "bad_timestamp"),
        ("2026-01-01T00:00:00+24:00", "bad_timestamp"),
        (date(2026, 1, 1), "bad_timestamp"),
        (10**18, "bad_timestamp"),
        (float("nan"), "bad_timestamp"),
        (float("inf"), "bad_timestamp"),
        ("2026-01-01T00:00:00", "timestamp_without_zone"),
        (datetime(2026, 1, 1), "timestamp_without_zone"),
        ("1999-12-31T23:59:59Z", "timestamp_too_old"),
        (5, "timestamp_too_old"),
        (-5, "timestamp_too_old"),
        ("2026-03-02T12:00:01Z", "timestamp_in_future"),
        ("9999-12-31T23:59:59Z", "timestamp_in_future"),
        ([1], "nested_value"),
    ],
)
def test_times_refused(value: Any, reason: str) -> None:
    assert refused(occurred_at=value) == {reason}


def test_a_zone_for_times_without_one() -> None:
    berlin = Reading(ARRIVED, timezone="Europe/Berlin")
    assert read(berlin, occurred_at="2026-02-01T01:00:00").occurred_at == datetime(2026, 2, 1, tzinfo=UTC)
    assert read(berlin, occurred_at="2026-02-01T01:00:00Z").occurred_at == datetime(2026, 2, 1, 1, tzinfo=UTC)


def test_one_epoch_unit_a_file() -> None:
    assert refused(Reading(ARRIVED, epoch_unit="s"), occurred_at=1769860800000) == {"mixed_epoch_units"}


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)), st.integers(-23 * 60, 23 * 60))
def test_rfc_3339_agrees_with_the_standard_library(moment: datetime, minutes: int) -> None:
    sign, size = ("-" if minutes < 0 else "+"), abs(minutes)
    text = f"{moment.isoformat()}{sign}{size // 60:02}:{size % 60:02}"
    delta = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
    assert parse_moment(text) == (delta.days * 86_400 + delta.seconds) * 10**6 + delta.microseconds


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("12.5", "12.5"),
        (12.5, "12.5"),
        (0.1, "0.1"),
        (3, "3"),
        (Decimal("1.10"), "1.1"),
        ("1e-6", "0.000001"),
        ("1.0000005", "1"),
        ("1.0000015", "1.000002"),
        ("999999999999.999999", "999999999999.999999"),
        ("-0", "0"),
        (" 7 ", "7"),
    ],
)
def test_money_is_exact_and_rounded_half_even(value: Any, expected: str) -> None:
    assert read(amount_usd=value).amount_usd == Decimal(expected)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("amount_usd", "1,000.00", "not_a_number"),
        ("amount_usd", "1_000", "not_a_number"),
        ("amount_usd", "٣", "not_a_number"),
        ("amount_usd", float("nan"), "not_a_number"),
        ("amount_usd", "Infinity", "not_a_number"),
        ("amount_usd", True, "not_a_number"),
        ("amount_usd", "1000000000000", "number_out_of_range"),
        ("amount_usd", "999999999999.9999999", "number_out_of_range"),
        ("amount_usd", 1e300, "number_out_of_range"),
        ("cost_usd", "-0.01", "number_out_of_range"),
        ("tokens", "-1", "number_out_of_range"),
        ("tokens", 2**63, "number_out_of_range"),
        ("tokens", "1e30", "number_out_of_range"),
        ("tokens", 1.5, "not_an_integer"),
        ("status_code", 70000, "number_out_of_range"),
        ("attested", "perhaps", "not_a_boolean"),
        ("currency", "BTC", "unknown_currency"),
        ("country", "Germany", "unknown_country"),
        ("plan", "pro", "unknown_plan"),
        ("payment_kind", "cash", "unknown_payment_kind"),
        ("label", "bad", "unknown_label"),
        ("entity_type", "thing", "unknown_entity_type"),
        ("entity_key", "sk-1", "missing_entity_type"),
        ("event_type", "click", "unknown_event_type"),
        ("event_type", "", "missing_event_type"),
        ("reason", "a\0b", "nul_character"),
        ("reason", "x" * 4097, "too_long"),
        ("user_id", "x" * 65_537, "too_long"),
        ("user_id", "\ud800", "invalid_utf8"),
        ("user_id", b"\xff", "invalid_utf8"),
        ("user_id", {"a": 1}, "nested_value"),
    ],
)
def test_values_refused(field: str, value: Any, reason: str) -> None:
    assert refused(**{field: value}) == {reason}


def test_long_identifiers_are_kept() -> None:
    assert read(device_id="x" * 10_000).device_id == "x" * 10_000
    assert refused(Reading(ARRIVED, IngestSettings(max_identifier=10)), device_id="x" * 11) == {"too_long"}


def test_event_types_are_recognised_under_hidden_characters() -> None:
    assert read(event_type=" Infer\u200bence\ufeff ").event_type == "inference"


def test_words_are_folded_and_placeholders_are_nothing() -> None:
    event = read(
        plan="TRIAL", country="de", currency="eur", program_id="Unknown", model="GPT-X", payment_bin="4" * 16
    )
    assert (event.plan, event.country, event.currency) == ("trial", "DE", "EUR")
    assert (event.program_id, event.model, event.payment_bin) == (None, "GPT-X", "44444444")


def test_no_problem_quotes_a_value() -> None:
    with pytest.raises(ValidationError) as caught:
        read(cost_usd="sk-live-secret")
    assert all("sk-live-secret" not in detail for detail in [*DETAILS.values(), *reasons(caught.value)])


def test_the_schema_names_every_field() -> None:
    assert set(event_schema()["properties"]) == KNOWN_FIELDS
