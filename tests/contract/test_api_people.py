"""People and scripts over HTTP: signing in and out, users, tokens, and what an attacker would try with them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_server import Served, serve

from actions.ledger import Ledger
from actions.model import utc_now
from actions.refusals import Refusal
from api.app import Parts
from api.auth.principal import COOKIE
from api.deciding.desk import open_desk
from api.http.rate import Rates
from graph.home import Home

CSRF = {"X-Ringfence-CSRF": "1"}
PASSWORD, OTHER = "four unrelated words here", "other words that nobody guesses"
WRONG = "a password that is wrong"


class Clock:
    """Time that a test moves on."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> Any:
        return utc_now() + self.ahead


@contextmanager
def serving(folder: Path, **rates: int) -> Iterator[tuple[Served, Clock]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RINGFENCE_PEPPER_FILE", str(folder / "pepper"))
        clock = Clock()
        desk = open_desk(Home(folder / "home"), clock=clock)
        with serve(folder / "home", Parts(desk=desk, rates=Rates(**rates))) as found:
            yield found, clock


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[Served, Clock]]:
    with serving(tmp_path) as found:
        yield found


@pytest.fixture
def served(both: tuple[Served, Clock]) -> Served:
    return both[0]


@pytest.fixture
def clock(both: tuple[Served, Clock]) -> Clock:
    return both[1]


@pytest.fixture
def admin(served: Served) -> Iterator[httpx.Client]:
    with served.person("root", "admin") as client:
        yield client


def post(client: httpx.Client, path: str, body: Any = None, **options: Any) -> httpx.Response:
    return client.post(path, json={} if body is None else body, **options)


def added(admin: httpx.Client, name: str, *roles: str, **more: Any) -> dict[str, Any]:
    answer = post(admin, "/v1/users", {"name": name, "roles": list(roles), **more})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


@contextmanager
def signed_in(served: Served, name: str, password: str = PASSWORD) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, headers=CSRF) as client:
        answer = post(client, "/v1/session", {"name": name, "password": password})
        assert answer.status_code == 200, answer.text
        yield client


def status(client: httpx.Client, path: str = "/v1/session") -> int:
    return client.get(path).status_code


def test_a_person_signs_in_and_out(served: Served, admin: httpx.Client) -> None:
    added(admin, "ada", "operator", password=PASSWORD)
    with httpx.Client(base_url=served.url, headers=CSRF, cookies={COOKIE: "chosen-by-an-attacker"}) as client:
        answer = post(client, "/v1/session", {"name": "ada", "password": PASSWORD})
        assert answer.json()["principal"] == "user:ada"
        cookie = answer.headers["set-cookie"]
        assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Path=/"))
        assert "chosen-by-an-attacker" not in cookie
    with signed_in(served, "ada") as client:
        stolen = client.cookies[COOKIE]
        assert client.get("/v1/sessions").json()["total"] == 2
        assert post(client, "/v1/session/close").status_code == 204
        assert status(client) == 401
    with httpx.Client(base_url=served.url, cookies={COOKIE: stolen}) as thief:
        assert status(thief) == 401  # a session that was closed cannot be replayed


def test_signing_in_again_ends_the_session_of_before(served: Served, admin: httpx.Client) -> None:
    added(admin, "ada", "viewer", password=PASSWORD)
    with signed_in(served, "ada") as client:
        before = client.cookies[COOKIE]
        assert post(client, "/v1/session", {"name": "ada", "password": PASSWORD}).status_code == 200
        assert client.cookies[COOKIE] != before
        with httpx.Client(base_url=served.url, cookies={COOKIE: before}) as fixed:
            assert status(fixed) == 401


def test_signing_in_takes_more_than_a_form_on_another_site(served: Served, admin: httpx.Client) -> None:
    added(admin, "ada", "viewer", password=PASSWORD)
    body = {"name": "ada", "password": PASSWORD}
    with served.client() as client:
        for headers in ({}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            answer = client.post("/v1/session", json=body, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "csrf")
        form = client.post("/v1/session", data=body, headers=CSRF)
        assert form.status_code in (400, 422)


def test_who_guesses_learns_nothing_and_is_stopped(tmp_path: Path) -> None:
    with serving(tmp_path, failures_minute=14) as (served, clock):
        with served.person("root", "admin") as admin:
            added(admin, "ada", "viewer", password=PASSWORD)
        with httpx.Client(base_url=served.url, headers=CSRF) as client:
            answers = [
                post(client, "/v1/session", {"name": name, "password": WRONG})
                for name in ["nobody", *["ada"] * 10]
            ]
            assert {answer.status_code for answer in answers} == {401}
            assert len({answer.text for answer in answers}) == 1
            right = post(client, "/v1/session", {"name": "ada", "password": PASSWORD})
            assert (right.status_code, right.text) == (401, answers[0].text)  # locked, and it does not say so
            more = [post(client, "/v1/session", {"name": "ada", "password": WRONG}) for _ in range(4)]
            assert [answer.status_code for answer in more][-1] == 429
            assert more[-1].headers["retry-after"]
        clock.ahead = timedelta(minutes=16)
        with signed_in(served, "ada") as client:
            assert status(client) == 200


@pytest.mark.parametrize(
    "body",
    [
        {"name": "ada"},
        {"name": "ada", "password": ""},
        {"name": "ada", "password": "x" * 5_000},
        {"name": "a" * 100, "password": WRONG},
        {"name": "\x00", "password": WRONG},
        {"name": "ada\u202e", "password": "\ud800"},
        {"name": ["ada"], "password": {"$ne": ""}},
        {"name": "ada", "password": WRONG, "role": "admin"},
        {"name": "ada' OR '1'='1", "password": "' OR '1'='1"},
    ],
)
def test_what_is_no_sign_in(served: Served, body: Any) -> None:
    with served.client() as client:
        content = json.dumps(body).encode()
        answer = client.post(
            "/v1/session", content=content, headers={**CSRF, "Content-Type": "application/json"}
        )
    assert answer.status_code in (400, 401, 422)
    assert WRONG not in answer.text


def test_a_session_lasts_a_working_day(served: Served, clock: Clock, admin: httpx.Client) -> None:
    added(admin, "ada", "viewer", password=PASSWORD)
    with signed_in(served, "ada") as client:
        clock.ahead = timedelta(hours=11, minutes=59)
        assert status(client) == 200
        clock.ahead = timedelta(hours=12, minutes=1)
        assert status(client) == 401


def test_a_person_changes_their_password(served: Served, admin: httpx.Client) -> None:
    added(admin, "ada", "viewer", password=PASSWORD)
    with signed_in(served, "ada") as client, signed_in(served, "ada") as elsewhere:
        path = "/v1/session/password"
        assert post(client, path, {"before": WRONG, "password": OTHER}).status_code == 403
        weak = post(client, path, {"before": PASSWORD, "password": "short"})
        assert (weak.status_code, weak.json()["code"]) == (422, "weak_password")
        assert post(client, path, {"before": PASSWORD, "password": OTHER}).status_code == 204
        assert status(client) == 200
        assert status(elsewhere) == 401
    with signed_in(served, "ada", OTHER):
        pass
    with served.client("viewer") as script:
        assert post(script, "/v1/session/password", {"before": "x", "password": OTHER}).status_code == 403


def test_users_are_changed_by_other_people(served: Served, admin: httpx.Client) -> None:
    made = added(admin, "ada", "viewer", email="Ada@Example.com", password=PASSWORD)
    assert (made["user_id"], made["email"], made["signs_in_with"]) == (
        "user:ada",
        "ada@example.com",
        ["password", "provider"],
    )
    assert post(admin, "/v1/users", {"name": "ada", "roles": ["viewer"]}).json()["code"] == "taken"
    with signed_in(served, "ada") as ada:
        assert status(ada, "/v1/audit") == 403
        changed = post(admin, "/v1/users/user:ada/roles", {"roles": ["admin", "auditor"]})
        assert changed.json()["roles"] == ["admin", "auditor"]
        assert status(ada, "/v1/audit") == 200  # from the next request on
        own = post(ada, "/v1/users/user:ada/roles", {"roles": ["admin", "approver"]})
        assert (own.status_code, own.json()["code"]) == (403, "forbidden")
        assert post(ada, "/v1/users/user:ada/password", {"password": OTHER}).status_code == 403
        assert admin.get("/v1/users/user:ada/sessions").json()["total"] == 1
        assert post(admin, "/v1/users/user:ada/sessions/end").json() == {"ended": 1}
        assert status(ada) == 401
    with signed_in(served, "ada") as ada:
        last = post(admin, "/v1/users/user:ada/disable", {"reason": "left"})
        assert (last.status_code, last.json()["code"]) == (
            409,
            "wrong_state",
        )  # nobody would be left to administer
        added(admin, "bob", "admin", password=PASSWORD)
        assert post(admin, "/v1/users/user:ada/disable", {"reason": "left"}).json()["disabled_at"]
        assert status(ada) == 401
    with served.client() as client:
        refused = post(client, "/v1/session", {"name": "ada", "password": PASSWORD}, headers=CSRF)
        assert refused.status_code == 401
    assert post(admin, "/v1/users/user:ada/enable", {"reason": "back"}).json()["disabled_at"] is None
    assert post(admin, "/v1/users/user:ada/password", {"password": OTHER}).status_code == 204
    with signed_in(served, "ada", OTHER):
        pass
    moved = post(admin, "/v1/users/user:ada/email", {"email": "new@example.com"})
    assert moved.json()["email"] == "new@example.com"


def test_an_invitation_opens_one_session(served: Served, admin: httpx.Client) -> None:
    added(admin, "eve", "viewer")
    path = post(admin, "/v1/users/user:eve/invite").json()["path"]
    with served.client() as client:
        assert client.get(path).json()["principal"] == "user:eve"
    with served.client() as client:
        assert client.get(path).status_code == 401


def test_users_are_listed_page_by_page(admin: httpx.Client) -> None:
    for name in ("ann", "ben", "cem"):
        added(admin, name, "viewer", email=f"{name}@example.com")
    first = admin.get("/v1/users", params={"limit": 2}).json()
    assert [user["user_id"] for user in first["items"]] == ["user:ann", "user:ben"]
    rest = admin.get("/v1/users", params={"limit": 2, "after": first["next"]}).json()
    assert [user["user_id"] for user in rest["items"]] == ["user:cem"]
    assert rest["next"] is None
    other = admin.get("/v1/tokens", params={"after": first["next"]})
    assert other.json()["code"] == "bad_cursor"
    assert all("password" not in user for user in first["items"])


def test_an_erased_user_leaves_no_name(served: Served, admin: httpx.Client) -> None:
    added(admin, "ada-lovelace", "viewer", email="ada@example.com", password=PASSWORD)
    added(admin, "bob", "admin", password=PASSWORD)
    with signed_in(served, "ada-lovelace") as ada:
        assert status(ada) == 200
        erased = post(
            admin,
            "/v1/users/user:ada-lovelace/erase",
            {"reason": "request of ada-lovelace, user:ada-lovelace"},
        )
        assert erased.json()["known_as"].startswith("s_")
        assert status(ada) == 401
    assert admin.get("/v1/users").text.count("ada-lovelace") == 0
    with served.person("audrey", "auditor") as auditor:
        assert auditor.get("/v1/audit/verify").json()["intact"]
        entries = auditor.get("/v1/audit", params={"limit": 200}).json()["items"]
    assert any(entry["content"]["verb"] == "person.erased" for entry in entries)
    assert not any("user:ada-lovelace" in entry["names"].values() for entry in entries)
    held = b"".join(path.read_bytes() for path in served.home.path.glob("ledger.sqlite*"))
    assert b"user:ada-lovelace" not in held
    assert b"ada@example.com" not in held
    assert b"user:bob" in held


def issued(admin: httpx.Client, **given: Any) -> dict[str, Any]:
    body = {"name": "bouncer", "roles": ["operator"], "purpose": "blocks at the edge", "days": 30, **given}
    answer = post(admin, "/v1/tokens", body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def bearer(served: Served, secret: str) -> httpx.Client:
    return httpx.Client(base_url=served.url, headers={"Authorization": f"Bearer {secret}"})


def test_a_token_is_shown_once_and_works_until_it_ends(
    served: Served, clock: Clock, admin: httpx.Client
) -> None:
    made = issued(admin)
    secret = made["secret"]
    assert secret.startswith("rf_")
    assert made["token"]["hint"] == secret[-4:]
    assert secret not in admin.get("/v1/tokens").text
    assert secret not in served.log.getvalue()
    assert all(secret.encode() not in path.read_bytes() for path in served.home.path.glob("ledger.sqlite*"))
    with bearer(served, secret) as script:
        session = script.get("/v1/session").json()
        assert (session["principal"], session["kind"], session["roles"]) == (
            "token:bouncer",
            "token",
            ["operator"],
        )
        assert status(script, "/v1/audit") == 403
        clock.ahead = timedelta(days=29)
        assert status(script) == 200
        clock.ahead = timedelta(days=31)
        assert status(script) == 401


def test_a_revoked_token_is_refused_like_an_unknown_one(served: Served, admin: httpx.Client) -> None:
    made = issued(admin)
    with bearer(served, made["secret"]) as script, bearer(served, "rf_" + "x" * 43) as stranger:
        assert status(script) == 200
        path = f"/v1/tokens/{made['token']['token_id']}"
        assert post(admin, f"{path}/revoke", {"reason": "leaked"}).json()["ended_at"]
        gone, never = script.get("/v1/session"), stranger.get("/v1/session")
        assert (gone.status_code, gone.text) == (never.status_code, never.text)
        assert gone.status_code == 401
    assert post(admin, f"{path}/revoke", {"reason": "twice"}).json()["code"] == "wrong_state"


def test_a_rotated_token_overlaps_for_a_day(served: Served, clock: Clock, admin: httpx.Client) -> None:
    old = issued(admin)
    new = post(admin, f"/v1/tokens/{old['token']['token_id']}/rotate", {"days": 30}).json()
    with bearer(served, old["secret"]) as before, bearer(served, new["secret"]) as after:
        assert (status(before), status(after)) == (200, 200)
        clock.ahead = timedelta(hours=25)
        assert (status(before), status(after)) == (401, 200)


@pytest.mark.parametrize(
    "wrong",
    [
        {"days": 91},
        {"days": 0},
        {"roles": ["approver"]},
        {"roles": ["admin"]},
        {"roles": []},
        {"roles": ["root"]},
        {"name": "Bad Name"},
        {"purpose": " "},
    ],
)
def test_tokens_that_are_not_issued(admin: httpx.Client, wrong: dict[str, Any]) -> None:
    body = {"name": "bouncer", "roles": ["operator"], "purpose": "blocks", "days": 30, **wrong}
    assert post(admin, "/v1/tokens", body).status_code == 422


def test_no_script_hands_out_access(served: Served) -> None:
    with served.client("admin") as script:
        given = {"name": "x", "roles": ["viewer"]}
        assert post(script, "/v1/users", given).json()["code"] == "not_a_person"
        body = {"name": "x", "roles": ["viewer"], "purpose": "more"}
        assert post(script, "/v1/tokens", body).json()["code"] == "not_a_person"


def test_a_session_is_no_token_and_a_token_no_session(served: Served, admin: httpx.Client) -> None:
    added(admin, "ada", "viewer", password=PASSWORD)
    made = issued(admin)
    with signed_in(served, "ada") as client, bearer(served, client.cookies[COOKIE]) as script:
        assert status(script) == 401
    with httpx.Client(base_url=served.url, cookies={COOKIE: made["secret"]}) as browser:
        assert status(browser) == 401


def test_everything_is_audited_without_secrets(served: Served, admin: httpx.Client) -> None:
    added(admin, "ada", "viewer", password=PASSWORD)
    made = issued(admin)
    with signed_in(served, "ada"), served.person("audrey", "auditor") as auditor:
        page = auditor.get("/v1/audit", params={"limit": 100})
    verbs = [entry["content"]["verb"] for entry in page.json()["items"]]
    assert {"user.created", "token.issued", "session.opened"} <= set(verbs)
    assert PASSWORD not in page.text
    assert made["secret"] not in page.text


def test_the_ledger_that_went_away_is_said(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:

    def gone(*_: Any) -> Any:
        raise Refusal("ledger_unavailable", "the ledger cannot be used", "Bring it back.")

    with served.client("viewer") as client:
        monkeypatch.setattr(Ledger, "reading", gone)
        monkeypatch.setattr(Ledger, "transaction", gone)
        answer = client.get("/v1/session", headers={"Authorization": f"Bearer rf_{'x' * 43}"})
        assert (answer.status_code, answer.json()["code"]) == (503, "ledger_unavailable")
        assert client.get("/healthz").status_code == 200
