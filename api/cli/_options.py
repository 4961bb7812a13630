"""Options that several commands share, so that they are spelled and explained once."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home", metavar="DIR", help="Folder of the data; default RINGFENCE_HOME, else the user's."
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on stdout; problems as JSON on stderr.")
]
RunOption = Annotated[
    str | None,
    typer.Option("--run", metavar="ID", help="A run of 'ringfence runs'; default the current one."),
]


StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="NAME",
        help="Where the graph is: sqlite or neo4j; default RINGFENCE_STORE, else sqlite.",
    ),
]


def examples(*lines: str) -> str:
    """The examples under a command's help, one a line (`\\b` keeps the lines apart)."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def help_if_bare(context: typer.Context) -> None:
    """The callback of a group of verbs: without a verb it shows what there is."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit


def at_home(home: Path | None) -> str:
    """The option that makes a suggested command look where this one did."""
    return "" if home is None else f" --home {shlex.quote(str(home))}"
