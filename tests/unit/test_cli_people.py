"""`ringfence users`, `tokens` and `erase`: access from the command line, without a secret in any argument."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from actions.access import sessions, tokens
from actions.refusals import Refusal
from api.cli import invoke
from api.deciding import desk as desks
from api.deciding import people
from graph.home import Home

Ask = Callable[..., tuple[int, Any, str]]
PASSWORD = "a sentence that nobody guesses"  # noqa: S105 - of nobody


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("RINGFENCE_PEPPER_FILE", str(tmp_path / "pepper"))
    return Home(tmp_path / "home")


@pytest.fixture
def ask(home: Home, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run a command with --json: its exit code, what it answered, what it complained about."""

    def asking(*words: str) -> tuple[int, Any, str]:
        code = invoke([*words, "--json", "--home", str(home.path)])
        said = capsys.readouterr()
        return code, json.loads(said.out) if said.out else None, said.err

    return asking


def signs_in(home: Home, name: str, password: str) -> bool:
    with desks.opened(home) as desk, suppress(Refusal):
        return bool(sessions.sign_in(desk.ledger, name, password))
    return False


def test_the_first_admin_gets_a_password_from_a_file(ask: Ask, home: Home, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(f"{PASSWORD}\nand more\n")
    add = ("users", "add", "root", "--role", "admin", "--password-file", str(tmp_path / "password"))
    assert ask(*add) == (0, {"user_id": "user:root", "roles": ["admin"], "open": None}, "")
    assert signs_in(home, "root", PASSWORD)
    code, _, err = ask(*add)
    assert (code, json.loads(err)["code"]) == (2, "taken")
    (tmp_path / "password").write_text("short\n")
    code, _, err = ask(*("ada" if word == "root" else word for word in add))
    assert json.loads(err)["code"] == "weak_password"
    assert "short" not in err


def test_a_password_is_typed_twice(ask: Ask, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter([PASSWORD, PASSWORD, PASSWORD, "another one"])
    add = ("users", "add", "root", "--role", "admin", "--ask-password")
    assert ask(*add)[0] == 2  # no terminal
    monkeypatch.setattr(people.sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(people.getpass, "getpass", lambda _: next(typed))
    assert ask(*add)[0] == 0
    assert signs_in(home, "root", PASSWORD)
    code, _, err = ask("users", "password", "root", "--ask-password")
    assert (code, "differ" in err) == (2, True)
    assert ask("users", "password", "root")[0] == 2


def test_users_come_change_and_go(ask: Ask, home: Home, tmp_path: Path) -> None:
    for name in ("root", "boss"):
        assert ask("users", "add", name, "--role", "admin")[1]["open"].startswith("/v1/session/open?token=")
    assert ask("users", "add", "ada", "--role", "viewer", "--email", "ada@example.com")[1]["open"] is None
    roles = ask("users", "roles", "ada", "--role", "operator", "--role", "analyst")[1]["roles"]
    assert roles == ["analyst", "operator"]
    (tmp_path / "password").write_text(PASSWORD)
    assert ask("users", "password", "ada", "--password-file", str(tmp_path / "password"))[0] == 0
    assert signs_in(home, "ada", PASSWORD)
    assert ask("users", "disable", "ada", "--reason", "left")[1]["disabled_at"]
    assert not signs_in(home, "ada", PASSWORD)
    assert ask("users", "enable", "ada", "--reason", "back")[1]["disabled_at"] is None
    assert ask("users", "erase", "ada", "--reason", "request 12")[1]["known_as"].startswith("s_")
    assert "user:ada" not in json.dumps(ask("users", "list")[1])
    assert ask("users", "disable", "nobody", "--reason", "left")[0] != 0


def test_tokens_are_shown_once(ask: Ask, home: Home) -> None:
    code, made, _ = ask("tokens", "issue", "bouncer", "--role", "operator", "--purpose", "the edge")
    assert code == 0
    with desks.opened(home) as desk, desk.ledger.reading() as reading:
        found = tokens.of_secret(reading, made["secret"])
    assert found is not None
    assert found.id == "token:bouncer"
    _, listed, _ = ask("tokens", "list")
    assert made["secret"] not in json.dumps(listed)
    assert ask("tokens", "revoke", made["token_id"], "--reason", "leaked")[1]["ended_at"]
    assert ask("tokens", "issue", "boss", "--role", "approver", "--purpose", "no")[0] != 0


def test_an_erasure_has_to_be_meant(ask: Ask, tmp_path: Path) -> None:
    event = {"event_type": "session_started", "occurred_at": "2026-09-30T10:00:00Z"}
    rows = [{**event, "org_id": name, "ip": "192.0.2.77"} for name in ("org_forgotten", "org_kept")]
    (tmp_path / "events.ndjson").write_text("\n".join(map(json.dumps, rows)))
    ask("ingest", str(tmp_path / "events.ndjson"))
    erase = ("erase", "org_forgotten", "--reason", "they asked", "--confirm")
    assert ask(*erase, "org_kept")[0] == 2
    code, done, _ = ask(*erase, "org_forgotten")
    assert (code, done["events"], done["values"]) == (0, 1, 1)  # its id; the address is the other's, too
    code, taken, err = ask("ingest", str(tmp_path / "events.ndjson"))
    assert (taken["totals"]["erased"], taken["totals"]["duplicates"]) == (1, 1)
    assert "about erased organizations" in err
    assert ask(*erase, "org_forgotten")[1]["events"] == 0
