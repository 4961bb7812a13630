"""`ringfence simulate` and `ringfence evaluate`: campaigns with a known truth, and a run judged against it."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli._options import HomeOption, JsonOption, RunOption, examples
from api.output import Column, Output, Table, number, one_of
from api.progress import progress
from graph.home import Home

if TYPE_CHECKING:
    from sim.report import EvaluationReport

ORDER = 70
group = typer.Typer()

DIFFICULTIES = ("plain", "mimic", "rotate", "adaptive", "serial")


@group.command(
    epilog=examples(
        "ringfence simulate --organizations 10000 --seed 1 -o campaign",
        "ringfence simulate --organizations 100000 --seed 7 --difficulty mimic -o campaign",
    )
)
def simulate(
    target: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to write to.")],
    organizations: Annotated[int, typer.Option(min=100, help="How many organizations in all.")] = 100_000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 1,
    difficulty: Annotated[str, typer.Option(help="plain, mimic, rotate, adaptive or serial.")] = "plain",
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> int:
    """Write a campaign's events and its truth.

    DIR gets events.parquet, which 'ringfence ingest' reads, and truth.parquet, which 'ringfence evaluate' reads.
    """
    from api.services import simulate_campaign

    del home
    one_of(difficulty, DIFFICULTIES, "difficulty")
    output = Output(as_json)
    with progress(quiet=as_json) as reporter:
        written = simulate_campaign(target, organizations, seed, difficulty, reporter)
    if as_json:
        output.json(written)
        return 0
    output.facts(
        [(name, number(value) if isinstance(value, int) else str(value)) for name, value in written.items()]
    )
    output.line()
    output.line(f"Next: ringfence ingest {target / 'events.parquet'}")
    return 0


@group.command(
    epilog=examples(
        "ringfence evaluate --truth campaign/truth.parquet",
        "ringfence evaluate --truth truth.parquet --no-baselines",
    )
)
def evaluate(
    truth: Annotated[Path, typer.Option("--truth", metavar="FILE", help="truth.parquet of 'simulate'.")],
    home: HomeOption = None,
    run: RunOption = None,
    baselines: Annotated[bool, typer.Option(help="Judge simpler methods on the same input, too.")] = True,
    as_json: JsonOption = False,
) -> int:
    """Judge a run against the truth, beside simpler methods."""
    from sim.evaluate import evaluate as judge

    output = Output(as_json)
    with progress(quiet=as_json) as reporter:
        report = judge(Home.resolve(home), truth, run, baselines=baselines, progress=reporter)
    if as_json:
        output.json(report.to_dict())
        return 0
    show_report(output, report)
    return 0


def show_report(output: Output, report: EvaluationReport) -> None:
    """The report, a table a section."""
    for warning in report.warnings:
        output.warn(warning)
    for section, rows in groupby(report.rows, key=lambda row: row.section):
        output.heading(section)
        columns = [Column("measure"), Column("value", number=True, style="bold"), Column("remark")]
        output.table(Table(columns, [[row.name, row.value, row.note] for row in rows]))
