"""The normaliser: batches in, facts out; nothing lost, no secret kept."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.facts_schema import EVENTS, HIDDEN_FIELDS, KEY_COLUMNS, VALUES
from graph.identifiers import Keyer, Kind
from ingest.batch import Normalised, RawBatch
from ingest.fingerprints import derived_event_id
from ingest.normalise import Normaliser
from ingest.redaction import redact
from ingest.settings import IngestSettings
from ingest.strings import hash_strings

PEPPER = b"p" * 32
KEYER = Keyer(PEPPER)
ARRIVED = datetime(2026, 3, 1, 12, tzinfo=UTC)
GOOD: dict[str, Any] = {"event_type": "inference", "occurred_at": "2026-02-01T00:00:00Z", "org_id": "org_9"}
SECRETS = ("sk-live-0123456789abcd", "4111 1111 1111 1234", "+1 415 555 2671")


def batch(*rows: dict[str, Any], types: dict[str, pa.DataType] | None = None, **more: Any) -> RawBatch:
    full = [{**GOOD, **row} for row in rows]
    names = list(dict.fromkeys(name for row in full for name in row))
    kinds = types or {}
    columns = {
        name: pa.array([row.get(name) for row in full], kinds.get(name, pa.string())) for name in names
    }
    return RawBatch(columns, len(full), "f", pa.array(range(1, len(full) + 1), pa.int64()), **more)


def normalise(*rows: dict[str, Any], source: str = "default", **more: Any) -> Normalised:
    return normaliser(source).normalise(batch(*rows, **more))


def normaliser(source: str = "default", **more: Any) -> Normaliser:
    return Normaliser(PEPPER, source, ARRIVED, **more)


def reasons(result: Normalised) -> list[str]:
    return [one.reason for one in result.rejected]


def words(column: pa.ChunkedArray) -> list[str | None]:
    return [None if key is None else key.hex for key in column.to_pylist()]


def test_shapes_and_schemas() -> None:
    result = normalise({"event_id": "a"}, {"event_id": "b", "cost_usd": "x"}, {"event_id": "c"})
    assert result.events.schema == EVENTS
    assert result.values.schema == VALUES
    assert result.rows.tolist() == [0, 2]
    assert [(one.row, one.reason, one.field) for one in result.rejected] == [(1, "not_a_number", "cost_usd")]
    assert len(result.ids) == len(result.content) == result.events.num_rows == 2
    assert result.ids.dtype == result.content.dtype == np.uint64


@pytest.mark.parametrize("rows", [[], [{"event_type": "click"}], [{"org_id": None}, {"occurred_at": "x"}]])
def test_batches_without_an_event(rows: list[dict[str, Any]]) -> None:
    columns = {name: pa.array([{**GOOD, **row}[name] for row in rows], pa.string()) for name in GOOD}
    result = normaliser().normalise(RawBatch(columns, len(rows), "f", pa.array([1] * len(rows), pa.int64())))
    assert result.events.num_rows == result.values.num_rows == 0
    assert result.events.schema == EVENTS
    assert len(result.rejected) == len(rows)


def test_files_without_a_required_column() -> None:
    result = normaliser().normalise(RawBatch({"a": pa.array(["1", "2"])}, 2, "f", pa.array([1, 2])))
    assert reasons(result) == ["missing_event_type", "missing_event_type"]


def test_rows_that_the_source_rejects_stay_rejected() -> None:
    result = normalise({}, {}, errors={1: "invalid_json"})
    assert reasons(result) == ["invalid_json"]
    assert result.rows.tolist() == [0]


def test_the_same_in_another_process() -> None:
    rows = batch({"email": "a@b.c", "api_key": SECRETS[0], "ip": "203.0.113.9"}, {"cost_usd": "1.5"})
    first = normaliser().normalise(rows)
    again = pickle.loads(pickle.dumps(normaliser())).normalise(pickle.loads(pickle.dumps(rows)))  # noqa: S301
    assert first.events.equals(again.events)
    assert first.values.equals(again.values)
    assert first.ids.tolist() == again.ids.tolist()
    assert first.content.tolist() == again.content.tolist()


def test_keys_of_every_identifier() -> None:
    result = normalise(
        {
            "user_id": "u", "ip": "::ffff:203.0.113.9", "device_id": "AABB", "tls_fingerprint": "t13",
            "user_agent": "curl",
            "api_key": SECRETS[0], "payment_method": SECRETS[1], "phone": SECRETS[2], "email": "A.B@gmail.com",
            "org_name": "Acme 12", "referral_code": "Friend", "promo_code": "GO", "payout_id": "p1",
            "other_org_id": "org_1", "referrer_org_id": "org_2", "consumer_id": "c1",
        },
        {"email": "x@acme.io"},
    )  # fmt: skip
    row, other = result.events.to_pylist()
    assert row["organization"].bytes == KEYER.identify(Kind.ORGANIZATION, "org_9")
    assert row["ip"].bytes == KEYER.identify(Kind.IP, "203.0.113.9")
    assert row["ip_network"].bytes == KEYER.identify(Kind.IP_NETWORK, "203.0.113.9")
    assert row["name"].bytes == KEYER.identify(Kind.NAME, "acme 7")
    assert row["other_organization"].bytes == KEYER.identify(Kind.ORGANIZATION, "org_1")
    assert row["email_domain"] is None
    assert other["email_domain"].bytes == KEYER.identify(Kind.EMAIL_DOMAIN, "acme.io")
    assert (row["phone_country"], row["phone_type"], row["payment_bin"]) == (
        "US",
        "fixed_or_mobile",
        "411111",
    )
    assert [name for name in KEY_COLUMNS if row[name] is None] == ["email_domain", "entity"]


def test_a_consumer_is_address_and_client_together() -> None:
    seen = {"ip": "203.0.113.9", "user_agent": "curl"}
    result = normalise(
        seen,
        {**seen, "org_id": "org_8"},
        {**seen, "ip": "203.0.113.10"},
        {**seen, "event_type": "session_started"},
        {"ip": "203.0.113.9"},
        {"user_agent": "curl"},
        {**seen, "consumer_id": "c1"},
    )
    first, same, other, session, address, agent, named = words(result.events["consumer"])
    assert first == same != other
    assert first is not None
    assert session is address is agent is None
    assert named == KEYER.key(Kind.CONSUMER, "c1").hex()


def test_entities_get_the_key_of_their_kind() -> None:
    label = {"event_type": "entity_labelled", "org_id": None, "label": "abusive"}
    result = normalise(
        {**label, "entity_type": "API_KEY", "entity_key": SECRETS[0]},
        {**label, "entity_type": "email", "entity_key": "A.B@gmail.com"},
        {**label, "entity_type": "ip", "entity_key": "0.0.0.0"},  # noqa: S104
        {**label, "entity_type": "network", "entity_key": "203.0.113.0/24"},
        {"api_key": SECRETS[0], "email": "ab@googlemail.com", "ip": "203.0.113.77"},
    )
    entities, event = words(result.events["entity"]), result.events.to_pylist()[4]
    assert entities[0] == event["api_key"].hex
    assert entities[1] == event["mailbox"].hex
    assert entities[2] is None
    assert entities[3] == event["ip_network"].hex
    assert result.events["entity_type"].to_pylist() == ["api_key", "mailbox", "ip", "ip_network", None]


def test_values_hold_what_keys_stand_for() -> None:
    result = normalise(
        {"email": "A.B@Gmail.com", "ip": "203.0.113.9"},
        {"email": "A.B@Gmail.com", "org_id": "org_8"},
        {"email": "ab@gmail.com"},
        {"email": "null"},
    )
    rows = [row for row in result.values.to_pylist() if row["kind"] == "mailbox"]
    assert [(row["raw"], row["canonical"], row["display"]) for row in rows] == [
        ("A.B@Gmail.com", "ab@gmail.com", "A.B@Gmail.com"),
        ("ab@gmail.com", "ab@gmail.com", "ab@gmail.com"),
    ]
    assert {row["organization"].bytes for row in rows} == {KEYER.identify(Kind.ORGANIZATION, "org_9")}
    networks = [row for row in result.values.to_pylist() if row["kind"] == "ip_network"]
    assert [row["display"] for row in networks] == ["203.0.113.0/24"]
    organizations = [row for row in result.values.to_pylist() if row["kind"] == "organization"]
    assert [(row["raw"], row["key"]) for row in organizations] == [
        (r["raw"], r["organization"]) for r in organizations
    ]


def test_hidden_characters_are_flagged_and_shown_for_every_organization() -> None:
    name = "Ac\u200bme"
    result = normalise(
        {"org_name": name}, {"org_name": name}, {"org_name": name, "org_id": "org_8"},
        {"event_type": "infer\u200bence"}, {"org_id": "org\u200b_9"}, {"event_id": "e\u00ad1"},
    )  # fmt: skip
    flags = result.events["hidden"].to_pylist()
    names = [HIDDEN_FIELDS.index(field) for field in ("org_name", "event_type", "org_id", "event_id")]
    assert flags == [1 << names[0]] * 3 + [1 << names[1], 1 << names[2], 1 << names[3]]
    rows = [row for row in result.values.to_pylist() if row["kind"] == "name"]
    assert [(row["raw"], row["display"], row["hidden"]) for row in rows] == [(name, "Ac<U+200B>me", True)] * 2
    assert len({row["organization"] for row in rows}) == 2
    assert result.events["event_type"].to_pylist() == ["inference"] * 6
    assert result.events["event_id"].to_pylist()[5] == "e\u00ad1"
    assert words(result.events["organization"])[4] != words(result.events["organization"])[0]


def everything(result: Normalised) -> str:
    return repr([result.events.to_pylist(), result.values.to_pylist(), result.rejected])


@pytest.mark.parametrize("field", ["api_key", "payment_method", "phone"])
@pytest.mark.parametrize("secret", [*SECRETS, "\u200bsk-hidden-987654321"])
def test_secrets_are_in_nothing_that_is_returned(field: str, secret: str) -> None:
    label = {"event_type": "entity_labelled", "entity_type": field, "entity_key": secret}
    bad = {field: secret, "cost_usd": secret, "tokens": secret, "event_type": secret, "occurred_at": secret}
    disguised = {f"{field} ".upper().replace("_", "-"): secret}
    text = everything(normalise({field: secret}, label, bad, disguised, {field: secret, "country": secret}))
    digits = "".join(c for c in secret if c.isalnum())
    assert secret not in text
    assert secret.strip("\u200b") not in text
    assert digits not in text


def test_secrets_in_json_extras_are_hashed() -> None:
    extra = pa.array([orjson.dumps({"nested": {"api_key": SECRETS[0]}, "b": 1}).decode(), None], pa.string())
    result = normalise({}, {}, extra=extra)
    assert SECRETS[0] not in everything(result)
    assert json.loads(result.events["extra"][0].as_py())["b"] == 1


@pytest.mark.parametrize("field", ["api_key", "payment_method", "phone"])
@pytest.mark.parametrize("secret", [*SECRETS, "sk\u200b-hidden-987654321", "null", "short"])
def test_a_redacted_row_is_the_same_event(field: str, secret: str) -> None:
    rows = [
        {"event_id": "e", field: secret},
        {"event_id": "f", "event_type": "entity_labelled", "entity_type": field, "entity_key": secret},
    ]
    redacted = [redact(row, PEPPER) for row in rows]
    first, again = normalise(*rows), normalise(*redacted)
    assert first.events.equals(again.events)
    assert first.content.tolist() == again.content.tolist()
    assert first.values["display"].equals(again.values["display"])


def test_event_ids_are_exact_or_derived() -> None:
    raw = ["a", "b", "b"]
    result = normalise({"event_id": " Ünique "}, {}, {}, raw=raw, ordinals=pa.array([0, 0, 1], pa.int64()))
    expected = [" Ünique ", derived_event_id("default", "b", 0), derived_event_id("default", "b", 1)]
    assert result.events["event_id"].to_pylist() == expected
    assert len(set(result.ids.tolist())) == 3
    assert derived_event_id("other", "b", 0) != expected[1]


def test_typed_rows_without_ids_are_told_apart_by_what_they_hold() -> None:
    ids = [
        normalise({"tokens": n}, types={"tokens": pa.int64()}).events["event_id"][0].as_py()
        for n in (1, 2, 1)
    ]
    assert ids[0] == ids[2] != ids[1]


def test_ids_depend_on_source_and_pepper() -> None:
    ids = {normalise({"event_id": "a"}, source=source).ids[0] for source in ("default", "other")}
    ids.add(Normaliser(b"q" * 32, "default", ARRIVED).normalise(batch({"event_id": "a"})).ids[0])
    assert len(ids) == 3


def test_content_is_what_a_row_says() -> None:
    one = {"event_id": "e", "email": "A.B@gmail.com", "cost_usd": "1.50", "colour": "red", "requests": None}
    spelled = {
        **one,
        "email": "ab@gmail.com",
        "cost_usd": "1.5",
        "requests": "1",
        "ingested_at": "2026-02-02T00:00:00Z",
    }
    other = [
        {**one, name: value}
        for name, value in [("email", "x@gmail.com"), ("cost_usd", "2"), ("colour", "blue")]
    ]
    moved = {**one, "email": None, "org_name": "ab@gmail.com"}
    prints = normalise(one, spelled, *other, moved).content.tolist()
    assert prints[0] == prints[1]
    assert len(set(prints)) == 5


def test_content_does_not_depend_on_the_batch() -> None:
    rows = [
        {"event_id": str(n), "plan": plan, "email": f"u{n}@acme.io"}
        for n, plan in enumerate(["free", "trial", None])
    ]
    alone = [normalise(row).content[0] for row in rows]
    assert normalise(*rows).content.tolist() == alone
    assert normalise(*rows[::-1]).content.tolist() == alone[::-1]


def test_fingerprints_are_the_same_on_every_machine_and_version() -> None:
    result = normalise({"event_id": "e-1", "cost_usd": "0.25", "ip": "203.0.113.9"})
    assert (int(result.ids[0]), int(result.content[0])) == (6779164954610257464, 2187374959047798031)


@given(
    st.lists(
        st.one_of(st.none(), st.text(max_size=40), st.text("ab", min_size=240, max_size=300)), max_size=12
    )
)
def test_string_fingerprints_depend_on_the_text_alone(texts: list[str | None]) -> None:
    together = hash_strings(pa.array(["padding", *texts], pa.string()).slice(1), 7)
    assert together.tolist() == [hash_strings(pa.array([text], pa.string()), 7)[0] for text in texts]
    assert len(set(together.tolist())) == len(set(texts))


def test_epoch_unit_is_decided_by_the_first_plausible_value() -> None:
    result = normalise(
        *({"occurred_at": text} for text in ("5", "1769860800000", "1769860800", "1769860800001"))
    )
    assert result.epoch_unit == "ms"
    assert reasons(result) == ["mixed_epoch_units", "mixed_epoch_units"]
    assert result.rows.tolist() == [1, 3]
    known = normaliser(epoch_unit="s").normalise(batch({"occurred_at": "1769860800000"}))
    assert reasons(known) == ["mixed_epoch_units"]
    assert normalise({}).epoch_unit is None


def test_defaults() -> None:
    settings = IngestSettings(currency="EUR")
    result = normaliser(settings=settings).normalise(
        batch(
            {"cost_usd": "1"},
            {"cost_usd": "1", "currency": "usd"},
            {},
            {"ingested_at": "2026-02-02T00:00:00Z"},
        )
    )
    assert result.events["currency"].to_pylist() == ["EUR", "USD", None, None]
    assert result.events["requests"].to_pylist() == [1] * 4
    assert result.events["ingested_at"].to_pylist() == [ARRIVED] * 3 + [datetime(2026, 2, 2, tzinfo=UTC)]


def test_unknown_columns_become_extra() -> None:
    types = {"n": pa.int64(), "tags": pa.list_(pa.string())}
    result = normalise(
        {"n": 5, "tags": ["a"], "colour": "red"}, {"colour": " "}, {"tags": ["\0"]}, types=types
    )
    assert result.events["extra"].to_pylist() == ['{"colour":"red","n":5,"tags":["a"]}', None]
    assert reasons(result) == ["nul_character"]


def test_ten_thousand_unknown_columns() -> None:
    result = normalise({f"c{n}": str(n) for n in range(10_000)}, {})
    assert len(json.loads(result.events["extra"][0].as_py())) == 10_000
    assert result.events["extra"][1].as_py() is None


def test_a_megabyte_in_unknown_and_known_columns() -> None:
    long = "x" * (1 << 20)
    result = normalise({"note": long}, {"device_id": long}, {"device_id": "x" * 10_000})
    assert reasons(result) == ["too_long"]
    assert len(result.events["extra"][0].as_py()) > len(long)
    assert result.events["device"][1].as_py() is not None


@pytest.mark.parametrize("name", ["user_id", "colour"])
def test_nul_and_invalid_utf8_are_refused(name: str) -> None:
    result = normalise({name: b"\xff"}, {name: b"a\0"}, {name: "é".encode()}, types={name: pa.binary()})
    assert reasons(result) == ["invalid_utf8", "nul_character"]
    assert result.rows.tolist() == [2]


def test_strings_that_parquet_did_not_check() -> None:
    offsets, data = pa.array([0, 1, 3], pa.int32()).buffers()[1], pa.py_buffer(b"\xffok")
    column = pa.StringArray.from_buffers(2, offsets, data)
    columns = {**{name: pa.array([value] * 2) for name, value in GOOD.items()}, "user_id": column}
    result = normaliser().normalise(RawBatch(columns, 2, "f", pa.array([1, 2])))
    assert reasons(result) == ["invalid_utf8"]


def test_nested_values_in_known_columns_are_refused() -> None:
    result = normalise({"ip": ["203.0.113.9"]}, {"ip": None}, types={"ip": pa.list_(pa.string())})
    assert reasons(result) == ["nested_value"]


def test_sliced_columns_count_from_their_own_start() -> None:
    rows = [{"user_id": f"u{n}", "cost_usd": str(n), "ip": f"203.0.113.{n}"} for n in range(9)]
    whole = batch(*rows)
    part = RawBatch({k: v.slice(3, 4) for k, v in whole.columns.items()}, 4, "f", whole.lines.slice(3, 4))
    assert normaliser().normalise(part).events.equals(normaliser().normalise(batch(*rows[3:7])).events)
