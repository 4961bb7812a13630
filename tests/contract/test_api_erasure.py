"""Erasing an organization over HTTP: the server that did it shows nothing of it, and takes nothing of it in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from api_server import Served, campaign_home, pepper_of, peppered, serve


@pytest.fixture
def served(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Iterator[Served]:
    original = campaign_home(tmp_path_factory.getbasetemp())
    home = tmp_path / "home"
    shutil.copytree(original, home)
    shutil.copy(pepper_of(original), pepper_of(home))
    with peppered(home), serve(home) as found:
        yield found


@pytest.fixture
def admin(served: Served) -> Iterator[httpx.Client]:
    with served.person("root", "admin") as client:
        yield client


def erase(client: httpx.Client, org_id: str, **more: str) -> httpx.Response:
    return client.post(
        "/v1/organizations/erase",
        json={"org_id": org_id, "confirm": org_id, "reason": "their owner asked", **more},
        timeout=60,
    )


def test_an_erased_organization_is_nowhere_to_be_seen(served: Served, admin: httpx.Client) -> None:
    with served.client("viewer") as viewer, served.client("ingester") as feed:
        cluster = viewer.get("/v1/clusters").json()["items"][0]
        org_id, members = cluster["founder"], f"/v1/clusters/{cluster['cluster_id']}/members"
        assert org_id in viewer.get(members).text
        graph = f"/v1/clusters/{cluster['cluster_id']}/subgraph"
        before = viewer.get(graph)
        done = erase(admin, org_id)
        assert done.status_code == 200, done.text
        assert done.json()["events"] > 0
        seen = [
            viewer.get("/v1/clusters"),
            viewer.get(members),
            viewer.get(graph, headers={"If-None-Match": before.headers["etag"]}),
            viewer.get("/v1/search", params={"q": org_id}),
            viewer.get(f"/v1/clusters/{cluster['cluster_id']}/evidence"),
        ]
        assert all(org_id not in answer.text for answer in seen)
        assert [answer.status_code for answer in seen] == [200] * 5
        spared = [one for one in seen[1].json()["items"] if one["org_id"].startswith("erased:")]
        assert [(one["actionable"], one["spared_reason"]) for one in spared] == [(False, "erased")]
        event = {"event_type": "session_started", "occurred_at": "2026-09-30T10:00:00Z", "org_id": org_id}
        headers = {"Content-Type": "application/x-ndjson"}
        taken = feed.post("/v1/events", content=json.dumps(event), headers=headers).json()
        assert (taken["rows"], taken["erased"], taken["stored"]) == (1, 1, 0)
    with served.person("audrey", "auditor") as auditor:
        assert auditor.get("/v1/audit/verify").json()["intact"]
        assert org_id not in auditor.get("/v1/audit", params={"limit": 500}).text


def test_it_takes_an_admin_who_means_it(served: Served, admin: httpx.Client) -> None:
    with served.client("operator", "approver", "auditor", "analyst") as others:
        assert erase(others, "org_1").status_code == 403
    other = erase(admin, "org_1", confirm="org_2")
    assert (other.status_code, other.json()["code"]) == (422, "invalid")
    with served.client("admin") as script:
        assert erase(script, "org_1").json()["code"] == "not_a_person"
