"""The commands that act, with their ledger on each database."""

from __future__ import annotations

import json
from typing import Any

import pytest

from actions.model import Principal
from api.cli import invoke
from api.deciding import desk as desks
from graph.home import Home
from tests.unit.campaign_ring import ACTIONABLE, RING

pytest_plugins = ("tests.contract.ledgers", "tests.unit.campaigns")


def test_contain_ban_and_undo(
    campaign_home: Home, where: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with campaign_home.settings_file.open("a") as settings:
        settings.write(f'[actions]\nledger = "{where}"\n')

    def ask(*words: str, code: int = 0, person: str = "amy") -> dict[str, Any]:
        principal = Principal(f"local:{person}", desks.LOCAL_ROLES, "local")
        monkeypatch.setattr(desks, "local_principal", lambda: principal)
        assert invoke([*words, "--json", "--home", str(campaign_home.path)]) == code
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        return answer

    plan = ("plan", RING, "--reason", "they burn credit", "--action")
    ask(*plan, "throttle")
    assert ask("apply", "latest")["members"] == {"applied": ACTIONABLE, "spared": 1}
    made = ask(*plan, "ban", code=4)
    ask("approve", "latest", "--digest", made["digest"], person="bob")
    assert ask("apply", "latest")["members"] == {"applied": ACTIONABLE, "spared": 1}
    in_force = ask("effects", "state")["restricted"][0]["desired_state"]
    assert in_force == ["throttle", "ban"]
    assert ask("undo", "latest", "--reason", "too early")["members"] == {"applied": ACTIONABLE}
    assert ask("effects", "state")["restricted"][0]["desired_state"] == ["throttle"]
    assert ask("audit", "verify")["intact"]
    found = ask("query", "run", "members_of_cluster", "-p", f"cluster_id={RING}")
    assert [row["status"] for row in found["rows"]].count("throttle") == ACTIONABLE
