"""What strangers send: it gets a short answer, and never a fault."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from api_server import Served, served_campaign

from api.app import Parts
from api.http import server
from api.http.limits import Caps

SHORT = 4_000
FIND = "/v1/organizations/find"
TEXTS = (
    "<script>alert(1)</script>",
    '\'; DROP TABLE "Organization"; --',
    '" OR 1=1 --',
    "MATCH (n) DETACH DELETE n",
    "x'}) DETACH DELETE n //",
    "%' UNION SELECT * FROM sqlite_master --",
    "../../etc/passwd",
    "=cmd|'/c calc'!A1",
    "${jndi:ldap://x}",
    "{{7*7}}",
    "\u202eevil\u200b",
    "𝕏" * 100,
    "a" * 400,
    "\r\nSet-Cookie: x=1",
    "*" * 100,
    "_%_%",
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "HEAD_S", 0.3)
        parts = Parts(caps=Caps(between_s=0.3))
        with served_campaign(tmp_path_factory.getbasetemp(), parts) as found:
            yield found
            assert "exception" not in found.log.getvalue()


@pytest.fixture(scope="module")
def viewer(served: Served) -> Iterator[httpx.Client]:
    with served.client("viewer", "analyst", "ingester") as client:
        yield client


def post(client: httpx.Client, body: Any, path: str = FIND) -> httpx.Response:
    headers = {"Content-Type": "application/json", "Idempotency-Key": "one"}
    answer = client.post(path, content=body, headers=headers)
    assert len(answer.content) < SHORT
    return answer


def raw(served: Served, data: bytes) -> bytes:
    """Send bytes and read until the server hangs up."""
    where = urlsplit(served.url)
    with socket.create_connection((str(where.hostname), int(where.port or 0)), timeout=20) as connection:
        connection.sendall(data)
        answer = b""
        while block := connection.recv(65_536):
            answer += block
    return answer


def test_a_body_of_fifty_megabytes_is_refused_and_not_echoed(viewer: httpx.Client) -> None:
    body = b'{"org_ids": ["' + b"x" * 50_000_000 + b'"]}'
    try:
        assert post(viewer, body).status_code == 413
    except httpx.TransportError:  # the server answered and hung up while the client still wrote
        assert viewer.get("/healthz").status_code == 200


def test_a_body_of_unknown_length_is_counted(viewer: httpx.Client) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(40):
            yield b" " * 50_000

    try:
        assert post(viewer, pieces()).status_code == 413
    except httpx.TransportError:
        assert viewer.get("/healthz").status_code == 200


def test_two_million_rows_are_refused_and_many_wrong_ones_listed_shortly(viewer: httpx.Client) -> None:
    try:
        assert post(viewer, b'{"org_ids": [' + b"0," * 2_000_000 + b"0]}").status_code == 413
    except httpx.TransportError:
        assert viewer.get("/healthz").status_code == 200
    assert post(viewer, b'{"org_ids": [' + b"0," * 400_000 + b"0]}").status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"NaN",
        b'{"org_ids": NaN}',
        b'{"org_ids": [Infinity]}',
        b'{"org_ids": ["\\ud800"]}',
        b'{"org_ids": ["\\udc00\\ud800"]}',
        b'{"org_ids": ["\xed\xa0\x80"]}',
        b'{"org_ids": ["\xff"]}',
        b'{"org_ids": ["a\\u0000b"]}',
        b'{"org_ids": ["a\x00b"]}',
        b'{"org_ids": [1e400]}',
        b'{"org_ids": [99999999999999999999999999]}',
        b'{"org_ids": []}',
        b'{"org_ids": {}}',
        b'{"org_ids": ["x"], "__proto__": {}}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"\xef\xbb\xbf{}",
    ],
)
@pytest.mark.parametrize("path", [FIND, "/v1/queries/shared_addresses/run", "/v1/labels"])
def test_bodies_that_are_no_request(viewer: httpx.Client, path: str, body: bytes) -> None:
    answer = post(viewer, body, path)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["remedy"]


@pytest.mark.parametrize("text", TEXTS)
def test_text_is_only_text(viewer: httpx.Client, text: str) -> None:
    asked = [
        viewer.get("/v1/search", params={"q": text}),
        viewer.get("/v1/clusters", params={"q": text[:200], "pattern": text[:100]}),
        viewer.get("/v1/why", params={"a": text, "b": text}),
        viewer.get("/v1/expand", params={"node": f"org:{text}", "type": text}),
        viewer.get("/v1/expand", params={"node": [f"org:{text}", f"Email:{text}"]}),
        viewer.get(f"/v1/organizations/{quote(text, safe='')}"),
        viewer.get(f"/v1/clusters/{quote(text, safe='')}/members"),
        viewer.get("/v1/clusters", params={"after": text}),
        viewer.post(FIND, json={"org_ids": [text]}),
        viewer.post("/v1/queries/paths_between/run", json={"parameters": {"a": text, "b": text}}),
        viewer.post("/v1/queries/members_of_cluster/run", json={"parameters": {"cluster_id": text}}),
        viewer.post("/v1/queries/members_of_cluster/run", json={"parameters": {text: 1}}),
        viewer.post("/v1/labels", json={"labels": [{"org_id": text, "label": text, "reason": text}]}),
        viewer.post("/v1/events", params={"source": text}),
    ]
    for answer in asked:
        assert answer.status_code < 500, answer.text
        assert answer.headers["content-type"] in ("application/json", "application/problem+json")
        assert "set-cookie" not in answer.headers
    assert viewer.get("/v1/clusters").json()["items"]


@pytest.mark.parametrize(
    "target",
    [
        "/v1/organizations/%00",
        "/v1/organizations/%ff",
        "/v1/organizations/%ed%a0%80",
        "/v1/search?q=%ff",
        "/v1/search?q=a%00b",
        "/v1/search?%ff=1",
        "/v1/clusters?limit=9999999999999999999999",
        "/v1/clusters?limit=-1",
        "/v1/clusters?limit=1&limit=2",
        "/v1/clusters?min_rsik=90",
        "/v1/session?x",
        "/v1/clusters?min_risk=nan",
        "/v1/clusters?min_risk=inf",
        "/v1/clusters?min_risk=1e999",
        "/v1/clusters?min_size=1e9",
        "/v1/clusters/..%2f..%2fetc",
        "/v1//clusters",
        "/v1/clusters/",
        "//evil.example/v1/clusters",
        "/v1/search?q=" + "a" * 9_000,
        "/v1/expand?" + "&".join(["node=Ip:x"] * 101),
        "/v1/runs/run_..",
        "/v1/exports/graph",
    ],
)
def test_addresses_that_lead_nowhere(served: Served, target: str) -> None:
    token = served.token("viewer", "auditor")
    head = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    answer = raw(served, head.encode())
    status = int(answer.split(b" ", 2)[1])
    assert 400 <= status < 500, answer[:300]
    assert b"application/problem+json" in answer


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([f"X-{number}: x" for number in range(200)], b"431"),
        ([f"X-{number}: {'x' * 8_000}" for number in range(5)], b"431"),
        ([f"X-{number}: {'x' * 8_000}" for number in range(500)], b"400"),
        (["Content-Length: -1"], b"400"),
        (["Content-Length: 1e9"], b"400"),
        (["Content-Length: 99999999999999999999"], b"4"),
        (["Content-Length: 5", "Content-Length: 6"], b"400"),
        (["Host: evil.example"], b"4"),
        (["X: a\x00b"], b"400"),
    ],
)
def test_header_floods_and_smuggling(served: Served, headers: list[str], status: bytes) -> None:
    head = "\r\n".join(["GET /healthz HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", ""])
    try:
        answer = raw(served, head.encode())
    except ConnectionError:  # it hung up before all was sent, which is an answer, too
        return
    assert answer.split(b" ", 2)[1].startswith(status), answer[:200]


def test_clients_that_dribble_are_hung_up_on(served: Served) -> None:
    token = served.token("viewer")
    assert raw(served, b"GET /healthz HT") == b""
    assert raw(served, b"") == b""
    head = (
        f"POST {FIND} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        'Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"org'
    )
    answer = raw(served, head.encode())
    assert answer.split(b" ", 2)[1] == b"408"


def test_other_methods_are_refused(viewer: httpx.Client) -> None:
    for method in ("PUT", "PATCH", "DELETE", "TRACE", "OPTIONS", "PROPFIND"):
        answer = viewer.request(method, "/v1/clusters")
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


def test_too_many_requests_are_told_when_to_come_back(tmp_path_factory: pytest.TempPathFactory) -> None:
    from api.http.rate import Rates

    rates = Rates(principal_second=5, failures_minute=3)
    with served_campaign(tmp_path_factory.getbasetemp(), Parts(rates=rates)) as found:
        with found.client("viewer") as client:
            answers = [client.get("/v1/session") for _ in range(60)]
        limited = [each for each in answers if each.status_code == 429]
        assert limited
        assert limited[0].headers["retry-after"] == "1"
        with found.client() as guesser:
            guesses = [guesser.get("/v1/session", headers={"Authorization": "Bearer rf_x"}) for _ in range(5)]
        assert [each.status_code for each in guesses] == [401, 401, 401, 429, 429]
        with found.client() as client:
            assert client.get("/healthz").status_code == 200
