"""Signing in through a real provider on this machine, over HTTP, as a browser does."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from api_server import Served, serve

from api.auth import oidc
from api.auth.principal import COOKIE
from api.auth.startup import Serving
from tests.contract.oidc_provider import CLIENT, REDIRECT, SECRET, OidcServer

PROVIDER, CALLBACK = "/v1/session/provider", "/v1/session/provider/callback"


@pytest.fixture(scope="module")
def running() -> Iterator[OidcServer]:
    server = OidcServer()
    yield server
    server.close()


@pytest.fixture
def provider(running: OidcServer) -> OidcServer:
    running.person = {"sub": "sub-1", "email": "alice@example.com", "email_verified": True}
    running.keys, running.metadata, running.answer, running.forge = running.keys[:1], {}, None, running.sign
    return running


@pytest.fixture
def served(provider: OidcServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("RINGFENCE_PEPPER_FILE", str(tmp_path / "pepper"))
    (tmp_path / "secret").write_text(SECRET)
    environment = {
        "RINGFENCE_OIDC_ISSUER": provider.issuer,
        "RINGFENCE_OIDC_CLIENT_ID": CLIENT,
        "RINGFENCE_OIDC_REDIRECT_URI": REDIRECT,
        "RINGFENCE_OIDC_CLIENT_SECRET_FILE": str(tmp_path / "secret"),
    }
    with serve(tmp_path / "home", serving=Serving(environment=environment)) as found:
        with found.person("root", "admin") as admin:
            given = {"name": "alice", "roles": ["analyst"], "email": "alice@example.com"}
            assert admin.post("/v1/users", json=given).status_code == 201
        yield found


@pytest.fixture
def browser(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url) as client:
        yield client


def begin(browser: httpx.Client) -> str:
    answer = browser.get(PROVIDER)
    assert answer.status_code == 303, answer.text
    cookie = answer.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=lax", f"Path={CALLBACK}"))
    return answer.headers["location"]


def test_somebody_who_was_added_signs_in(browser: httpx.Client, provider: OidcServer) -> None:
    answer = browser.get(CALLBACK, params=provider.authorize(begin(browser)))
    assert answer.status_code == 200, answer.text
    assert (answer.json()["principal"], answer.json()["roles"]) == ("user:alice", ["analyst"])
    assert oidc.COOKIE not in browser.cookies
    assert browser.get("/v1/session").status_code == 200
    provider.person = {"sub": "sub-1", "email": "changed@example.com", "email_verified": False}
    again = browser.get(CALLBACK, params=provider.authorize(begin(browser)))
    assert again.json()["principal"] == "user:alice"  # by the subject, whatever the address is now


def test_the_session_of_before_ends(browser: httpx.Client, provider: OidcServer, served: Served) -> None:
    browser.get(CALLBACK, params=provider.authorize(begin(browser)))
    before = browser.cookies[COOKIE]
    browser.get(CALLBACK, params=provider.authorize(begin(browser)))
    assert browser.cookies[COOKIE] != before
    with httpx.Client(base_url=served.url, cookies={COOKIE: before}) as fixed:
        assert fixed.get("/v1/session").status_code == 401


@pytest.mark.parametrize(
    "person",
    [
        {"sub": "sub-9", "email": "mallory@example.com", "email_verified": True},
        {"sub": "sub-9", "email": "alice@example.com", "email_verified": False},
        {"sub": "sub-9"},
    ],
)
def test_strangers_are_not_let_in(
    browser: httpx.Client, provider: OidcServer, person: dict[str, object]
) -> None:
    provider.person = dict(person)
    answer = browser.get(CALLBACK, params=provider.authorize(begin(browser)))
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert COOKIE not in browser.cookies


def test_an_answer_for_another_browser_opens_nothing(
    browser: httpx.Client, provider: OidcServer, served: Served
) -> None:
    back = provider.authorize(begin(browser))
    with httpx.Client(base_url=served.url) as victim:
        assert victim.get(CALLBACK, params=back).status_code == 401  # no sign-in under way
        begin(victim)
        assert victim.get(CALLBACK, params=back).status_code == 401  # another one is
    assert browser.get(CALLBACK, params={**back, "state": "made-up"}).status_code == 401
    assert browser.get(CALLBACK, params=back).status_code == 200
    assert browser.get(CALLBACK, params=back).status_code == 401  # a code works once


def forged(provider: OidcServer, change: dict[str, Any], claims: dict[str, Any]) -> str:
    return provider.sign({**claims, **change})


def test_tokens_for_others_or_forged_open_nothing(browser: httpx.Client, provider: OidcServer) -> None:
    for change in ({"aud": "another-client"}, {"iss": "https://evil.example"}, {"exp": 1}, {"nonce": "old"}):
        provider.forge = partial(forged, provider, change)
        answer = browser.get(CALLBACK, params=provider.authorize(begin(browser)))
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), change


def test_whoever_declines_is_told_so(browser: httpx.Client) -> None:
    state = parse_qs(urlsplit(begin(browser)).query)["state"][0]
    back = {"error": "access_denied", "error_description": "<script>", "state": state}
    answer = browser.get(CALLBACK, params=back)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert "script" not in answer.text


def test_a_provider_that_is_down_is_no_fault_of_ours(
    browser: httpx.Client, provider: OidcServer, served: Served
) -> None:
    provider.answer = (500, b"oops")
    answer = browser.get(PROVIDER)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "tokens still work" in answer.json()["remedy"]
    with served.client("viewer") as script:
        assert script.get("/v1/session").status_code == 200
    provider.answer = None
    back = provider.authorize(begin(browser))
    provider.answer = (503, b"")
    assert browser.get(CALLBACK, params=back).status_code == 503


def test_without_a_provider_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGFENCE_PEPPER_FILE", str(tmp_path / "pepper"))
    with serve(tmp_path / "home") as found, found.client() as client:
        assert client.get(PROVIDER).status_code == 404
        assert client.get(CALLBACK, params={"state": "x", "code": "y"}).status_code == 404
