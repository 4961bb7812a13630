"""What is going on, as server-sent events."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from api_server import Served, peppered, serve

from actions import killswitch
from actions.model import Principal
from api import progress_stream

ADMIN = Principal("user:root", frozenset({"admin"}))


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(progress_stream, "EVERY_S", 0.02)
    monkeypatch.setattr(progress_stream, "HEARTBEAT_S", 0.1)
    with peppered(tmp_path / "home"), serve(tmp_path / "home") as found:
        yield found


def told(answer: httpx.Response) -> Iterator[tuple[str, str, Any]]:
    """Events as (topic, id, value); a comment as a topic without any."""
    topic = name = ""
    for line in answer.iter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            topic = value
        elif field == "id":
            name = value
        elif field == "data":
            yield topic, name, orjson.loads(value)
        elif line.startswith(":"):
            yield "", "", None


def test_everything_at_first_then_what_changes(served: Served) -> None:
    with served.client("viewer") as client, client.stream("GET", "/v1/stream") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = told(answer)
        first = {topic: value for topic, _, value in (next(events) for _ in range(4))}
        assert first["run"] == {"run_id": None}
        assert first["banner"] == []
        assert first["plans"] == []
        with served.desk.ledger.transaction() as tx:
            killswitch.engage(tx, ADMIN, reason="stop")
        changed = next(each for each in events if each[0])
        assert (changed[0], changed[2]) == ("banner", ["the kill switch is on for all: stop"])


def test_who_comes_back_hears_only_what_is_new(served: Served) -> None:
    with served.client("viewer") as client:
        with client.stream("GET", "/v1/stream") as answer:
            name = next(told(answer))[1]
        with client.stream("GET", "/v1/stream", headers={"Last-Event-ID": name}) as answer:
            assert next(told(answer)) == ("", "", None)  # a heartbeat
        with client.stream("GET", "/v1/stream", headers={"Last-Event-ID": "another"}) as answer:
            assert next(told(answer))[0]


def test_streams_are_bounded_and_places_come_back(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_stream, "EACH", 1)
    with served.client("viewer") as client:
        for _ in range(3):
            with client.stream("GET", "/v1/stream") as answer:
                listening = told(answer)
                next(listening)
                busy = client.get("/v1/stream")
                assert (busy.status_code, busy.json()["code"]) == (429, "too_many_requests")
                listening.close()  # type: ignore[attr-defined]  # it is a generator
            for _ in range(200):
                if not served.app.state.services.stream._listeners:
                    break
                client.get("/healthz")
            else:
                pytest.fail("the place never came back")


def test_a_ledger_that_is_gone_is_said(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    from actions.ledger import plans
    from actions.refusals import Refusal

    def gone(*_: object, **__: object) -> None:
        raise Refusal("ledger_unavailable", "the ledger's database went away", "")

    monkeypatch.setattr(plans, "listed", gone)
    with served.client("viewer") as client, client.stream("GET", "/v1/stream") as answer:
        events = told(answer)
        found = {topic: value for topic, _, value in (next(events) for _ in range(2))}
    assert found["ledger"] == {"unavailable": "the ledger's database went away"}
