"""`ringfence quarantine`: the rows that could not be accepted, and another try after a fix."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from api.cli._options import HomeOption, JsonOption, examples, help_if_bare
from api.cli.ingest import show_ingest
from api.output import Column, Output, Table, number, printable
from api.progress import progress
from graph.errors import RingfenceError
from graph.home import Home

ORDER = 25
group = typer.Typer()
verbs = typer.Typer(help="List, export and retry rows that could not be accepted.")
verbs.callback(invoke_without_command=True)(help_if_bare)
group.add_typer(verbs, name="quarantine")

NOTHING = 3


@verbs.command(
    "list",
    epilog=examples(
        "ringfence quarantine list", "ringfence quarantine list --rows 20", "ringfence quarantine list --json"
    ),
)
def list_rows(
    rows: Annotated[int, typer.Option("--rows", min=0, help="How many single rows to show, too.")] = 5,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Count quarantined rows by file and reason.

    The first rows are shown with line and detail. An empty quarantine is exit 3.
    """
    from itertools import islice

    from ingest.quarantine import Quarantine

    output = Output(as_json)
    held = Quarantine(Home.resolve(home))
    counts = held.list()
    first = list(islice(held.rows(), rows))
    if as_json:
        output.json({"counts": [asdict(each) for each in counts], "rows": [each.as_dict() for each in first]})
    elif not counts:
        output.line("Quarantine is empty.")
    else:
        columns = [
            Column("rows", number=True),
            Column("reason", style="yellow"),
            Column("file", style="cyan"),
        ]
        output.table(
            Table(columns, [[number(each.rows), each.reason, printable(each.file)] for each in counts])
        )
        if first:
            output.heading(f"The first {len(first)} of {number(sum(each.rows for each in counts))}")
            columns = [Column("line", number=True), Column("reason", style="yellow"), Column("what is wrong")]
            output.table(
                Table(columns, [[str(each.line), each.reason, printable(each.detail)] for each in first])
            )
    return 0 if counts else NOTHING


@verbs.command("export", epilog=examples("ringfence quarantine export -o refused.ndjson"))
def export_rows(
    target: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="File to write, NDJSON.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Write quarantined rows to a file.

    One JSON object a line, with file, line, reason and the raw row. Secrets are hashed in it, too.
    """
    from ingest.quarantine import Quarantine

    output = Output(as_json)
    held = Quarantine(Home.resolve(home))
    if not held.list():
        raise RingfenceError("quarantine is empty", "There is nothing to export.", exit_code=NOTHING)
    count = held.export(target)
    if as_json:
        output.json({"rows": count, "file": str(target)})
    else:
        output.line(f"{number(count)} rows written to {target}")
    return 0


@verbs.command(
    "retry",
    epilog=examples("ringfence quarantine retry", "ringfence quarantine retry --mapping corrected.yaml"),
)
def retry_rows(
    mapping: Annotated[
        str | None, typer.Option(metavar="FILE", help="Corrected mapping; default the one of before.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Try quarantined rows again after a fix.

    The fix is a setting or a mapping. Rows that pass now leave quarantine, the others stay with their reason.
    """
    from api.services import retry_quarantine

    output = Output(as_json)
    with progress(quiet=as_json) as reporter:
        report = retry_quarantine(Home.resolve(home), mapping, reporter)
    show_ingest(output, report)
    return report.exit_code
