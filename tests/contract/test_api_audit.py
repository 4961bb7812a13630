"""The audit over HTTP, and that nothing is shown or done where it cannot be written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_server import Served, served_campaign

from actions import audit
from actions.ledger import Ledger
from actions.refusals import Refusal
from api.audit import LedgerAudit
from api.deciding.desk import audit_key

REASON = "case 4711"


@pytest.fixture
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_campaign(tmp_path_factory.getbasetemp()) as found:
        state = found.app.state
        state.services = replace(state.services, audit=LedgerAudit(found.desk.ledger))
        yield found


@pytest.fixture
def auditor(served: Served) -> Iterator[httpx.Client]:
    with served.person("audrey", "auditor") as client:
        yield client


def entries(auditor: httpx.Client) -> list[dict[str, Any]]:
    """All entries, in pages of five."""
    found: list[dict[str, Any]] = []
    page: dict[str, Any] = {"next": None}
    while True:
        after = {} if page["next"] is None else {"after": page["next"]}
        page = auditor.get("/v1/audit", params={"limit": 5, **after}).json()
        found += page["items"]
        if page["next"] is None:
            return found


def identifier(client: httpx.Client) -> str:
    """The path of some masked identifier."""
    member = client.get("/v1/clusters").json()["items"][0]["founder"]
    around = client.get("/v1/expand", params={"node": f"org:{member}"}).json()["nodes"]
    node = next(each for each in around if each["label"] in ("Ip", "Device", "Email"))
    return f"/v1/identifiers/{node['label']}/{node['key']}"


def test_looks_labels_and_exports_stand_in_the_chain(served: Served, auditor: httpx.Client) -> None:
    with served.person("ann", "analyst") as analyst:
        path = identifier(analyst)
        assert analyst.post(f"{path}/reveal", json={"reason": REASON}).status_code == 200
        org_id = analyst.get("/v1/clusters").json()["items"][0]["founder"]
        label = {"org_id": org_id, "label": "abusive", "reason": f"{REASON}: {org_id} burns credit"}
        assert analyst.post("/v1/labels", json={"labels": [label]}).status_code == 201
    assert auditor.get("/v1/exports/clusters").status_code == 200
    kept = [each["content"] for each in entries(auditor)]
    by_verb = {each["verb"]: each for each in kept}
    assert by_verb["identifier_revealed"]["why"] == REASON
    assert by_verb["identifier_revealed"]["details"]["key"] in path
    assert {"labelled", "exported"} <= by_verb.keys()
    known_as = by_verb["labelled"]["details"]["organizations"]
    assert by_verb["labelled"]["why"] == f"{REASON}: {known_as[0]} burns credit"
    assert entries(auditor)[-2]["names"][known_as[0]] == org_id
    assert [each["seq"] for each in kept] == list(range(1, len(kept) + 1))
    assert auditor.get("/v1/audit/verify").json()["intact"]


def test_where_it_cannot_be_written_nothing_is_shown(
    served: Served, auditor: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served.person("ann", "analyst") as analyst:
        path = identifier(analyst)
        org_id = analyst.get("/v1/clusters").json()["items"][0]["founder"]
        label = {"org_id": org_id, "label": "legitimate", "reason": REASON}

        def full(*_: Any) -> Any:
            raise Refusal("ledger_unavailable", "the disk is full", "Free some space.")

        monkeypatch.setattr(Ledger, "transaction", full)
        asked = [
            analyst.post(f"{path}/reveal", json={"reason": REASON}),
            analyst.post("/v1/labels", json={"labels": [label]}),
            auditor.get("/v1/exports/members"),
            auditor.get("/v1/audit/export"),
        ]
        assert [(each.status_code, each.json()["code"]) for each in asked] == [
            (503, "ledger_unavailable")
        ] * 4
        monkeypatch.undo()


def test_an_export_verifies_offline(served: Served, auditor: httpx.Client, tmp_path: Path) -> None:
    with served.person("ann", "analyst") as analyst:
        analyst.post(f"{identifier(analyst)}/reveal", json={"reason": REASON})
    with auditor.stream("GET", "/v1/audit/export") as answer:
        assert answer.headers["content-type"].startswith("application/x-ndjson")
        (tmp_path / "audit.ndjson").write_bytes(b"".join(answer.iter_bytes()))
    found = audit.verify_file(tmp_path / "audit.ndjson", [audit_key()])
    assert found.problems == []
    assert found.signed_up_to == found.entries
    signed = auditor.get("/v1/audit/checkpoints", params={"limit": 1}).json()
    assert signed["items"][0]["seq"] <= found.entries
    lines = (tmp_path / "audit.ndjson").read_text().splitlines()
    last = [json.loads(json.loads(line)["entry"]) for line in lines if "entry" in json.loads(line)][-1]
    assert last["verb"] == "audit.exported"


def test_a_changed_entry_is_found(served: Served, auditor: httpx.Client) -> None:
    with served.person("ann", "analyst") as analyst:
        analyst.post(f"{identifier(analyst)}/reveal", json={"reason": REASON})
    with served.desk.ledger.transaction() as tx:
        tx.conn.exec_driver_sql("UPDATE audit SET body = replace(body, '4711', '4712') WHERE seq > 0")
    found = auditor.get("/v1/audit/verify").json()
    assert not found["intact"]
    assert found["problems"]
    with served.desk.ledger.transaction() as tx:
        tx.conn.exec_driver_sql("UPDATE audit SET body = replace(body, '4712', '4711') WHERE seq > 0")


def test_reveals_take_a_role_and_a_reason(served: Served) -> None:
    with (
        served.client("viewer") as viewer,
        served.client("analyst") as analyst,
        served.client("admin") as admin,
    ):
        path = f"{identifier(viewer)}/reveal"
        assert viewer.post(path, json={"reason": REASON}).status_code == 403
        assert admin.post(path, json={"reason": REASON}).status_code == 403
        for reason in ("", " ", "\u202e", None):
            assert analyst.post(path, json={"reason": reason}).status_code == 422
