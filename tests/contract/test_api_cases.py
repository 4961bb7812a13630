"""Cases, saved views and the queue over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from api_server import Served, served_campaign

Row = dict[str, Any]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_campaign(tmp_path_factory.mktemp("cases")) as found:
        yield found


@pytest.fixture
def ada(served: Served) -> Iterator[httpx.Client]:
    with served.person("ada", "analyst") as client:
        yield client


def ok(answer: httpx.Response, status: int = 200) -> Row:
    assert answer.status_code == status, answer.text
    found: Row = answer.json()
    return found


def clusters(client: httpx.Client) -> list[str]:
    return [each["cluster_id"] for each in ok(client.get("/v1/clusters"))["items"]]


def test_the_life_of_a_case(ada: httpx.Client) -> None:
    cluster = clusters(ada)[0]
    made = ok(ada.post("/v1/cases", json={"cluster_id": cluster}), 201)
    assert (made["state"], made["version"], made["clusters_now"]) == ("open", 1, [cluster])
    again = ada.post("/v1/cases", json={"cluster_id": cluster})
    assert (again.status_code, again.json()["code"]) == (409, "taken")
    at = f"/v1/cases/{made['case_id']}"
    until = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    seen = ok(
        ada.post(
            at, json={"version": 1, "state": "in_review", "assignee": "user:ada", "snoozed_until": until}
        )
    )
    assert (seen["state"], seen["assignee"], seen["version"]) == ("in_review", "user:ada", 2)
    late = ada.post(at, json={"version": 1, "state": "dismissed"})
    assert (late.status_code, late.json()["code"]) == (409, "wrong_state")
    assert ok(ada.get(at))["case"]["state"] == "in_review"
    nobody = ok(ada.post(at, json={"version": 2, "unset": ["assignee", "snoozed_until"]}))
    assert (nobody["assignee"], nobody["snoozed_until"]) == (None, None)
    ok(ada.post(f"{at}/notes", json={"text": "First."}), 201)
    ok(ada.post(f"{at}/notes", json={"text": "Second."}), 201)
    assert [each["text"] for each in ok(ada.get(at))["notes"]] == ["Second.", "First."]


def test_cases_are_found_by_state_person_and_sleep(ada: httpx.Client) -> None:
    mine, sleeping, nobodys = clusters(ada)[1:4]
    first = ok(ada.post("/v1/cases", json={"cluster_id": mine, "assignee": "user:ada"}), 201)
    second = ok(ada.post("/v1/cases", json={"cluster_id": sleeping, "assignee": "user:ada"}), 201)
    third = ok(ada.post("/v1/cases", json={"cluster_id": nobodys}), 201)
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    ok(ada.post(f"/v1/cases/{second['case_id']}", json={"version": 1, "snoozed_until": until}))
    ok(ada.post(f"/v1/cases/{third['case_id']}", json={"version": 1, "state": "dismissed"}))

    def found(**where: object) -> set[str]:
        page = ok(ada.get("/v1/cases", params=where))  # type: ignore[arg-type]
        return {each["cluster_id"] for each in page["items"]} & {mine, sleeping, nobodys}

    assert found(assignee="user:ada") == {mine, sleeping}
    assert found(assignee="user:ada", awake=True) == {mine}
    assert found(assignee="") == {nobodys}
    assert found(state="dismissed") == {nobodys}
    figures = {each["state"]: each for each in ok(ada.get("/v1/queue"))["cases"]}
    assert figures["open"]["snoozed"] == 1
    assert figures["dismissed"]["unassigned"] == 1
    assert figures["open"]["oldest"] is not None
    assert first["case_id"] < second["case_id"] < third["case_id"]


def test_cases_come_in_pages(ada: httpx.Client) -> None:
    page = ok(ada.get("/v1/cases", params={"limit": 2}))
    seen = [each["case_id"] for each in page["items"]]
    while page["next"]:
        page = ok(ada.get("/v1/cases", params={"limit": 2, "after": page["next"]}))
        seen += [each["case_id"] for each in page["items"]]
    assert seen == sorted(set(seen), reverse=True)
    assert len(seen) >= 3


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"version": 1}, 422),
        ({"version": 1, "state": "lost"}, 422),
        ({"version": 1, "assignee": "somebody"}, 422),
        ({"version": 1, "snoozed_until": "2099-01-01T00:00:00Z"}, 422),
        ({"version": 1, "snoozed_until": "2020-01-01T00:00:00Z"}, 422),
        ({"state": "open"}, 422),
    ],
)
def test_changes_that_make_no_sense_are_refused(ada: httpx.Client, body: Row, status: int) -> None:
    cluster = clusters(ada)[5]
    made = ada.post("/v1/cases", json={"cluster_id": cluster})
    case_id = made.json()["case_id"] if made.status_code == 201 else made.json()["detail"].split()[0]
    assert ada.post(f"/v1/cases/{case_id}", json=body).status_code == status
    assert ok(ada.get(f"/v1/cases/{case_id}"))["case"]["version"] == 1


def test_a_cluster_that_nobody_knows_has_no_case(ada: httpx.Client) -> None:
    answer = ada.post("/v1/cases", json={"cluster_id": "cl_aaaaaaaaaa"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_views_are_ones_own_or_shared(served: Served, ada: httpx.Client) -> None:
    filters = {"min_size": 5, "sort": "size"}
    kept = ok(ada.post("/v1/views", json={"name": "mine", "filters": filters}), 201)
    shared = ok(ada.post("/v1/views", json={"name": "ours", "shared": True, "filters": {}}), 201)
    again = ok(ada.post("/v1/views", json={"name": "mine", "filters": {"min_size": 9}}), 201)
    assert (again["view_id"], again["filters"]["min_size"]) == (kept["view_id"], 9)
    with served.person("bob", "analyst") as bob:
        seen = ok(bob.get("/v1/views"))["items"]
        assert [(each["name"], each["mine"]) for each in seen] == [("ours", False)]
        gone = bob.post(f"/v1/views/{shared['view_id']}/remove")
        assert (gone.status_code, gone.json()["code"]) == (404, "not_found")
    assert ada.post(f"/v1/views/{kept['view_id']}/remove").status_code == 204
    assert [each["name"] for each in ok(ada.get("/v1/views"))["items"]] == ["ours"]


def test_viewers_look_and_change_nothing(served: Served) -> None:
    with served.person("vic", "viewer") as client:
        ok(client.get("/v1/cases"))
        ok(client.get("/v1/queue"))
        assert client.post("/v1/cases", json={"cluster_id": "cl_aaaaaaaaaa"}).status_code == 403
