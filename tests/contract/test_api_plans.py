"""Decisions over HTTP: from a scored cluster to a contained, banned, appealed and restored one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from api_server import Served, serve, served_campaign

from api.deciding import working

Row = dict[str, Any]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_campaign(tmp_path_factory.mktemp("plans"), organizations=2_000) as found:
        yield found


@pytest.fixture
def ada(served: Served) -> Iterator[httpx.Client]:
    """An operator."""
    with served.person("ada", "operator") as client:
        yield client


@pytest.fixture
def bea(served: Served) -> Iterator[httpx.Client]:
    """An approver."""
    with served.person("bea", "approver") as client:
        yield client


def ok(answer: httpx.Response, status: int = 200) -> Row:
    assert answer.status_code == status, answer.text
    found: Row = answer.json()
    return found


def refused(answer: httpx.Response, status: int, code: str) -> Row:
    found: Row = answer.json()
    assert (answer.status_code, found["code"]) == (status, code), answer.text
    assert found["remedy"] or code == "not_found"
    return found


def ring(client: httpx.Client, place: int) -> Row:
    """A cluster whose members may be acted on; tests leave nothing open on it."""
    found = [each for each in ok(client.get("/v1/clusters"))["items"] if each["actionable"] >= 3]
    return dict(found[place % len(found)])


def throttle(cluster: Row, **more: Any) -> Row:
    return {"action": "throttle", "reason": "burns credit", "cluster_id": cluster["cluster_id"], **more}


def work(served: Served, plan_id: str) -> None:
    """Be the worker until the plan rests."""
    working.work(served.desk, plan_id, patience=5)


def test_a_preview_is_the_plan_without_effects(ada: httpx.Client) -> None:
    cluster = ring(ada, 0)
    before = ok(ada.get("/v1/plans"))["items"]
    shown = ok(ada.post("/v1/plans/preview", json=throttle(cluster, lasts_s=3600)))
    assert (shown["size"], shown["refusals"]) == (cluster["actionable"], [])
    assert ok(ada.get("/v1/plans"))["items"] == before
    made = ok(ada.post("/v1/plans", json=throttle(cluster, lasts_s=3600)), 201)
    same = ("digest", "size", "spared", "needs", "waves", "cost", "run_id")
    assert {name: made[name] for name in same} == {name: shown[name] for name in same}
    ok(ada.post(f"/v1/plans/{made['plan_id']}/withdraw", json={"reason": "only looking"}))


def test_contain_at_once(served: Served, ada: httpx.Client) -> None:
    cluster = ring(ada, 0)
    plan = ok(ada.post("/v1/plans", json=throttle(cluster, lasts_s=3600)), 201)
    assert (plan["state"], plan["needs"]) == ("planned", "nothing")
    assert ok(ada.post(f"/v1/plans/{plan['plan_id']}/apply"))["state"] == "executing"
    work(served, plan["plan_id"])
    done = ok(ada.get(f"/v1/plans/{plan['plan_id']}"))
    assert (done["state"], done["members"]["applied"]) == ("completed", cluster["actionable"])
    effects = [each for each in ok(ada.get("/v1/effects"))["effects"] if each["plan_id"] == plan["plan_id"]]
    assert len(effects) == cluster["actionable"]
    restricted = {each["org_id"]: each for each in ok(ada.get("/v1/state"))["restricted"]}
    for effect in effects:
        assert restricted[effect["org_id"]]["generation"] == effect["generation"]
        assert restricted[effect["org_id"]]["desired_state"] == ["throttle"]
    undone = ok(ada.post(f"/v1/plans/{plan['plan_id']}/undo", json={"reason": "our load test"}), 201)
    work(served, undone["plan_id"])
    left = {each["org_id"] for each in ok(ada.get("/v1/state"))["restricted"]}
    assert not left & {each["org_id"] for each in effects}
    refused(ada.post(f"/v1/plans/{plan['plan_id']}/undo", json={"reason": "again"}), 409, "nothing_to_do")


def test_a_ban_takes_a_second_person_who_saw_it(served: Served, ada: httpx.Client, bea: httpx.Client) -> None:
    cluster = ring(ada, 1)
    asked = {
        "action": "ban",
        "reason": "one operator",
        "cluster_id": cluster["cluster_id"],
        "lasts_s": 864_000,
    }
    plan = ok(ada.post("/v1/plans", json=asked), 201)
    at = f"/v1/plans/{plan['plan_id']}"
    assert (plan["needs"], plan["exit_code"]) == ("approval", 4)
    refused(ada.post(f"{at}/apply"), 409, "awaiting_approval")
    seen = ok(bea.get(f"{at}/review"))
    assert seen["approvals_missing"] == 1
    assert seen["weakest"]
    approval = {"digest": seen["plan"]["digest"], "reason": "opened all"}
    refused(ada.post(f"{at}/approve", json=approval), 403, "forbidden")
    with served.person("ada", "operator", "approver") as own:
        refused(own.post(f"{at}/approve", json=approval), 403, "own_plan")
    with served.client("approver") as token:
        keyed = {"Idempotency-Key": str(uuid4())}
        refused(token.post(f"{at}/approve", json=approval, headers=keyed), 403, "not_a_person")
    refused(bea.post(f"{at}/approve", json={"digest": "0" * 64}), 409, "digest_mismatch")
    assert ok(bea.post(f"{at}/approve", json=approval))["state"] == "approved"
    assert ok(ada.post(f"{at}/apply"))["state"] == "executing"
    members = ok(ada.get(f"{at}/members", params={"spared": False, "limit": 1000}))["items"]
    assert len(members) == plan["size"]
    assert {each["part"] for each in members} == {"act"}  # who is left out at first is not for operators
    with served.person("root", "admin") as admin:
        parts = {
            each["part"]
            for each in ok(admin.get(f"{at}/members", params={"spared": False, "limit": 1000}))["items"]
        }
    assert parts - {"act"} or plan["size"] < 100
    ok(ada.post(f"{at}/abort", json={"reason": "enough seen"}))


def test_an_appeal_is_decided_by_somebody_else_and_restores(
    served: Served, ada: httpx.Client, bea: httpx.Client
) -> None:
    plan = ok(ada.post("/v1/plans", json=throttle(ring(ada, 2), lasts_s=3600)), 201)
    ok(ada.post(f"/v1/plans/{plan['plan_id']}/apply"))
    work(served, plan["plan_id"])
    member = ok(ada.get(f"/v1/plans/{plan['plan_id']}/members", params={"state": "applied"}))["items"][0]
    org = member["org_id"]
    told = ok(bea.get(f"/v1/organizations/{org}/statement"))
    assert told["restrictions"]
    assert plan["selector"]["cluster_id"] not in str(told)
    appeal = ok(ada.post("/v1/appeals", json={"org_id": org, "statement": "We teach a course."}), 201)
    refused(ada.post("/v1/appeals", json={"org_id": org, "statement": "Again."}), 409, "already_decided")
    granted = ok(bea.post(f"/v1/appeals/{appeal['appeal_id']}/grant", json={"reason": "called them"}))
    assert granted["state"] == "granted"
    work(served, granted["restored_by"])
    assert ok(bea.get(f"/v1/organizations/{org}/statement"))["restrictions"] == []
    assert [each["appeal_id"] for each in ok(bea.get("/v1/appeals?state=granted"))["items"]] == [
        appeal["appeal_id"]
    ]


def test_protected_organizations_are_left_out(ada: httpx.Client, bea: httpx.Client) -> None:
    cluster = ring(ada, 3)
    members = ok(ada.get(f"/v1/clusters/{cluster['cluster_id']}/members"))["items"]
    org = next(each["org_id"] for each in members if each["actionable"])
    ok(ada.post("/v1/protections", json={"org_id": org, "reason": "our own"}), 201)
    assert org in {each["org_id"] for each in ok(bea.get("/v1/protections"))["items"]}
    shown = ok(ada.post("/v1/plans/preview", json=throttle(cluster)))
    assert shown["size"] == cluster["actionable"] - 1
    assert "protected" in " ".join(shown["spared"])
    gone = {"org_id": org, "reason": "no longer"}
    refused(ada.post("/v1/protections/end", json=gone), 403, "forbidden")
    assert bea.post("/v1/protections/end", json=gone).status_code == 204
    assert ok(ada.post("/v1/plans/preview", json=throttle(cluster)))["size"] == cluster["actionable"]
    refused(ada.post("/v1/protections", json={"org_id": "org_nobody", "reason": "x"}), 404, "not_found")


def test_the_kill_switch_stops_what_restricts_and_nothing_else(ada: httpx.Client) -> None:
    plan = ok(ada.post("/v1/plans", json=throttle(ring(ada, 4))), 201)
    at = f"/v1/plans/{plan['plan_id']}"
    assert "all" in ok(ada.post("/v1/halt", json={"reason": "stop"}))["engaged"]
    try:
        refused(ada.post(f"{at}/apply"), 409, "kill_switch")
    finally:
        assert ok(ada.post("/v1/halt/end", json={"reason": "go on"}))["engaged"] == {}
    ok(ada.post(f"{at}/withdraw", json={"reason": "done"}))


def test_an_incident_takes_two_people(ada: httpx.Client, bea: httpx.Client) -> None:
    found = ok(ada.post("/v1/incidents", json={"reason": "a wave", "hours": 2}), 201)
    at = f"/v1/incidents/{found['incident_id']}"
    refused(ada.post(f"{at}/confirm"), 403, "own_plan")
    assert ok(bea.post(f"{at}/confirm"))["state"] == "active"
    assert ok(ada.post(f"{at}/end", json={"reason": "over"}))["state"] == "ended"


def test_a_token_repeats_itself_without_doing_it_twice(served: Served) -> None:
    with served.client("operator") as script:
        cluster = ring(script, 5)
        body = throttle(cluster)
        refused(script.post("/v1/plans", json=body), 400, "key_required")
        key = {"Idempotency-Key": str(uuid4())}
        first = script.post("/v1/plans", json=body, headers=key)
        again = script.post("/v1/plans", json=body, headers=key)
        assert ok(first, 201) == ok(again, 201)
        assert again.headers["idempotency-replayed"] == "true"
        other = throttle(cluster, reason="something else")
        refused(script.post("/v1/plans", json=other, headers=key), 422, "key_reused")
        at = f"/v1/plans/{first.json()['plan_id']}/withdraw"
        ok(script.post(at, json={"reason": "x"}, headers={"Idempotency-Key": str(uuid4())}))


@pytest.mark.parametrize("key", ["", "two words", "caf\u00e9", "k" * 256, "tab\there"])
def test_a_key_that_the_description_denies_is_refused(served: Served, key: str) -> None:
    with served.client("operator") as script:
        path, body = "/v1/halt", {"reason": "our own"}
        answer = script.post(path, json=body, headers={b"Idempotency-Key": key.encode("latin-1")})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


@pytest.mark.parametrize(
    "moment",
    [
        1.5e-185,
        1_790_000_000,
        "1790000000",
        "2026-12-01",
        "2026-12-01T12:00:00",
        "2026-12-01T12:00Z",
        "9999-12-31T23:59:59-23:59",
        True,
    ],
)
def test_only_a_moment_with_its_zone_is_a_moment(ada: httpx.Client, moment: Any) -> None:
    for path, body in (
        ("/v1/protections", {"org_id": "org_1", "reason": "ours", "ends_at": moment}),
        ("/v1/undo", {"because": "signal:shared_device", "reason": "ours", "since": moment}),
    ):
        assert ada.post(path, json=body).status_code == 422, path


def test_an_answer_outlives_the_process_that_gave_it(served: Served) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    with served.client("operator") as script:
        body = throttle(ring(script, 5))
        first = ok(script.post("/v1/plans", json=body, headers=key), 201)
    with serve(served.home.path) as another, another.client("operator") as script:
        assert ok(script.post("/v1/plans", json=body, headers=key), 201) == first
        at = f"/v1/plans/{first['plan_id']}/withdraw"
        ok(script.post(at, json={"reason": "x"}, headers={"Idempotency-Key": str(uuid4())}))


@pytest.mark.parametrize(
    ("named", "code"),
    [
        ({}, "invalid"),
        ({"org_ids": []}, "invalid"),
        ({"cluster_id": "cl_iuyzaqhqd5", "org_ids": ["a"]}, "invalid"),
        ({"cluster_id": "*"}, "invalid"),
        ({"query": {"name": "shared_addresses"}}, "invalid"),
        ({"query": {"name": "members_of_cluster", "parameters": {"limit": "1"}}}, "invalid"),
        ({"org_ids": ["x"], "sinks": ["nowhere"]}, "bad_request"),
        ({"org_ids": ["x"], "public_reason": "because"}, "bad_request"),
    ],
)
def test_nobody_and_everybody_is_refused(ada: httpx.Client, named: Row, code: str) -> None:
    refused(ada.post("/v1/plans/preview", json={"action": "throttle", "reason": "x", **named}), 422, code)


def test_a_query_names_whom_it_finds_and_never_fewer(ada: httpx.Client) -> None:
    cluster = ring(ada, 5)
    found = {"name": "members_of_cluster", "parameters": {"cluster_id": cluster["cluster_id"]}}
    asked = {"action": "verify", "reason": "who are they", "query": found}
    assert ok(ada.post("/v1/plans/preview", json=asked))["size"] == cluster["actionable"]
    few = {"name": "members_of_cluster", "parameters": {"cluster_id": cluster["cluster_id"], "limit": "2"}}
    assert ok(ada.post("/v1/plans/preview", json={**asked, "query": few}))["size"] <= 2


def test_two_operators_on_one_cluster(served: Served, ada: httpx.Client) -> None:
    """At once, one plan is made; whoever comes second has nobody left to act on."""
    body = throttle(ring(ada, 6))
    answers: list[httpx.Response] = []

    def make(name: str) -> None:
        with served.person(name, "operator") as client:
            answers.append(client.post("/v1/plans", json=body))

    threads = [threading.Thread(target=make, args=(name,)) for name in ("cyd", "dan")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each.status_code for each in answers) == [201, 409]
    made = next(each.json() for each in answers if each.status_code == 201)
    ok(ada.post(f"/v1/plans/{made['plan_id']}/withdraw", json={"reason": "done"}))


def test_plans_come_in_pages_that_new_ones_do_not_shift(ada: httpx.Client) -> None:
    first = ok(ada.get("/v1/plans", params={"limit": 2}))
    made = ok(ada.post("/v1/plans", json=throttle(ring(ada, 7))), 201)
    rest: list[str] = []
    after = first["next"]
    while after:
        page = ok(ada.get("/v1/plans", params={"limit": 2, "after": after}))
        rest += [each["plan_id"] for each in page["items"]]
        after = page["next"]
    assert made["plan_id"] not in rest
    assert rest == sorted(set(rest), reverse=True)
    assert not set(rest) & {each["plan_id"] for each in first["items"]}
    refused(ada.get("/v1/plans", params={"after": first["next"], "state": "stale"}), 422, "bad_cursor")
    ok(ada.post(f"/v1/plans/{made['plan_id']}/withdraw", json={"reason": "done"}))


def test_decisions_are_in_an_audit_that_verifies(served: Served, ada: httpx.Client) -> None:
    made = ok(ada.post("/v1/plans", json=throttle(ring(ada, 0))), 201)
    ok(ada.post(f"/v1/plans/{made['plan_id']}/withdraw", json={"reason": "only looking"}))
    with served.person("cas", "auditor") as client:
        mine = ok(client.get("/v1/audit", params={"plan_id": made["plan_id"]}))["items"]
        assert [each["content"]["verb"] for each in mine] == ["plan.planned", "plan.withdrawn"]
        exported = client.get("/v1/audit/export")
        assert exported.status_code == 200
        found = ok(client.get("/v1/audit/verify"))
    assert found["intact"]
    assert found["signed_up_to"] > 0
    assert exported.text.count("\n") > found["entries"]
