"""Writes the generated pages: `python -m docs.generate`, or with `--check` only says whether they are current."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from typer.main import get_command

from actions.model import Principal
from api.app import declared
from api.auth.permissions import ROLES, Permission, may
from api.cli import ABOUT, application
from api.settings import Settings
from detection.detector import MEMBER_TABLES, detectors
from detection.scoring import SIZE, Scorecard, shipped
from graph.schema import schema_markdown
from queries import load
from queries.named import markdown as queries_markdown

FOLDER = Path(__file__).parent
NOTE = "<!-- Written by `make docs`. Do not edit. -->\n\n"
WIDTH = 100


def cli_page() -> str:
    """Every command with its help."""
    parts = [
        "# Commands\n",
        ABOUT,
        "",
        "Every command takes `--home DIR` and `--json` (one object on stdout, problems as JSON objects on stderr), and"
        " shows its progress on stderr. Exit: 0 done, 1 failed, 2 misused, 3 nothing to do; of plans also 4 awaiting"
        " approval, 5 stale, 6 paused, 7 partly done.\n",
    ]
    for path, text in sorted_commands():
        parts += [f"## ringfence {path}\n", "```text", text.rstrip(), "```\n"]
    return NOTE + "\n".join(parts).rstrip() + "\n"


def sorted_commands() -> Iterator[tuple[str, str]]:
    """Each command's words and its help, in the order of `ringfence --help`."""
    root = get_command(application())
    yield from _walk(root, "", None)


def _walk(command: Any, path: str, parent: Any) -> Iterator[tuple[str, str]]:
    name = f"ringfence {path}".strip()
    context = command.make_context(
        name, [], parent=parent, resilient_parsing=True, terminal_width=WIDTH, max_content_width=WIDTH
    )
    children = getattr(command, "commands", None)
    if children is None:
        yield path, command.get_help(context)
        return
    for child in children:
        yield from _walk(children[child], f"{path} {child}".strip(), None)


def settings_page() -> str:
    """Every setting with its type, default and meaning."""
    lines = [
        "# Settings\n",
        "Defaults < `HOME/ringfence.toml` < environment < flags. In the file a section is a table:\n",
        '```toml\n[ingest]\ncurrency = "EUR"\n\n[detection.engine]\nthreads = 4\n```\n',
        "In the environment two underscores go deeper: `RINGFENCE_DETECTION__ENGINE__THREADS=4`. An unknown word is an"
        " error. Apart from settings there are `RINGFENCE_HOME`, `RINGFENCE_PEPPER_FILE` and `RINGFENCE_DEBUG`.",
    ]
    for section, field in Settings.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            lines += [
                f"\n## {section}\n",
                "| key | type | default | meaning |",
                "|---|---|---|---|",
                *_rows(kind, ""),
            ]
            lines += [
                line for name in kind.model_fields for line in _table(f"### {section}.{name}", name, kind)
            ]
        else:
            lines += _table(f"## {section}", section, Settings)
    return NOTE + "\n".join(lines) + "\n"


def _rows(model: type[BaseModel], prefix: str) -> Iterator[str]:
    meanings = _docstrings(model)
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _rows(kind, f"{prefix}{name}.")
            continue
        default = field.get_default(call_default_factory=True)
        meaning = field.description or meanings.get(name, "")
        yield f"| `{prefix}{name}` | {_kind(kind)} | {_default(default)} | {' '.join(meaning.split())} |"


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The string under each field, inherited ones too; pydantic collects them only when a model asks for it."""
    import ast
    import inspect
    import textwrap

    parent = model.__mro__[1]
    found = _docstrings(parent) if issubclass(parent, BaseModel) and parent.model_fields else {}
    body = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    assert isinstance(body, ast.ClassDef)  # noqa: S101 - the source of a class is a class
    for field, after in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            found[field.target.id] = str(after.value.value)
    return found


def _table(heading: str, name: str, model: type[BaseModel]) -> list[str]:
    """A setting that is a table of models, with its defaults: a row an entry."""
    entries = model.model_fields[name].get_default(call_default_factory=True)
    if (
        not isinstance(entries, dict)
        or not entries
        or not all(isinstance(each, BaseModel) for each in entries.values())
    ):
        return []
    kind = type(next(iter(entries.values())))
    columns = list(kind.model_fields)
    about = " ".join((kind.__doc__ or "").split())
    lines = [f"\n{heading}\n", about, "", f"| {name} | {' | '.join(columns)} |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for entry, value in entries.items():
        cells = [_default(getattr(value, column)) for column in columns]
        lines.append(f"| `{entry}` | {' | '.join(cells)} |")
    return lines


def _kind(kind: Any) -> str:
    """A type in words."""
    parts = [part for part in get_args(kind) if part is not Ellipsis]
    if get_origin(kind) is dict:
        return f"table of {_kind(parts[1])}"
    if get_origin(kind) in (tuple, list):
        return f"list of {_kind(parts[0])}"
    if parts:
        return " or ".join("nothing" if part is type(None) else _kind(part) for part in parts)
    words = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false"}
    name = str(kind.__name__)
    return words.get(name, name)


def _default(value: Any) -> str:
    if isinstance(value, dict):
        return "see below" if value else "none"
    if value is None:
        return "-"
    return f"`{json.dumps(value, default=str, ensure_ascii=False)}`"


def graph_page() -> str:
    """The graph's schema."""
    return NOTE + schema_markdown().rstrip() + "\n"


def queries_page() -> str:
    """The investigators' named queries."""
    return NOTE + queries_markdown().rstrip() + "\n"


def signals_page() -> str:
    """Every detector with its meaning and points, and the table from points to risk."""
    card = shipped()
    lines = [
        "# Signals\n",
        f"Scorecard {card.version}, trained on {card.trained_on}."
        f" Every cluster starts with {card.base_points:g} points;"
        " 20 points double the odds. A value is the share of the members that show the signal (or the mean of what they"
        " show), drawn towards the population's baseline; bins at or below the baseline earn nothing.\n",
        "What detectors read:\n",
        "| table | what it holds |\n|---|---|",
        *(f"| `{name}` | {load(name).purpose} |" for name in MEMBER_TABLES),
        "",
    ]
    for one in detectors():
        reads = ", ".join(f"`{table}`" for table in one.reads)
        lines += [
            f"## {one.title} (`{one.id}`)\n",
            f"{one.meaning}\n",
            f"*Fact:* {one.fact.format(affected='3', eligible='4')}.\n",
            f"*Alike, and innocent:* {one.innocent}\n",
            f"Points: {_points(card, one.id)}. Speaks for: {one.group}. Evidence class: {one.evidence_class}."
            f" Reads: {reads}. Usual in simulated worlds: {card.baselines.get(one.id, 0):.2%}.\n",
        ]
    lines += [
        "## Size (`size`)\n",
        f"How many organizations belong together. Points: {_points(card, SIZE)}.\n",
    ]
    lines += ["## From points to risk\n", "| points | risk |", "|---|---|"]
    lines += [f"| {points:g} | {risk:g} |" for points, risk in card.risk_table if abs(points) <= 200]
    return NOTE + "\n".join(lines) + "\n"


def access_page() -> str:
    """Which role may use which route, as the routes declare it."""
    names = list(ROLES)
    head = ["", *names]
    lines = [
        "# Who may what\n",
        "Users and tokens have roles; roles combine, and each adds what it may. No role may approve what its own user"
        " planned, tokens never approve and never hand out access, and secrets are shown once. A route that declares"
        " no permission cannot be made.\n",
        "## Roles and permissions\n",
        f"| permission | {' | '.join(names)} |",
        "|---" * len(head) + "|",
    ]
    for one in Permission:
        if one is not Permission.PUBLIC:
            marks = ("✓" if one in ROLES[name] else "" for name in names)
            lines.append(f"| {one.value} | {' | '.join(marks)} |")
    lines += [
        "\n## Roles and routes\n",
        "`public`: nobody need have signed in.\n",
        f"| route | permission | {' | '.join(names)} |",
        "|---" * (len(head) + 1) + "|",
    ]
    for place, route in sorted(declared().items(), key=lambda one: (one[0].partition(" ")[2], one[0])):
        marks = ("✓" if may(Principal("", frozenset({name})), route.permission) else "" for name in names)
        lines.append(f"| `{place}` | {route.permission.value} | {' | '.join(marks)} |")
    return NOTE + "\n".join(lines) + "\n"


def _points(card: Scorecard, signal: str) -> str:
    """The bins of one signal in words."""
    steps = [f"{step.points:g} from {step.at_least:g} on" for step in card.bins.get(signal, ())]
    return ", ".join(steps) or "none (shown as a fact only)"


PAGES: dict[str, Callable[[], str]] = {
    "cli.md": cli_page,
    "settings.md": settings_page,
    "graph.md": graph_page,
    "queries.md": queries_page,
    "signals.md": signals_page,
    "access.md": access_page,
}


def stale() -> list[str]:
    """Names of pages whose file is missing or differs from what would be written."""
    return [
        name
        for name, page in PAGES.items()
        if not (FOLDER / name).exists() or (FOLDER / name).read_text(encoding="utf-8") != page()
    ]


def main() -> None:
    """Write the pages, or check them."""
    if "--check" in sys.argv:
        if names := stale():
            sys.exit(f"out of date: {', '.join(names)}; run: make docs")
        return
    for name in stale():
        (FOLDER / name).write_text(PAGES[name](), encoding="utf-8")
        sys.stdout.write(f"docs/{name}\n")


if __name__ == "__main__":
    main()
