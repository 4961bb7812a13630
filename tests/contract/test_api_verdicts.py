"""Verdicts over HTTP: rings of the run, restrictions of the ledger, events of a second ago; without the graph store."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import pyarrow.parquet as pq
import pytest
from api_server import Served, peppered, serve, served_campaign

from actions.model import Action, PlanRequest, Principal, Selector
from actions.planning import plan
from api.deciding import planned, working
from api.door import recent
from detection.runs import Runs

Row = dict[str, Any]
OPERATOR = Principal("user:ada", frozenset({"operator"}))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("door")
    with served_campaign(folder, organizations=2_000) as found:
        soon(lambda: ask(found)["degraded"] == [])
        yield found


def ask(served: Served, at: str = "signup", **fields: str) -> Row:
    with served.client("viewer") as client:
        answer = client.post("/v1/verdicts", json={"at": at, **(fields or {"ip": "192.0.2.1"})})
    assert answer.status_code == 200, answer.text
    found: Row = answer.json()
    return found


def soon(true: Callable[[], bool]) -> None:
    """Until it is true: within a second, give or take a busy machine."""
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def shared_by_a_ring(served: Served) -> Row:
    """An event of a member that may be acted on, with the card that it shares with others of its ring."""
    files = Runs(served.home).open()
    members = files.table("members", ["org_id"], [("actionable", "=", True)])["org_id"].to_pylist()
    campaign = served.home.path.parent / "api-campaign" / "events.parquet"
    columns = ["org_id", "payment_method", "phone", "email"]
    events = pq.read_table(campaign, columns=columns, filters=[("org_id", "in", members)]).to_pylist()
    cards = [each["payment_method"] for each in events if each["payment_method"]]
    users = {card: {one["org_id"] for one in events if one["payment_method"] == card} for card in set(cards)}
    card = max(users, key=lambda each: (len(users[each]), each))
    assert len(users[card]) > 1
    phones = {one["phone"] for one in events if one["org_id"] in users[card] and one["phone"]}
    shared = [
        phone
        for phone in sorted(phones)
        if len({one["org_id"] for one in events if one["phone"] == phone}) > 1
    ]
    return {"card": card, "phone": shared[0] if shared else None}


def test_what_a_ring_uses_is_known_at_the_door(served: Served) -> None:
    found = shared_by_a_ring(served)
    card = ask(served, payment_method=found["card"])
    assert (card["verdict"], card["reasons"]) == ("challenge", ["shared_with_ring"])
    assert ask(served, "trial", payment_method=found["card"])["verdict"] == "limit"
    assert ask(served, payment_method="a card of nobody")["verdict"] == "allow"
    if found["phone"]:
        both = ask(served, payment_method=found["card"], phone=found["phone"])
        assert (both["verdict"], both["reasons"]) == ("deny", ["known_ring"])


def test_events_of_a_moment_ago_are_known(served: Served) -> None:
    now = datetime.now(UTC).isoformat()
    card = "4929-0000-1111-2222"
    assert ask(served, payment_method=card)["verdict"] == "allow"
    rows = [
        {
            "event_type": "organization_created",
            "occurred_at": now,
            "org_id": f"fresh {number}",
            "payment_method": card,
        }
        for number in range(3)
    ]
    with served.client("ingester") as client:
        body = b"".join(orjson.dumps(row) + b"\n" for row in rows)
        headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": "door-1"}
        assert client.post("/v1/events", content=body, headers=headers).json()["stored"] == 3
    soon(lambda: ask(served, payment_method=card)["reasons"] == ["many_new_organizations"])
    assert ask(served, payment_method=card, org_id="fresh 1")["verdict"] == "allow"  # two others


def test_a_past_that_is_loaded_is_passed_over_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent, "LARGEST", 2)
    now = datetime.now(UTC).isoformat()
    row = {"event_type": "organization_created", "occurred_at": now, "payment_method": "4929 0000"}
    with peppered(tmp_path / "home"), serve(tmp_path / "home") as found, found.client("ingester") as client:
        soon(lambda: ask(found)["degraded"] == ["run"])
        for count in (2, 3):
            rows = [{**row, "org_id": f"org {count} {number}"} for number in range(count)]
            body = b"".join(orjson.dumps(each) + b"\n" for each in rows)
            headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": f"door {count}"}
            assert client.post("/v1/events", content=body, headers=headers).json()["stored"] == count
            wanted = ["run"] if count == 2 else ["events", "run"]
            soon(lambda wanted=wanted: ask(found)["degraded"] == wanted)  # type: ignore[misc]
        assert ask(found, payment_method="4929 0000")["reasons"] == []  # two are not many


def test_what_is_decided_holds_at_once(served: Served) -> None:
    request = PlanRequest(
        Action.CHALLENGE, Selector("members", ids=("door.example",)), "x", entity_type="domain"
    )
    with served.desk.ledger.transaction() as tx:
        made = plan(tx, request, OPERATOR, served.desk.population())
    if made.needs == "nothing":
        planned.started(served.desk, made)
        working.work(served.desk, made.plan_id, patience=5)
        soon(lambda: ask(served, email="a@door.example")["reasons"] == ["challenge_required"])
    members = Runs(served.home).open().table("members", ["org_id", "cluster_id"], [("actionable", "=", True)])
    org = members["org_id"][0].as_py()
    with served.person("ada", "operator") as client:
        asked = {"action": "verify", "reason": "x", "org_ids": [org]}
        ban = client.post("/v1/plans", json=asked).json()
        client.post(f"/v1/plans/{ban['plan_id']}/apply")
        working.work(served.desk, ban["plan_id"], patience=5)
    assert ask(served, "payment", org_id=org)["reasons"][0] == "verification_required"


def test_several_are_answered_in_order(served: Served) -> None:
    asked = [{"at": "signup", "ip": f"192.0.2.{number}"} for number in range(5)]
    asked[2] = {"at": "trial", "payment_method": shared_by_a_ring(served)["card"]}
    with served.client("viewer") as client:
        found = client.post("/v1/verdicts/batch", json={"asked": asked}).json()["verdicts"]
    assert [each["verdict"] for each in found] == ["allow", "allow", "limit", "allow", "allow"]


def test_the_loss_of_the_graph_store_changes_nothing(served: Served, tmp_path: Path) -> None:
    card = shared_by_a_ring(served)["card"]
    home = tmp_path / "home"
    shutil.copytree(served.home.path, home)
    shutil.copy(served.home.path.with_name("api-home.pepper"), tmp_path / "home.pepper")
    for file in home.glob("graph.sqlite*"):
        file.unlink()
    with peppered(home), serve(home) as another:
        soon(lambda: ask(another)["degraded"] == [])
        assert ask(another, payment_method=card)["reasons"] == ["shared_with_ring"]


def test_without_a_run_everybody_is_let_in_and_told_so(tmp_path: Path) -> None:
    with peppered(tmp_path / "home"), serve(tmp_path / "home") as found:
        answer = ask(found, payment_method="x", org_id="org_1")
    assert (answer["verdict"], answer["fail_open"]) == ("allow", True)
    assert "run" in answer["degraded"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"at": "signup"},
        {"at": "lunch", "ip": "192.0.2.1"},
        {"at": "signup", "ip": 7},
        {"at": "signup", "ip": ""},
        {"at": "signup", "ip": "x" * 1_001},
        {"at": "signup", "hair": "red"},
    ],
)
def test_what_is_no_question_is_refused(served: Served, body: Row) -> None:
    with served.client("viewer") as client:
        answer: httpx.Response = client.post("/v1/verdicts", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
