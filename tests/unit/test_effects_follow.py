"""Effects in the hands of scripts: in order, at least once, acknowledged only when they were done."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.cli import invoke
from graph.home import Home
from tests.unit.campaign_ring import ACTIONABLE, RING

pytest_plugins = ("tests.unit.campaigns",)


@pytest.fixture
def home(campaign_home: Home) -> Home:
    """The campaign."""
    return campaign_home


Ask = Callable[..., tuple[int, Any, str]]
PLAN = ("plan", RING, "--action", "throttle", "--reason", "they burn credit")
FOLLOW = ("effects", "follow", "--exec", "./block.sh", "--once")


@pytest.fixture
def ask(home: Home, capsys: pytest.CaptureFixture[str]) -> Ask:
    def asking(*words: str) -> tuple[int, Any, str]:
        code = invoke([*words, "--json", "--home", str(home.path)])
        said = capsys.readouterr()
        return code, json.loads(said.out) if said.out else None, said.err

    return asking


def script(text: str) -> Path:
    """A script of the person's own, in the current folder."""
    path = Path("block.sh").absolute()
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return path


def test_each_effect_once_and_then_nothing(ask: Ask) -> None:
    script('cat >> "seen.$#"')
    ask(*PLAN)
    assert ask(*FOLLOW)[0] == 3
    ask("apply", "latest")
    code, done, _ = ask(*FOLLOW, "--batch", "10")
    assert (code, done["acknowledged"]) == (0, ACTIONABLE)
    seen = [json.loads(line) for line in Path("seen.0").read_text().splitlines()]
    assert [each["cursor"] for each in seen] == sorted(each["cursor"] for each in seen)
    assert {each["desired_state"][0] for each in seen} == {"throttle"}
    assert ask(*FOLLOW)[0] == 3
    ask("undo", "latest", "--reason", "ours")
    assert ask(*FOLLOW, "--batch", "100")[1]["acknowledged"] == ACTIONABLE


def test_what_fails_comes_again_and_what_follows_waits(ask: Ask) -> None:
    script(
        'read -r line\necho "$line" >> seen\n[ "$(wc -l < seen)" -ne 2 ] || { echo "no disk" >&2; exit 9; }'
    )
    ask(*PLAN)
    ask("apply", "latest")
    code, done, err = ask(*FOLLOW, "--batch", "12")
    assert (code, done["acknowledged"]) == (1, 12)
    assert "no disk" in err
    first = done["cursor"]
    code, done, _ = ask(*FOLLOW, "--batch", "12")
    assert (code, done["acknowledged"]) == (0, ACTIONABLE - 12)
    cursors = [json.loads(line)["cursor"] for line in Path("seen").read_text().splitlines()]
    assert cursors == [1, first + 1, first + 1, 25]


def test_no_shell_reads_the_command(ask: Ask) -> None:
    script('echo "$@" > words; cat > /dev/null')
    ask(*PLAN)
    ask("apply", "latest")
    words = ("effects", "follow", "--exec", "./block.sh ; touch pwned", "--once", "--batch", "100")
    assert ask(*words)[0] == 0
    assert Path("words").read_text() == "; touch pwned\n"
    assert not Path("pwned").exists()


@pytest.mark.parametrize("words", [("--exec", ""), ("--exec", "./nowhere.sh"), ("--name", "Bad Name")])
def test_misuse_is_refused(ask: Ask, words: tuple[str, str]) -> None:
    script("cat")
    assert ask(*FOLLOW, *words)[0] == 2


def test_a_file_that_others_may_write_is_not_run(ask: Ask) -> None:
    script("cat").chmod(0o777)
    assert ask(*FOLLOW)[0] == 2


def test_commands_and_files_as_sinks(ask: Ask, home: Home, tmp_path: Path) -> None:
    script("exit 1")
    with home.settings_file.open("a") as settings:
        settings.write(f'[actions.commands.edge]\nargv = ["block.sh"]\nfolder = "{tmp_path}"\n')
    ask(*PLAN, "--sink", "command:edge", "--sink", "file")
    code, done, _ = ask("apply", "latest", "--wait", "0")
    assert code == 7
    assert done["on_its_way"] == ACTIONABLE
    lines = (home.path / "effects.ndjson").read_text().splitlines()
    assert len(lines) == ACTIONABLE
    assert ask("effects", "retry", "latest")[0] == 3
