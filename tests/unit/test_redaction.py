"""What quarantine may keep of a raw row."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.identifiers import Keyer, Kind
from ingest.redaction import Redactor, redact

PEPPER = b"p" * 32
KEYER = Keyer(PEPPER)
CARD = "4111 1111 1111 1234"

LINES = [
    ('{"api_key":"sk-live-0123456789abcd","cost_usd":0.10000000000000000001}', "0.10000000000000000001"),
    ('{"api\\u005fkey": "sk-live-0123456789abcd", "a": [1, {"b": null}]}', '"a": [1, {"b": null}]'),
    ('{"phone": 14155552671, "phone_country": "US"}', '"phone_country": "US"'),
    ('{"API-Key ":"sk-live-0123456789abcd"}', "hmac:v1:"),
    ('{"a":{"api_key":["sk-live-0123456789abcd",{"x":1}]},"b":2}', '"b":2'),
    ('{"entity_type":"api_key","entity_key":"sk-live-0123456789abcd"}', '"entity_type":"api_key"'),
    ('{"entity_key":"sk-live-0123456789abcd"}', "hmac:v1:"),
    ('{"b":2,"api_key":"sk-live-0123456789abcd', '{"b":2,"api_key'),
    ("{'api_key': 'sk-live-0123456789abcd'}", "{'api_key"),
    ('{"b":2,"api\\u005fkey":"sk-live-0123456789abcd', '{"b":2,"api_key'),
    ("GET /?api_key=sk-live-0123456789abcd HTTP/1.1", "GET /?api_key"),
    ('["api_key", "sk-live-0123456789abcd"]', '["api_key'),
    ('{"api_\u200bkey":"sk-live-0123456789abcd"}', ""),
]


@pytest.mark.parametrize(("line", "kept"), LINES)
def test_redaction_of_lines(line: str, kept: str) -> None:
    redacted = redact(line, PEPPER)
    assert "0123456789abcd" not in redacted
    assert "14155552671" not in redacted
    assert kept in redacted
    assert redact(redacted, PEPPER) == redacted


@pytest.mark.parametrize(
    "line",
    ['{"entity_type":"ip","entity_key":"203.0.113.9"}', '{"a":1}', "", "phone_verified", '{"phone":null}'],
)
def test_lines_without_secrets_stay_as_they_are(line: str) -> None:
    assert redact(line, PEPPER) == line


HEADER = ["event_id", "api_key", "note"]


@pytest.mark.parametrize(
    ("line", "start", "end"),
    [
        ('1,sk-live-0123456789abcd,"a,b"', "1,hmac:v1:", ':::,"a,b"'),
        ("1,sk-live-0123456789abcd,a,b", "1,[masked]", "[masked]"),
        ("sk-live-0123456789abcd,a", "[masked]", "[masked]"),
        ('1,"sk-live-0123456789abcd', "[masked]", "[masked]"),
    ],
)
def test_redaction_of_csv(line: str, start: str, end: str) -> None:
    redacted = redact(line, PEPPER, HEADER)
    assert "0123456789abcd" not in redacted
    assert redacted.startswith(start)
    assert redacted.endswith(end)


def test_redaction_follows_a_mapping() -> None:
    redactor = Redactor(PEPPER, {"card": "payment_method"})
    row = redactor.row({"card": CARD, "amount": 5})
    assert row["amount"] == 5
    assert KEYER.identify(Kind.PAYMENT_METHOD, row["card"]) == KEYER.identify(Kind.PAYMENT_METHOD, CARD)
    assert CARD not in redactor.json_line(orjson.dumps({"card": CARD}).decode())


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=12))
NESTED = st.one_of(
    SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(st.sampled_from(["api_key", "b"]), SCALARS)
)


@given(st.dictionaries(st.sampled_from(["api_key", "a", "phone", "entity_key", "x y"]), NESTED))
def test_redacted_lines_stay_json_and_keep_the_rest(row: dict[str, Any]) -> None:
    redacted = json.loads(redact(json.dumps(row), PEPPER))
    assert list(redacted) == list(row)
    assert redacted.get("x y") == row.get("x y") or "api_key" in json.dumps(row["x y"])
