"""`ringfence simulate` and `ringfence evaluate`: campaigns with a known truth, and a run judged against it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli._options import HomeOption, JsonOption, RunOption, examples
from api.output import Column, Output, Table, number, one_of
from api.progress import progress
from graph.home import Home

if TYPE_CHECKING:
    from sim.metrics import RecallAt
    from sim.report import EvaluationReport

ORDER = 70
group = typer.Typer()

PRECISION = 0.99
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
    """The whole report, a table a section."""
    for warning in report.warnings:
        output.warn(warning)
    sections: dict[str, list[list[str]]] = {}
    for row in report.rows:
        sections.setdefault(row.section, []).append([row.name, row.value, row.note])
    for section, rows in sections.items():
        output.heading(section[:1].upper() + section[1:])
        columns = [Column("measure"), Column("value", number=True, style="bold"), Column("remark")]
        output.table(Table(columns, rows))


def show_comparison(output: Output, report: EvaluationReport) -> None:
    """The report in a few lines: how well rings are found, beside what simpler methods find on the same input."""
    columns = [
        Column("method"),
        Column("B³ F", number=True, style="bold"),
        Column("recall*", number=True),
        Column("AUC", number=True),
    ]
    rows = [["Ringfence", _figure(report.b_cubed.f), _recall(report.recall_at), _figure(report.auc)]]
    rows += [
        [
            each.name,
            _figure(each.b_cubed.f if each.b_cubed else None),
            _recall(each.recall_at),
            _figure(each.auc),
        ]
        for each in report.baselines
    ]
    output.table(Table(columns, rows))
    rings = report.rings_together
    output.paragraph(
        "B³ F: organizations put together with their ring and nobody else. Recall*: abusive organizations found "
        f"when {PRECISION:.0%} of those found must be. {rings.found:,} of {rings.total:,} rings of eight or more "
        "are together."
    )
    if report.actionable is not None:
        acting = report.actionable
        output.line()
        output.paragraph(
            f"Actionable without a person looking: {acting.flagged:,} organizations, of which "
            f"{_percent(acting.precision.value)} are abusive; {_percent(acting.recall)} of all abusive ones. "
            f"Of {acting.legitimate.total:,} legitimate organizations {acting.legitimate.hits:,} would be hit."
        )


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.1%}"


def _recall(answers: Sequence[RecallAt]) -> str:
    return next((f"{each.recall:.1%}" for each in answers if each.precision == PRECISION), "-")
