"""`ringfence replay`: the past again, knowing only what had arrived, and what acting on it would have meant."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli._options import HomeOption, JsonOption, examples
from api.output import Column, Output, Table, one_of, printable
from api.progress import Progress, progress
from graph.errors import RingfenceError
from graph.home import Home

if TYPE_CHECKING:
    from detection.runs import RunFiles
    from sim.replay import Plan, ProspectReport, ReplayReport

ORDER = 72
group = typer.Typer()

UNITS = {"s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400}
BEYOND_SHOWN = 10
REACTING = ("plain", "mimic", "rotate", "adaptive")


@group.command(
    epilog=examples(
        "ringfence replay --truth campaign/truth.parquet",
        "ringfence replay --labels past_bans.csv --page replay.html",
        "ringfence replay --truth truth.parquet --from 2026-09-20T12:00Z --until 2026-09-20T20:00Z",
        "ringfence replay --simulate adaptive --organizations 20000 --seed 7",
    )
)
def replay(
    truth: Annotated[
        Path | None, typer.Option("--truth", metavar="FILE", help="truth.parquet of 'simulate'.")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", metavar="FILE", help="CSV of past bans: org_id, banned_at, reason."),
    ] = None,
    simulate: Annotated[
        str | None,
        typer.Option(metavar="DIFFICULTY", help="Against simulated operators who react: plain to adaptive."),
    ] = None,
    organizations: Annotated[int, typer.Option(min=100, help="How many, with --simulate.")] = 20_000,
    seed: Annotated[int, typer.Option(min=0, help="With --simulate: the same seed, the same world.")] = 1,
    steps: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many looks.")] = 96,
    every: Annotated[
        str, typer.Option(metavar="TIME", help="Between looks in attack windows: 5m, 1h.")
    ] = "5m",
    start: Annotated[
        str | None, typer.Option("--from", metavar="T", help="Replay a stretch only, from here.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="T", help="… until here.")] = None,
    delay: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="From a look to enforcement; default: 1m, and a person's 3h beside it."
        ),
    ] = None,
    min_risk: Annotated[
        float | None,
        typer.Option(min=0, max=100, help="Stop everybody at this risk, whatever admission says."),
    ] = None,
    page: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page to print (HTML).")] = None,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the chart (SVG).")] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> int:
    """Replay the past, and say what acting on it would have prevented.

    Each step knows only what had arrived by then. With --truth the result is judged against who is really abusive;
    with --labels it is laid beside a list of past bans, which detection never sees. With --simulate, nothing is read
    from the home but its settings: a world is simulated step by step, and its operators react to what is done.
    """
    from sim.replay import Plan

    if sum(one is not None for one in (truth, labels, simulate)) != 1:
        raise RingfenceError(
            "give one of --truth, --labels and --simulate",
            "A list of past bans, for --labels, is a CSV with org_id and banned_at.",
            exit_code=2,
        )
    plan = Plan(
        every=_micros(every),
        most=steps,
        start=_moment(start),
        until=_moment(until),
        **({} if delay is None else {"delays": {"enforcement": _micros(delay)}}),
        min_risk=min_risk,
    )
    output = Output(as_json)
    with progress(quiet=as_json) as reporter:
        if simulate is not None:
            report = _contest(Home.resolve(home), simulate, organizations, seed, plan, reporter)
        else:
            report = _report(Home.resolve(home), truth, labels, plan, reporter)
    _write(report, page, svg)
    if as_json:
        output.json(report.to_dict())
        return 0
    _show(output, report, page)
    return 0


def _report(
    home: Home, truth: Path | None, labels: Path | None, plan: Plan, reporter: Progress
) -> ReplayReport | ProspectReport:
    from sim.replay import replay_bans, replay_truth

    detect = detector(home)
    if truth is not None:
        return replay_truth(home, truth, detect, plan, reporter)
    if labels is None:
        raise TypeError("either truth or labels")
    return replay_bans(home, labels, detect, plan, reporter)


def _contest(
    home: Home, difficulty: str, organizations: int, seed: int, plan: Plan, reporter: Progress
) -> ReplayReport | ProspectReport:
    import tempfile

    from graph.home import load_pepper
    from sim.adversary import contest
    from sim.campaigns import Campaign

    one_of(difficulty, REACTING, "difficulty")
    if plan.start is not None or plan.until is not None:
        raise RingfenceError("--simulate plays a whole world", "Leave --from and --until out.", exit_code=2)
    campaign = Campaign(organizations=organizations, seed=seed, difficulty=difficulty)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory(prefix="ringfence-") as folder:
        return contest(
            campaign,
            Path(folder),
            load_pepper(),
            detector(home),
            every=plan.every,
            most=plan.most,
            delay=next(iter(plan.delays.values())),
            min_risk=plan.min_risk,
            progress=reporter,
        )


def detector(home: Home) -> Callable[[Home, datetime], RunFiles]:
    """Detection as this home would run it, over another home's facts and without publishing."""
    from api.settings import load_settings
    from detection.run import run

    settings = load_settings(home)

    def detect(other: Home, as_of: datetime) -> RunFiles:
        return run(other, settings.detection, sources=settings.sources, as_of=as_of)

    return detect


def _write(report: ReplayReport | ProspectReport, page: Path | None, svg: Path | None) -> None:
    from api.pictures.replay_chart import draw_chart
    from api.pictures.replay_page import prospect_page, truth_page
    from sim.replay import ReplayReport

    judged = isinstance(report, ReplayReport)
    files: list[tuple[Path, bytes]] = []
    if page is not None:
        files.append(
            (page, truth_page(report) if isinstance(report, ReplayReport) else prospect_page(report))
        )
    if svg is not None:
        title = "Abusive consumption" if judged else "Consumption of the banned, until their bans"
        files.append((svg, draw_chart(report.curve, title, "consumed")))
    for path, content in files:
        try:
            path.write_bytes(content)
        except OSError as error:
            raise RingfenceError(
                f"cannot write {path}: {error.strerror or error}", "Name another file."
            ) from error


def _show(output: Output, report: ReplayReport | ProspectReport, page: Path | None) -> None:
    from sim.replay import ProspectReport

    for warning in report.warnings:
        output.warn(warning)
    sections: dict[str, list[list[str]]] = {}
    for row in report.rows:
        sections.setdefault(row.section, []).append([row.name, row.value, row.note])
    columns = [Column("measure"), Column("value", number=True, style="bold"), Column("remark")]
    for section, rows in sections.items():
        output.heading(section[:1].upper() + section[1:])
        output.table(Table(columns, rows))
    if isinstance(report, ProspectReport):
        _show_beyond(output, report)
    if page is not None:
        output.line()
        output.line(f"Written: {printable(str(page))}")


def _show_beyond(output: Output, report: ProspectReport) -> None:
    if not report.beyond:
        return
    shown = report.beyond[:BEYOND_SHOWN]
    output.heading(f"Riskiest beyond the list, {len(shown):,} of {len(report.beyond):,}")
    columns = [
        *(Column("organization"), Column("risk", number=True), Column("cluster")),
        *(Column("listed in it", number=True), Column("evidence")),
    ]
    rows = [
        [
            printable(one.decision.org_id),
            f"{one.decision.member_risk:.1f}",
            one.decision.cluster_id,
            f"{one.listed_in_cluster:,}",
            one.decision.evidence.replace(";", ", "),
        ]
        for one in shown
    ]
    output.table(Table(columns, rows))


def _micros(text: str) -> int:
    """A length of time such as `90s`, `5m`, `3h`, as microseconds."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)\s*(s|m|min|h|d)", text.strip())
    length = 0 if found is None else round(float(found[1]) * UNITS[found[2]] * 1_000_000)
    if found is None or (length <= 0 and float(found[1]) > 0):
        raise RingfenceError(
            f"{printable(text)!r} is not a length of time", "Write 30s, 5m, 3h or 1d.", exit_code=2
        )
    return length


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise RingfenceError(
            f"{printable(text)!r} is not a time", "Write it as 2026-09-20T12:00Z.", exit_code=2
        ) from error
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
