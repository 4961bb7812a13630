"""Events and labels in over HTTP."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from api_server import Served, peppered, serve

from api.app import Parts
from api.intake import IntakeCaps
from graph.facts import FactsReader

NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    caps = IntakeCaps(inflated=2_000_000, rows=5_000, line=100_000)
    with peppered(tmp_path / "home"), serve(tmp_path / "home", Parts(intake=caps)) as found:
        yield found
        assert list((tmp_path / "home").glob("spool/*")) == []


def rows(count: int, first: int = 0) -> bytes:
    return b"".join(
        orjson.dumps(
            {
                "event_id": f"e{number}",
                "event_type": "organization_created",
                "occurred_at": "2026-03-04T12:00:00Z",
                "org_id": f"org_{number}",
            }
        )
        + b"\n"
        for number in range(first, first + count)
    )


def post(client: httpx.Client, body: bytes, **headers: str) -> httpx.Response:
    return client.post("/v1/events", content=body, headers={**NDJSON, **headers})


def test_events_are_stored_once_however_often_they_are_sent(served: Served) -> None:
    with served.client("ingester") as client:
        first = post(client, rows(100)).json()
        again = post(client, rows(120)).json()
        packed = post(client, gzip.compress(rows(130)), **{"Content-Encoding": "gzip"}).json()
    assert (first["rows"], first["stored"], first["duplicates"]) == (100, 100, 0)
    assert (again["stored"], again["duplicates"]) == (20, 100)
    assert (packed["stored"], packed["duplicates"]) == (10, 120)
    assert FactsReader(served.home).latest() is not None


def test_each_refused_row_is_named_with_its_reason(served: Served) -> None:
    body = rows(2) + b'{"event_type": "inference"}\nnot json\n' + rows(1, first=9)
    with served.client("ingester") as client:
        answer = post(client, body).json()
    assert (answer["stored"], answer["quarantined"]) == (3, 2)
    assert [each["row"] for each in answer["refused"]] == [3, 4]
    assert all(each["reason"] and each["detail"] for each in answer["refused"])


def test_a_body_may_come_in_pieces(served: Served) -> None:
    def pieces() -> Iterator[bytes]:
        body = rows(50)
        for place in range(0, len(body), 77):
            yield body[place : place + 77]

    with served.client("ingester") as client:
        answer = client.post("/v1/events", content=pieces(), headers=NDJSON)
    assert answer.json()["stored"] == 50


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {}, 422),
        (b"{}", {"Content-Type": "application/json"}, 415),
        (b"{}", {"Content-Encoding": "br"}, 415),
        (b"no gzip", {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(b"{}\n")[:-4], {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(b"{}\n") + b"more", {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(b"\n" * 50_000_000), {"Content-Encoding": "gzip"}, 413),
        (gzip.compress(b" " * 50_000_000), {"Content-Encoding": "gzip"}, 413),
        (b"{}\n" * 6_000, {}, 413),
        (b"x" * 200_000, {}, 413),
        (b'{"org_id": "' + b"\xff" * 5 + b'"}\n', {}, 200),
        (b'{"org_id": "\\ud800", "cost_usd": NaN}\n', {}, 200),
        (b"\x00" * 50, {}, 200),
    ],
)
def test_hostile_bodies_get_an_answer(
    served: Served, body: bytes, headers: dict[str, str], status: int
) -> None:
    with served.client("ingester") as client:
        answer = post(client, body, **headers)
        assert answer.status_code == status, answer.text
        assert post(client, rows(1)).json()["stored"] == 1
    assert "exception" not in served.log.getvalue()


def test_a_source_that_is_ours_is_refused(served: Served) -> None:
    with served.client("ingester") as client:
        for source in ("decisions", "../up", "a b", ""):
            answer = client.post("/v1/events", params={"source": source}, content=rows(1), headers=NDJSON)
            assert answer.status_code == 422, source


def label(client: httpx.Client, given: dict[str, Any], key: str | None = "a-new-key") -> httpx.Response:
    return client.post("/v1/labels", json=given, headers={} if key is None else {"Idempotency-Key": key})


def test_labels_are_kept_in_the_name_of_who_gave_them(served: Served) -> None:
    one = {"org_id": "org_1", "label": "abusive", "reason": "confirmed by support"}
    with served.client("ingester") as client:
        post(client, rows(3))
    with served.client("analyst") as client:
        anonymous = label(client, {"labels": [one]})
        posing = label(client, {"labels": [one], "label_source": "person"})
        assert anonymous.status_code == posing.status_code == 422
        kept = label(client, {"labels": [one], "label_source": "support"})
        assert (kept.status_code, kept.json()["recorded"]) == (201, 1)
        unknown = label(client, {"labels": [{**one, "org_id": "nobody"}], "label_source": "support"}, "key-2")
        assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    assert [entry[1] for entry in served.audit.entries] == ["labelled", "labelled", "labels_refused"]


def test_a_label_sent_twice_is_recorded_once(served: Served) -> None:
    given = {"labels": [{"org_id": "org_1", "label": "abusive", "reason": "x"}], "label_source": "support"}
    with served.client("ingester") as client:
        post(client, rows(3))
    with served.client("analyst") as client:
        missing = label(client, given, key=None)
        assert (missing.status_code, missing.json()["code"]) == (400, "key_required")
        first, again = label(client, given), label(client, given)
        assert first.json() == again.json()
        assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
        other = label(client, {**given, "label_source": "sales"})
        assert (other.status_code, other.json()["code"]) == (422, "key_reused")
        assert label(client, given, "\x7f").status_code == 400
    with httpx.Client(base_url=served.url) as person:
        person.get("/v1/session/open", params={"token": served.identities.invite_owner()})
        person.headers["X-Ringfence-CSRF"] = "1"
        by_hand = label(person, {"labels": given["labels"]}, key=None)
        assert by_hand.status_code == 201
    assert len(served.audit.entries) == 2
