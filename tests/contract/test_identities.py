"""The HTTP API with users, sessions and tokens of the ledger behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from actions.access import tokens, users
from actions.access.identities import LedgerIdentities
from actions.ledger import Ledger
from actions.model import Principal
from api.app import Parts, create_app
from api.auth.principal import COOKIE
from api.auth.startup import Serving
from graph.home import Home

ROOT = Principal("user:root", frozenset({"admin"}))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "ledger.sqlite")
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def app(ledger: Ledger, tmp_path: Path) -> FastAPI:
    identities = LedgerIdentities(ledger, local=True)
    return create_app(Serving(), Home(tmp_path / "home"), Parts(identities=identities))


def ask(app: FastAPI, path: str, *, method: str = "GET", **headers: str) -> httpx.Response:
    async def body() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(body())


def test_a_token_of_the_ledger_answers_until_it_is_revoked(app: FastAPI, ledger: Ledger) -> None:
    with ledger.transaction() as tx:
        made = tokens.issue(tx, "cron", ["operator"], ROOT, purpose="nightly")
    given = {"authorization": f"Bearer {made.secret}"}
    answer = ask(app, "/v1/session", **given)
    assert answer.status_code == 200
    assert (answer.json()["principal"], answer.json()["roles"]) == ("token:cron", ["operator"])
    with ledger.transaction() as tx:
        tokens.revoke(tx, made.token.token_id, ROOT)
    assert ask(app, "/v1/session", **given).status_code == 401
    assert ask(app, "/v1/session", authorization="Bearer rf_" + "x" * 43).status_code == 401


def test_the_address_of_serve_opens_a_session_once(app: FastAPI, ledger: Ledger) -> None:
    one_time = LedgerIdentities(ledger, local=True).invite_owner()
    opened = ask(app, f"/v1/session/open?token={one_time}")
    assert opened.status_code == 200
    cookie = opened.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert ask(app, f"/v1/session/open?token={one_time}").status_code == 401
    session = {"cookie": cookie.partition(";")[0], "sec-fetch-site": "same-origin"}
    assert ask(app, "/v1/session", **session).json()["principal"] == users.OWNER
    assert "approve" not in ask(app, "/v1/session", **session).json()["permissions"]
    assert ask(app, "/v1/session/close", method="POST", **session).status_code == 204
    assert ask(app, "/v1/session", **session).status_code == 401


def test_a_session_that_was_planted_is_never_taken_over(app: FastAPI, ledger: Ledger) -> None:
    planted = "a-secret-that-an-attacker-knows"
    one_time = LedgerIdentities(ledger, local=True).invite_owner()
    opened = ask(app, f"/v1/session/open?token={one_time}", cookie=f"{COOKIE}={planted}")
    assert opened.status_code == 200
    assert planted not in opened.headers["set-cookie"]
    planted_one = {"cookie": f"{COOKIE}={planted}", "sec-fetch-site": "same-origin"}
    assert ask(app, "/v1/session", **planted_one).status_code == 401


def test_a_user_who_is_disabled_is_out_at_once(app: FastAPI, ledger: Ledger) -> None:
    from actions.access import passwords

    word = "correct horse battery staple"
    with ledger.transaction() as tx:
        users.first_admin(tx, passwords.hashed(word), "root")
        users.create(tx, "alice", ["viewer"], ROOT, password_hash=passwords.hashed(word))
    secret = LedgerIdentities(ledger).sign_in("alice", word)
    session = {"cookie": f"{COOKIE}={secret}", "sec-fetch-site": "same-origin"}
    assert ask(app, "/v1/session", **session).json()["principal"] == "user:alice"
    with ledger.transaction() as tx:
        users.disable(tx, "user:alice", ROOT, reason="left")
    assert ask(app, "/v1/session", **session).status_code == 401
