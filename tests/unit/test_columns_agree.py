"""The columns and the models give the same answer for every row, whatever the form its values come in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from graph.facts_schema import HIDDEN_FIELDS
from graph.identifiers import FIELD_KINDS, Keyer, Kind
from graph.spelling import has_hidden
from ingest.batch import Normalised, RawBatch
from ingest.events import EventV1, Reading, read_event, reasons
from ingest.fields import EVENT_TYPES, INTEGER_FIELDS, MONEY_FIELDS
from ingest.normalise import Normaliser

PEPPER = b"p" * 32
ARRIVED = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYER = Keyer(PEPPER)
EXACT_COLUMNS = {
    "country": "country",
    "plan": "plan",
    "program_id": "program_id",
    "payment_kind": "payment_kind",
    "model": "model",
    "action": "action",
    "reason": "reason",
    "label": "label",
    "label_source": "label_source",
    "entity_type": "entity_type",
    "tokens": "tokens",
    "status_code": "status_code",
    "attested": "attested",
    "occurred_at": "occurred_at",
    "event_id": "event_id",
    **{field: column for field, (column, _) in MONEY_FIELDS.items()},
}

NASTY = st.one_of(
    st.sampled_from(
        ["", " ", "\t", "null", "N/A", "-", "0", "nan", "Infinity", "\u200b", "a\0b", "\x1c", "\x85"]
    ),
    st.text(max_size=8),
    st.text(st.sampled_from("0123456789.eE+-: TZ"), max_size=26),
)
NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=8).map(lambda d: format(d, "f")),
    st.floats().map(repr),
    st.sampled_from(
        ["1e3", "1.0000005", "1.0000015", ".5", "5.", "+7", "-0", "1_000", "1,5", "٣", " 4 ", "3.0", "1e-999"]
    ),
)
MOMENTS = st.one_of(
    st.datetimes(datetime(1999, 12, 30), datetime(2026, 3, 4)).flatmap(
        lambda moment: st.sampled_from(
            [
                moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
                moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
                moment.strftime("%Y-%m-%d %H:%M:%S.%f+05:30"),
                moment.strftime("%Y-%m-%dT%H:%M:%S-0800"),
                moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:23],
                moment.strftime("%Y-%m-%dT%H:%M:60Z"),
                moment.strftime("%Y-%m-%dT%H:%M:%S.%f123z"),
                str(int(moment.replace(tzinfo=UTC).timestamp())),
                f"{int(moment.replace(tzinfo=UTC).timestamp())}.25",
                str(int(moment.replace(tzinfo=UTC).timestamp() * 1000)),
                str(int(moment.replace(tzinfo=UTC).timestamp() * 10**9)),
            ]
        )
    ),
    st.sampled_from(
        [
            "2026-02-30T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2025-13-01T00:00:00Z",
            "2026-01-01",
            "0000-01-01T00:00:00Z",
            "2026-01-01T00:00:00+99:00",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00,5Z",
            "２026-01-01T00:00:00Z",
        ]
    ),
)
TYPES = st.sampled_from(
    [*EVENT_TYPES, "Inference", "infer\u200bence", "ｉnference", " refunded ", "click", ""]
)
IDS = st.one_of(
    st.sampled_from(
        ["org_1", "Org_1", "ORG 1", "null", "unknown", "deadBEEF", "00000000-0000-0000-0000-000000000000",
         "6F9619FF-8B86-D011-B42D-00CF4FC964FF",
         "{6F9619FF-8B86-D011-B42D-00CF4FC964FF}", "aa:bb:cc:dd:ee:ff", "oｒg", "o\u200brg", "х", "1.2.3.4",
         "127.0.0.1",
         "::ffff:10.1.2.3", "2001:db8::1", "[2001:DB8::1]:443", "1.2.3.4:80", "J.Doe+x@Gmail.com", "a@bücher.de",
         "noreply@x.com", "+1 415 555 2671", "+10000000000", "12", "sk-Abcdef0123456789", "4111 1111 1111 1111",
         "hmac:v1:" + "ab" * 32 + ":1234:US:mobile:", "hmac:v1:zz", "0", "1.0", "ffffff", "⑫", "ﬁ"]
    ),
    st.text(max_size=12),
)  # fmt: skip
WORDS = {
    "country": ["DE", "us", "ＵＳ", "USA", "XX", "T1", ""],
    "currency": ["EUR", "usd", "BTC", "n/a"],
    "plan": ["free", "Trial", "pro", "unknown"],
    "payment_kind": ["card", "CARD", "cash"],
    "label": ["abusive", "Legitimate", "bad"],
    "entity_type": ["ip", "API_KEY", "e-mail", "email", "phone", "org_id", "name"],
    "payment_bin": ["411111", "4111111111111111", "ABC"],
    "attested": ["true", "False", "1", "no", "maybe"],
}


def texts(field: str) -> st.SearchStrategy[str | None]:
    """Values of one field as text cells, mostly of its kind."""
    if field in ("occurred_at", "ingested_at"):
        usual: st.SearchStrategy[str] = MOMENTS
    elif field in MONEY_FIELDS or field in INTEGER_FIELDS:
        usual = NUMBERS
    elif field == "event_type":
        usual = TYPES
    elif field in WORDS:
        usual = st.sampled_from(WORDS[field])
    else:
        usual = IDS
    return st.one_of(st.none(), usual, usual, usual, NASTY)


FIELDS = sorted(set(EventV1.model_fields))
GOOD = {"event_type": "inference", "occurred_at": "2026-02-01T00:00:00Z", "org_id": "org_9"}


@st.composite
def text_rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    chosen = draw(st.lists(st.sampled_from(FIELDS), max_size=6, unique=True))
    rows = draw(
        st.lists(st.fixed_dictionaries({field: texts(field) for field in chosen}), min_size=1, max_size=6)
    )
    return [{**GOOD, **row} for row in rows]


def normalise(batch: RawBatch, reading: Reading) -> Normalised:
    normaliser = Normaliser(
        PEPPER, "s", reading.arrived_at, reading.settings, reading.timezone, reading.epoch_unit
    )
    return normaliser.normalise(batch)


def batch_of(rows: list[dict[str, Any]], types: Mapping[str, pa.DataType]) -> RawBatch:
    names = list(rows[0])
    columns = {name: pa.array([row[name] for row in rows], types.get(name, pa.string())) for name in names}
    return RawBatch(columns, len(rows), "f", pa.array(range(1, len(rows) + 1), pa.int64()))


def check(rows: list[dict[str, Any]], types: Mapping[str, pa.DataType], reading: Reading) -> None:
    batch = batch_of(rows, types)
    result = normalise(batch, reading)
    rejected = {one.row: one for one in result.rejected}
    stored = {int(row): place for place, row in enumerate(result.rows)}
    assert sorted([*rejected, *stored]) == list(range(len(rows)))
    events = result.events.to_pylist()
    for at in range(len(rows)):
        event, problems = judged(
            {name: column[at].as_py() for name, column in batch.columns.items()}, reading
        )
        if event is None:
            assert at in rejected, (rows[at], problems)
            assert rejected[at].reason in problems
        else:
            assert at in stored, (rows[at], rejected[at])
            compare(event, events[stored[at]], reading)


def judged(row: dict[str, Any], reading: Reading) -> tuple[EventV1 | None, set[str]]:
    try:
        return read_event(row, reading), set()
    except ValidationError as error:
        return None, reasons(error)


def compare(event: EventV1, fact: dict[str, Any], reading: Reading) -> None:
    said = event.model_dump()
    for field, column in EXACT_COLUMNS.items():
        if field == "event_id" and said[field] is None:
            continue
        assert fact[column] == said[field], field
    assert fact["event_type"] == event.event_type
    assert fact["requests"] == (1 if event.requests is None else event.requests)
    assert fact["ingested_at"] == (event.ingested_at or reading.arrived_at)
    money = any(said[field] is not None for field in MONEY_FIELDS)
    assert fact["currency"] == (event.currency or ("USD" if money else None))
    for field, kind in FIELD_KINDS.items():
        column = {"other_org_id": "other_organization", "referrer_org_id": "referrer_organization"}.get(
            field, kind.value
        )
        if kind is Kind.CONSUMER and said[field] is None:
            continue
        same_key(fact[column], None if said[field] is None else KEYER.identify(kind, said[field]))
    if event.entity_key is not None:
        same_key(fact["entity"], KEYER.identify(Kind(str(event.entity_type)), event.entity_key))
    for bit, field in enumerate(HIDDEN_FIELDS):
        if field in FIELD_KINDS and said[field] is not None and not str(said[field]).startswith("hmac:"):
            stop = KEYER.identify(FIELD_KINDS[field], said[field]) is None
            assert stop or bool(fact["hidden"] >> bit & 1) == has_hidden(said[field]), field


def same_key(stored: Any, expected: bytes | None) -> None:
    assert (None if stored is None else stored.bytes) == expected


@settings(max_examples=400, deadline=None)
@given(
    rows=text_rows(),
    timezone=st.sampled_from([None, "Europe/Berlin", "America/St_Johns"]),
    unit=st.sampled_from(["s", "ms", "us"]),
)
def test_text_cells(rows: list[dict[str, Any]], timezone: str | None, unit: str) -> None:
    check(rows, {}, Reading(ARRIVED, timezone=timezone, epoch_unit=unit))


SPAN = (datetime(1999, 12, 30), datetime(2026, 3, 4))
TYPED: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "int64": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "uint64": (pa.uint64(), st.one_of(st.integers(0, 2**64 - 1), st.just(2**63))),
    "int16": (pa.int16(), st.integers(-(2**15), 2**15 - 1)),
    "float64": (pa.float64(), st.one_of(st.floats(), st.floats(0, 1000), st.integers(0, 10**7).map(float),
                                        st.integers(0, 10**9).map(lambda n: n / 2e6))),
    "float32": (pa.float32(), st.floats(width=32)),
    "bool": (pa.bool_(), st.booleans()),
    "decimal": (pa.decimal128(20, 4), st.decimals(-(10**14), 10**14, places=4)),
    "fine decimal": (pa.decimal128(38, 12), st.decimals(-(10**14), 10**14, places=12)),
    "timestamp": (pa.timestamp("us", "UTC"), st.datetimes(*SPAN, timezones=st.just(UTC))),
    "seconds": (pa.timestamp("s", "Asia/Tokyo"), st.integers(946_000_000, 1_800_000_000)),
    "local": (pa.timestamp("ms"), st.datetimes(*SPAN).map(
        lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000))),
    "date": (pa.date32(), st.dates(datetime(1999, 1, 1).date(), datetime(2027, 1, 1).date())),
    "large": (pa.large_string(), NASTY),
    "view": (pa.string_view(), NASTY),
    "dictionary": (pa.dictionary(pa.int32(), pa.string()), IDS),
    "binary": (pa.binary(), st.one_of(st.binary(max_size=6), IDS.map(lambda text: text.encode()))),
}  # fmt: skip


@st.composite
def typed_rows(draw: st.DrawFn) -> tuple[list[dict[str, Any]], dict[str, pa.DataType]]:
    chosen = draw(st.lists(st.sampled_from(FIELDS), min_size=1, max_size=5, unique=True))
    forms = {field: TYPED[draw(st.sampled_from(sorted(TYPED)))] for field in chosen}
    cells = {field: st.one_of(st.none(), values, values, values) for field, (_, values) in forms.items()}
    rows = draw(st.lists(st.fixed_dictionaries(cells), min_size=1, max_size=6))
    return [{**GOOD, **row} for row in rows], {field: kind for field, (kind, _) in forms.items()}


@settings(max_examples=600, deadline=None)
@given(
    drawn=typed_rows(),
    timezone=st.sampled_from([None, "Europe/Berlin", "America/St_Johns"]),
    unit=st.sampled_from(["s", "ms", "us"]),
)
def test_typed_columns(
    drawn: tuple[list[dict[str, Any]], dict[str, pa.DataType]], timezone: str | None, unit: str
) -> None:
    check(*drawn, Reading(ARRIVED, timezone=timezone, epoch_unit=unit))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(st.floats(-1e12, 1e12), st.integers(0, 2 * 10**9).map(lambda n: n / 2e6)),
        min_size=1,
        max_size=20,
    )
)
def test_floats_are_rounded_by_their_shortest_text(values: list[float]) -> None:
    check([{**GOOD, "amount_usd": value} for value in values], {"amount_usd": pa.float64()}, Reading(ARRIVED))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.datetimes(datetime(2020, 1, 1), datetime(2026, 2, 28)), min_size=1, max_size=20))
def test_local_times_around_clock_changes(moments: list[datetime]) -> None:
    near = [
        datetime(2025, 3, 30, 2, 30),
        datetime(2025, 10, 26, 2, 30),
        datetime(2025, 10, 26, 3, 0),
        *moments,
    ]
    reading = Reading(ARRIVED, timezone="Europe/Berlin")
    check([{**GOOD, "occurred_at": moment} for moment in near], {"occurred_at": pa.timestamp("us")}, reading)
    texts = [{**GOOD, "occurred_at": moment.isoformat(sep=" ", timespec="seconds")} for moment in near]
    check(texts, {}, reading)


def test_money_keeps_every_digit() -> None:
    rows = [{**GOOD, "cost_usd": text} for text in ("999999999999.999999", "0.000001", "123456789012.123456")]
    result = normalise(batch_of(rows, {}), Reading(ARRIVED))
    assert result.events["cost"].to_pylist() == [Decimal(row["cost_usd"]) for row in rows]


def test_the_window_includes_its_ends() -> None:
    latest = ARRIVED + timedelta(hours=24)
    ends = [datetime(2000, 1, 1, tzinfo=UTC), latest]
    beyond = [ends[0] - timedelta(microseconds=1), latest + timedelta(microseconds=1)]
    rows = [{**GOOD, "occurred_at": moment.isoformat()} for moment in (*ends, *beyond)]
    result = normalise(batch_of(rows, {}), Reading(ARRIVED))
    assert result.rows.tolist() == [0, 1]
    assert [one.reason for one in result.rejected] == ["timestamp_too_old", "timestamp_in_future"]
