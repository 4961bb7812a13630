"""`ringfence ingest`: events in; rows that are no events to quarantine."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli._options import HomeOption, JsonOption, examples
from api.output import Column, Output, Table, counted, number, one_of, printable
from api.progress import progress
from graph.home import Home

if TYPE_CHECKING:
    from ingest.report import Counts, IngestReport, InputReport

ORDER = 20
group = typer.Typer()

COUNTS = ("rows", "stored", "duplicates", "quarantined")
FORMATS = ("ndjson", "csv", "parquet", "log")
FAILED, NOTHING = 1, 3


@group.command(
    epilog=examples(
        "ringfence ingest events.ndjson.gz",
        "ringfence ingest exports/ 'more/*.csv' --source billing",
        "ringfence ingest access.log --mapping access_log",
        "zcat events.gz | ringfence ingest - --format ndjson",
    )
)
def ingest(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH...", help="Files, folders, globs; - is standard input.")
    ],
    mapping: Annotated[
        str | None, typer.Option(metavar="FILE", help="Mapping file, or a recipe's name.")
    ] = None,
    source: Annotated[str, typer.Option(metavar="NAME", help="Where the rows come from.")] = "default",
    form: Annotated[
        str | None, typer.Option("--format", help="ndjson, csv, parquet or log; told by the name if absent.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 if any row is quarantined.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Validate events and store them as facts.

    NDJSON, CSV and Parquet, each also as .gz or .zst. A row that is no event goes to quarantine with its reason;
    a row that is stored already is a duplicate and changes nothing. Exit 7 when some inputs could not be read.
    """
    from api.services import ingest_files

    if form is not None:
        one_of(form, FORMATS, "format")
    output = Output(as_json)
    with progress(quiet=as_json) as reporter:
        report = ingest_files(
            Home.resolve(home), paths, source=source, mapping=mapping, form=form, progress=reporter
        )
    show_ingest(output, report)
    if strict and report.totals.quarantined and not report.errors:
        return FAILED
    if not report.totals.rows and not report.errors:
        output.warn("there was no row in any input", "Is the file empty, or does the mapping leave it out?")
        return NOTHING
    return report.exit_code


def show_ingest(output: Output, report: IngestReport) -> None:
    """What became of the rows of each input, and what to do about those that were refused."""
    totals = report.totals
    if output.as_json:
        inputs = [asdict(each) for each in report.inputs]
        output.json(
            {"ingest": report.ingest, "seconds": report.seconds, "totals": asdict(totals), "inputs": inputs}
        )
    else:
        _show_table(output, report)
    for each in report.errors:
        output.error(
            printable(each.error or ""), "The rows counted above are stored; correct the input and repeat."
        )
    if totals.quarantined:
        output.warn(
            f"in quarantine: {counted(totals.quarantined, 'row')}",
            "See why: ringfence quarantine list. After a fix: ringfence quarantine retry",
        )
    if totals.erased:
        output.warn(
            f"left out: {counted(totals.erased, 'row')} about erased organizations",
            "They stay away. Take them out of the input to be rid of this warning.",
        )


def _show_table(output: Output, report: IngestReport) -> None:
    columns = [Column(title, number=True) for title in COUNTS]
    rows = [[*_counts(each), _named(each)] for each in report.inputs]
    totals = report.totals
    if len(rows) > 1:
        rows.append([*_counts(totals), "all inputs"])
    output.table(Table([*columns, Column("input", style="cyan")], rows))
    rate = totals.records / report.seconds if report.seconds else 0
    output.line(f"{report.seconds:.1f} s, {number(rate)} rows a second", "dim")


def _counts(of: InputReport | Counts) -> list[str]:
    return [number(getattr(of, name)) for name in COUNTS]


def _named(each: InputReport) -> str:
    return printable(each.path) + (f" ({each.note})" if each.note else "")
