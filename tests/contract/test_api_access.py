"""Who may do what over HTTP: every role on every route, and what a browser must not be tricked into."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from api_server import Served, served_campaign

from api.app import Parts, guarded
from api.auth.permissions import ROLES, Permission
from api.auth.principal import COOKIE
from api.http.rate import Rates
from api.http.security_headers import ALWAYS

FILLED = {
    "{cluster_id}": "cl_aaaaaaaaaa",
    "{org_id}": "org_1",
    "{label}": "Email",
    "{key}": "0" * 32,
    "{name}": "shared_addresses",
    "{run_id}": "current",
    "{what}": "clusters",
    "{case_id}": "case_0198c5a0",
    "{view_id}": "view_0198c5a0",
    "{plan_id}": "plan_0198c5a0",
    "{appeal_id}": "appeal_0198c5a0",
    "{incident_id}": "incident_0198c5a0",
    "{user_id}": "user:nobody",
    "{token_id}": "tok_0198c5a0",
    "{session_id}": "ses_0198c5a0",
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    rates = Rates(principal_second=100_000, address_second=100_000)
    with served_campaign(tmp_path_factory.getbasetemp(), Parts(rates=rates)) as found:
        yield found


def filled(path: str) -> str:
    for name, value in FILLED.items():
        path = path.replace(name, value)
    assert "{" not in path, f"give the new parameter of {path} a value in FILLED"
    return path


def test_every_role_on_every_route(served: Served) -> None:
    for role, allowed in ROLES.items():
        with served.client(role) as client:
            for place, route in guarded(served.app).items():
                method, _, path = place.partition(" ")
                with client.stream(method, filled(path)) as answer:
                    expected = route.permission is Permission.PUBLIC or route.permission in allowed
                    assert (answer.status_code != 403) is expected, (role, place)


def test_without_credentials_only_public_routes_answer(served: Served) -> None:
    with served.client() as client:
        for place, route in guarded(served.app).items():
            method, _, path = place.partition(" ")
            answer = client.request(method, filled(path))
            assert (answer.status_code == 401) is (
                route.permission is not Permission.PUBLIC
            ) or "open" in path
            if answer.status_code == 401:
                assert answer.json()["code"] == "unauthenticated"
                assert answer.headers["www-authenticate"].startswith("Bearer")


def test_the_ingester_writes_events_and_nothing_else() -> None:
    assert ROLES["ingester"] == {Permission.INGEST}
    for role in ROLES.keys() - {"ingester"}:
        assert Permission.READ in ROLES[role]
    assert not ROLES["admin"] & {Permission.APPROVE, Permission.REVEAL, Permission.OPERATE}
    assert Permission.APPROVE not in ROLES["operator"]


def test_roles_combine(served: Served) -> None:
    with served.client("viewer", "ingester") as client:
        session = client.get("/v1/session").json()
    assert session["permissions"] == ["ingest", "read"]


@pytest.mark.parametrize(
    "header", ["Bearer", "Basic dTpw", "Bearer rf_wrong", "rf_wrong", f"Bearer {'x' * 5000}", "Bearer \xe9"]
)
def test_what_is_no_token_is_refused(served: Served, header: str) -> None:
    with served.client() as client:
        answer = client.get("/v1/clusters", headers={"Authorization": header.encode("latin-1")})
    assert answer.status_code == 401
    assert "rf_wrong" not in answer.text


@contextmanager
def opened(served: Served) -> Iterator[httpx.Client]:
    with served.client() as client:
        answer = client.get("/v1/session/open", params={"token": served.identities.invite_owner()})
        assert answer.status_code == 200
        yield client


def test_a_one_time_address_opens_a_session_once(served: Served) -> None:
    invited = served.identities.invite_owner()
    with served.client(cookies={COOKIE: "chosen-by-an-attacker"}) as client:
        answer = client.get("/v1/session/open", params={"token": invited})
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "chosen-by-an-attacker" not in cookie
        assert client.get("/v1/session/open", params={"token": invited}).status_code == 401
    assert invited not in served.log.getvalue()
    with opened(served) as client:
        assert client.get("/v1/session").json()["kind"] == "local"
        assert client.post("/v1/session/close", headers={"X-Ringfence-CSRF": "1"}).status_code == 204
        assert client.get("/v1/session").status_code == 401


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, False),
        ({"X-Ringfence-CSRF": "1"}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site", "X-Ringfence-CSRF": "1"}, False),
        ({"Origin": "own"}, True),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "null", "X-Ringfence-CSRF": "1"}, False),
    ],
)
def test_a_cookie_alone_changes_nothing(served: Served, headers: dict[str, str], allowed: bool) -> None:
    sent = {name: served.url if value == "own" else value for name, value in headers.items()}
    with opened(served) as client:
        answer = client.post("/v1/organizations/find", json={"org_ids": ["x"]}, headers=sent)
        assert (answer.status_code == 200) is allowed
        assert allowed or answer.json()["code"] == "csrf"
        assert client.get("/v1/clusters", headers=sent).status_code == 200
    with served.client("viewer") as client:
        assert client.post("/v1/organizations/find", json={"org_ids": ["x"]}, headers=sent).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "",
        "[::2]",
        "127.0.0.1@evil.example",
    ],
)
def test_foreign_host_names_are_not_served(served: Served, host: str) -> None:
    with served.client("viewer") as client:
        answer = client.get("/v1/clusters", headers={"Host": host})
        assert answer.status_code in (400, 421)
        assert client.get("/v1/clusters", headers={"Host": "LOCALHOST:1"}).status_code == 200


def test_every_answer_has_the_security_headers(served: Served) -> None:
    with served.client("viewer") as viewer, served.client() as nobody:
        paths = (
            "/healthz",
            "/v1/clusters",
            "/v1/clusters/nonsense",
            "/nowhere",
            "/v1/openapi.json",
            "/metrics",
        )
        for client, path in itertools.product((viewer, nobody), paths):
            answer = client.get(path)
            for name, value in ALWAYS:
                assert answer.headers[name.decode()] == value.decode(), path
            assert "cache-control" in answer.headers
            assert "server" not in answer.headers


def test_request_ids_are_given_and_kept_when_plain(served: Served) -> None:
    with served.client("viewer") as client:
        assert (
            client.get("/healthz", headers={"X-Request-Id": "trace-12345"}).headers["x-request-id"]
            == "trace-12345"
        )
        assert len(client.get("/healthz", headers={"X-Request-Id": "a b"}).headers["x-request-id"]) == 24


def test_logs_hold_no_secret_and_no_query(served: Served) -> None:
    token = served.token("viewer")
    with served.client() as client:
        client.get("/v1/search?q=somebody@example.com", headers={"Authorization": f"Bearer {token}"})
        client.get("/v1/organizations/secret-org", headers={"Authorization": f"Bearer {token}"})
    logged = served.log.getvalue()
    assert token not in logged
    assert "somebody" not in logged
    assert "secret-org" not in logged
    assert '"route":"/v1/organizations/{org_id}"' in logged


def test_metrics_count_by_route(served: Served) -> None:
    with served.client("viewer") as client:
        client.get("/v1/clusters/cl_aaaaaaaaaa")
        page = client.get("/metrics")
    assert page.headers["content-type"].startswith("text/plain")
    assert 'route="/v1/clusters/{cluster_id}",status="404"' in page.text
    assert "cl_aaaaaaaaaa" not in page.text
