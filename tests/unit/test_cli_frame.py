"""What all commands have in common: help, errors, JSON, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from api.cli import invoke

ROOT = Path(__file__).parents[2]


def test_bare_command_shows_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke([]) == 0
    assert "Commands:" in capsys.readouterr().out
    assert invoke(["quarantine"]) == 0
    assert "retry" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [["nonsense"], ["clusters", "--nonsense"], ["cluster"], ["clusters", "--limit", "0"]]
)
def test_misuse_is_exit_two_with_a_way_out(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert "--help" in said.err


def test_problems_are_json_when_asked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert invoke(["clusters", "--json", "--home", str(tmp_path)]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert set(json.loads(said.err)) == {"message", "remedy"}
    assert invoke(["clusters", "--nonsense", "--json"]) == 2
    assert "--nonsense" in json.loads(capsys.readouterr().err)["message"]


def test_the_unexpected_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a\nb\x1b[31m")

    monkeypatch.setattr("api.health.examine", broken)
    assert invoke(["doctor", "--home", str(tmp_path)]) == 1
    err = capsys.readouterr().err
    assert "unexpected ZeroDivisionError: a b<U+001B>[31m" in err
    assert "Traceback" not in err
    monkeypatch.setenv("RINGFENCE_DEBUG", "1")
    assert invoke(["doctor", "--home", str(tmp_path)]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("api.health.examine", interrupted)
    assert invoke(["doctor", "--home", str(tmp_path)]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_a_reader_that_leaves_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", "from api.cli import main; main()", "--help"],
        cwd=ROOT,
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")
