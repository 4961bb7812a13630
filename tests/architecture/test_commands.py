"""Every command explains itself, and the documents know it."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs import generate

ROOT = Path(__file__).parents[2]
COMMANDS = dict(generate.sorted_commands())
HOMELESS = {"health"}
"""Commands that ask a server, which has a home of its own."""


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_and_the_common_options(command: str) -> None:
    text = COMMANDS[command]
    assert "Examples:" in text
    assert f"  ringfence {command}" in text.split("Examples:")[1]
    assert "--home DIR" in text or command in HOMELESS
    assert "--json" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_help_begins_with_one_short_sentence(command: str) -> None:
    lines = [line.strip() for line in COMMANDS[command].splitlines()]
    summary = lines[2]
    assert summary.endswith(".")
    assert len(summary) <= 70


def test_the_contract_commands_exist() -> None:
    wanted = {"demo", "ingest", "run", "runs", "clusters", "cluster", "why", "search", "export", "simulate"}
    wanted |= {"evaluate", "label", "doctor", "quarantine list", "quarantine export", "quarantine retry"}
    assert wanted <= set(COMMANDS)


@pytest.mark.parametrize("page", generate.PAGES)
def test_generated_pages_are_current(page: str) -> None:
    assert page not in generate.stale(), "run: make docs"


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_appear_in_the_reference(command: str) -> None:
    assert f"## ringfence {command}\n" in (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
