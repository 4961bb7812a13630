"""Where it may be served, and what production has to have before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from api_server import serve

from actions.access import users
from actions.access.identities import LedgerIdentities
from api.app import create_app
from api.auth.startup import Serving, check
from api.cli import invoke
from api.deciding.desk import opened
from api.deciding.people import first_admin
from graph.errors import RingfenceError
from graph.home import Home


@pytest.fixture
def production(tmp_path: Path) -> Serving:
    for name in ("pepper", "audit", "certificate", "key", "password"):
        (tmp_path / name).write_text("x" * 32)
    return Serving(
        host="0.0.0.0",  # noqa: S104 - that is what is tested
        names=("rings.example.com",),
        certificate=tmp_path / "certificate",
        key=tmp_path / "key",
        environment={
            "RINGFENCE_ADMIN_PASSWORD_FILE": str(tmp_path / "password"),
            "RINGFENCE_PEPPER_FILE": str(tmp_path / "pepper"),
            "RINGFENCE_AUDIT_KEY_FILE": str(tmp_path / "audit"),
        },
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.9"])
def test_this_machine_needs_nothing(host: str) -> None:
    check(Serving(host=host), approvers=0)


def test_production_with_everything_starts(production: Serving) -> None:
    check(production, approvers=2)
    check(replace(production, certificate=None, key=None, proxies=("10.0.0.2",)), approvers=2)
    assert production.allowed_hosts == {"rings.example.com"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"certificate": None}, "TLS"),
        ({"key": None}, "TLS"),
        ({"names": ()}, "--allow-host"),
        ({"environment": {}}, "OIDC"),
        ({"environment": {"RINGFENCE_OIDC_ISSUER": "https://id.example"}}, "audit key"),
    ],
)
@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "::", "rings.example.com", ""])  # noqa: S104
def test_production_without_something_is_refused(
    production: Serving, host: str, change: dict[str, object], said: str
) -> None:
    with pytest.raises(RingfenceError, match=said) as refused:
        check(replace(production, host=host, **change), approvers=2)  # type: ignore[arg-type]
    assert refused.value.exit_code == 2
    assert "\n" not in refused.value.message


def test_one_approver_is_too_few(production: Serving) -> None:
    with pytest.raises(RingfenceError, match="two approvers"):
        check(production, approvers=1)


def test_the_command_refuses_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["serve", "--host", "192.0.2.7"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("error: refusing to serve on 192.0.2.7")
    assert len(said) == 2


def test_what_the_ledger_holds_decides(production: Serving, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    environment = {**production.environment, "RINGFENCE_PEPPER_FILE": str(tmp_path / "pepper")}
    (tmp_path / "password").write_text("a sentence that nobody guesses\n")
    serving = replace(production, environment=environment)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        with opened(home) as desk:
            first_admin(desk, environment)
            first_admin(desk, environment)  # once
            with desk.ledger.reading() as reading:
                assert [user.user_id for user in users.listed(reading)] == ["user:admin"]
        with pytest.raises(RingfenceError, match="two approvers") as refused:
            create_app(serving, home)
        assert "lacks two approvers" in refused.value.message  # and nothing else
        with opened(home) as desk, desk.ledger.transaction() as tx:
            for name in ("ada", "bob"):
                users.create(tx, name, ["approver"], desk.principal, email=f"{name}@example.com")
        answers(serving, home)
        with opened(home) as desk, desk.ledger.transaction() as tx:
            users.disable(tx, "user:bob", desk.principal, reason="left")
        with pytest.raises(RingfenceError, match="two approvers"):
            create_app(serving, home)


def answers(serving: Serving, home: Home) -> None:
    """Serve it behind a proxy on this machine, and sign in as the first admin."""
    behind = replace(serving, certificate=None, key=None, proxies=("127.0.0.1",))
    with serve(home.path, serving=behind) as found:
        headers = {"Host": "rings.example.com", "X-Ringfence-CSRF": "1", "X-Forwarded-Proto": "https"}
        with httpx.Client(base_url=found.url, headers=headers) as client:
            closed = {
                client.get(path).status_code for path in ("/v1/openapi.json", "/metrics", "/v1/clusters")
            }
            assert closed == {401}
            body = {"name": "admin", "password": "a sentence that nobody guesses"}
            answer = client.post("/v1/session", json=body)
            assert answer.status_code == 200, answer.text
            assert "Secure" in answer.headers["set-cookie"]
            assert answer.headers["strict-transport-security"]
            assert client.get("/v1/session", headers={"Host": "127.0.0.1"}).status_code == 421


def test_the_machines_owner_is_not_let_in_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGFENCE_PEPPER_FILE", str(tmp_path / "pepper"))
    with opened(Home(tmp_path / "home")) as desk:
        here = LedgerIdentities(desk.ledger, local=True)
        secret = here.open_session(here.invite_owner())
        assert secret is not None
        assert here.of_session(secret) is not None
        abroad = LedgerIdentities(desk.ledger)
        assert abroad.of_session(secret) is None
        with pytest.raises(RingfenceError, match="on that machine only"):
            abroad.invite_owner()
