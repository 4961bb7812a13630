"""docs/recipes/walkthrough.md as it stands: its commands against a server and a worker, its answers compared."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "recipes" / "walkthrough.md"
DONE = "--- done ---"
LEFT_OUT = "…"


def steps() -> list[tuple[str, str]]:
    """Each command of the page, and the answer that it shows."""
    found: list[tuple[str, str]] = []
    for block in re.findall(r"^```console\n(.*?)^```", PAGE.read_text(), re.M | re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], ""))
            else:
                found[-1] = (found[-1][0], line)
    return found


def test_answers_are_compared() -> None:
    assert fits({"a": [1, "b…"], "…": "…"}, {"a": [1, "bcd", 3], "c": 4})
    assert fits({"a": 1, "…": "…"}, {"a": 1})
    assert not fits({"a": 1}, {"a": 2})
    assert not fits({"a": ["x"]}, {"a": []})


def fits(shown: Any, real: Any) -> bool:
    """Whether an answer is what the page shows of it."""
    if isinstance(shown, dict):
        kept = {name: value for name, value in shown.items() if name != LEFT_OUT}
        return isinstance(real, dict) and all(
            name in real and fits(value, real[name]) for name, value in kept.items()
        )
    if isinstance(shown, list):
        kept_items = [each for each in shown if each != LEFT_OUT]
        whole = len(kept_items) == len(shown)
        return (
            isinstance(real, list)
            and len(real) >= len(kept_items)
            and (not kept_items or not whole or len(real) >= len(shown))
            and all(fits(one, other) for one, other in zip(kept_items, real, strict=False))
        )
    if isinstance(shown, str) and LEFT_OUT in shown:
        return isinstance(real, str) and real.startswith(shown.partition(LEFT_OUT)[0])
    return bool(shown == real)


def as_json(shown: str) -> Any:
    """What the page shows as JSON: a bare `…` is an entry of its own."""
    listed = re.sub(rf"(?<=[\[,]) ?{LEFT_OUT}(?=[\]])", f' "{LEFT_OUT}"', shown)
    return json.loads(re.sub(rf"(?<=[{{,]) ?{LEFT_OUT}(?=}})", f' "{LEFT_OUT}": "{LEFT_OUT}"', listed))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed: apt-get install curl")
    toml = re.search(r"<!-- file: \.walk/ringfence.toml -->\n```toml\n(.*?)```", PAGE.read_text(), re.S)
    assert toml is not None
    (tmp_path / ".walk").mkdir()
    (tmp_path / ".walk" / "ringfence.toml").write_text(toml[1])
    return tmp_path


def test_the_page_holds_what_it_says(place: Path) -> None:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "RINGFENCE_PEPPER_FILE": str(place / "pepper"),
    }
    shell = subprocess.Popen(
        ["bash"],
        cwd=place,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    others: list[subprocess.Popen[str]] = []
    try:
        for command, shown in steps():
            if command.startswith("CSRF="):  # from here on the page has a server and a worker
                others = _serving(place, environment)
                ask(shell, f"API={_address(others[0])}")
            said = ask(shell, command)
            if shown:
                assert said.startswith("{"), (command, said)
                assert fits(as_json(shown), json.loads(said)), (command, shown, said)
            else:
                assert "error" not in said.lower(), (command, said)
    finally:
        for process in (*others, shell):
            process.terminate()
            process.communicate(timeout=60)


def _serving(place: Path, environment: dict[str, str]) -> list[subprocess.Popen[str]]:
    return [
        subprocess.Popen(
            ["ringfence", *command, "--home", ".walk"],
            cwd=place,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for command in (["serve", "--port", "0"], ["worker"])
    ]


def _address(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    found = re.search(r"http://[0-9.]+:[0-9]+", server.stdout.readline())
    assert found is not None
    return found[0]


def ask(shell: subprocess.Popen[str], command: str) -> str:
    """Run a command in the shell that all of the page shares; what it printed."""
    assert shell.stdin is not None
    assert shell.stdout is not None
    shell.stdin.write(f"{command}\necho; echo '{DONE}'\n")
    shell.stdin.flush()
    lines: list[str] = []
    for line in shell.stdout:
        if line.strip() == DONE:
            break
        lines.append(line)
    return "".join(lines).strip()
