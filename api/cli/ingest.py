"""`ringfence ingest` and `ringfence quarantine`: events in, and the rows that could not be accepted."""

from __future__ import annotations

import typer

from api.cli._options import examples, help_if_bare

ORDER = 20
group = typer.Typer()
quarantine = typer.Typer(
    help="List, export and retry rows that could not be accepted.",
    epilog=examples("ringfence quarantine list"),
)
quarantine.callback(invoke_without_command=True)(help_if_bare)
group.add_typer(quarantine, name="quarantine")
