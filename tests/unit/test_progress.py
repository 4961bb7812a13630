"""Progress where there is no terminal: a line a stage, and silence when the answer is JSON."""

from __future__ import annotations

import pytest

from api import progress as module
from api.progress import progress


def _stages(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line.split(" s  ", 1)[1] for line in capsys.readouterr().err.splitlines()]


def test_a_line_a_stage(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as report:
        for stage in ("links", "ties"):
            for done in range(101):
                report(stage, done, 100)
    assert _stages(capsys) == ["Links", "Ties"]


def test_a_long_stage_tells_its_tenths(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "QUIET_SECONDS", 0.0)
    with progress() as report:
        for done in range(0, 101, 5):
            report("links", done, 100)
    assert _stages(capsys) == ["Links", *(f"Links {tenth}0%" for tenth in range(1, 11))]


def test_an_unknown_total_tells_what_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "QUIET_SECONDS", 0.0)
    with progress() as report:
        report("reading", 0, None)
        report("reading", 12_000, None)
    assert _stages(capsys) == ["Reading", "Reading 12,000"]


def test_quiet_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(quiet=True) as report:
        report("links", 1, 2)
    assert capsys.readouterr().err == ""


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress() as report:
        report("links", 1, 2)
        report("ties", 0, None)
        report("ties", 5, 5)
    assert "Ties" in capsys.readouterr().err
