"""`ringfence detectors`: detectors of one's own, from a draft to one that scores."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli._options import HomeOption, JsonOption, at_home, examples, help_if_bare
from api.output import Column, Output, Table, counted, moment, number, percent, printable, signed
from api.progress import progress
from graph.home import Home

if TYPE_CHECKING:
    from detection.lifecycle.backtest import Backtest
    from detection.lifecycle.definition import Language
    from detection.lifecycle.listing import Listed
    from detection.lifecycle.records import Move

ORDER = 86
SHOWN = 10
group = typer.Typer()
verbs = typer.Typer(help="Add detectors of your own: draft, shadow, active, retired.")
verbs.callback(invoke_without_command=True)(help_if_bare)
group.add_typer(verbs, name="detectors")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The detector's id, which is its file's name.")]
ByOption = Annotated[str, typer.Option("--by", metavar="NAME", help="Who decides this: a person's name.")]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why: others will read it.")]


@verbs.command("list", epilog=examples("ringfence detectors list", "ringfence detectors list --json"))
def list_detectors(home: HomeOption = None, as_json: JsonOption = False) -> int:
    """List detectors, the home's first, with state and points.

    'hits' counts clusters of the current run of which the signal's value is at least 0.5.
    """
    from detection.lifecycle.listing import listed

    output = Output(as_json)
    found = listed(Home.resolve(home))
    if as_json:
        output.json({"detectors": [_listed_plain(one) for one in found]})
        return 0
    columns = [
        Column("state"),
        Column("id", style="cyan"),
        Column("points", number=True),
        Column("hits", number=True),
        Column("speaks for"),
        Column("title"),
    ]
    rows = [
        [one.state, one.id, number(one.points), number(one.hits), one.group, printable(one.title)]
        for one in found
    ]
    output.table(Table(columns, rows))
    for one in found:
        if one.note:
            output.warn(f"{one.id}: {printable(one.note)}")
    return 0


@verbs.command(
    epilog=examples(
        "ringfence detectors new relay",
        "ringfence detectors new slow_burn --python",
        "ringfence detectors new relay --from relay.sql",
    )
)
def new(
    name: IdArgument,
    python: Annotated[
        bool, typer.Option("--python", help="A Python function over Arrow tables instead of SQL.")
    ] = False,
    source: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Take this .sql or .py file as it is.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Write a detector to start from, or take one.

    It goes to HOME/detectors/ID.sql (or ID.py), and is a draft: no run looks at it. What is written works as it is.
    """
    from detection.lifecycle.files import create, written
    from detection.lifecycle.templates import template

    output = Output(as_json)
    language: Language = "python" if python else "sql"
    text = template(name, language).encode()
    if source is not None:
        language, text = written(source)
    path = create(Home.resolve(home), name, language, text)
    if as_json:
        output.json({"id": name, "file": path, "state": "draft"})
        return 0
    output.line(f"{path} is a draft")
    output.line(f"Next: ringfence detectors check {name}{at_home(home)}")
    return 0


@verbs.command(epilog=examples("ringfence detectors check relay"))
def check(name: IdArgument, home: HomeOption = None, as_json: JsonOption = False) -> int:
    """Say whether a detector is written properly.

    Reads its header, and runs it over made-up views: columns, values, bounds of time and memory, no way to files or
    network, and the same answer twice. Exit 1 when something is wrong.
    """
    from api.settings import load_settings
    from detection.lifecycle.check import check as checked
    from detection.lifecycle.files import standing

    output = Output(as_json)
    place = Home.resolve(home)
    found = standing(place, name)
    if found.detector is None:
        return _say_problems(output, name, found.problems, {})
    result = checked(found.detector, load_settings(place).detection.home_detectors)
    figures = {name: value for name, value in asdict(result).items() if name != "problems"}
    if not result.passed:
        return _say_problems(output, name, result.problems, figures)
    if as_json:
        output.json({"id": name, "passed": True, "problems": [], **figures})
        return 0
    output.line(f"{name} is in order", "green")
    output.facts(
        [
            ("reads", ", ".join(found.detector.declares.reads)),
            ("evidence class", found.detector.declares.evidence_class),
            ("took", f"{result.seconds:.1f} s over made-up views, {counted(result.judged, 'member')} judged"),
            ("runs in", result.sandbox),
        ]
    )
    output.line()
    output.line(f"Next: ringfence detectors backtest {name}{at_home(home)}")
    return 0


@verbs.command(
    epilog=examples("ringfence detectors backtest relay", "ringfence detectors backtest relay --days 14")
)
def backtest(
    name: IdArgument,
    days: Annotated[
        int, typer.Option(min=0, help="Also the last kept run of each of so many days before, at most 7.")
    ] = 0,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Replay history with a detector, and see what it would have hit.

    Lists clusters, members that people labelled legitimate or protected, overlap with other detectors, and the points
    that follow. Exit 1 when it did not run properly.
    """
    from api.settings import load_settings
    from detection.lifecycle.backtest import backtest as backtested

    output = Output(as_json)
    place = Home.resolve(home)
    settings = load_settings(place)
    with progress(quiet=as_json) as reporter:
        result = backtested(place, name, settings.detection, settings.sources, days=days, progress=reporter)
    if as_json:
        output.json({"passed": result.passed, **_plain(result)})
    else:
        _show_backtest(output, result, at_home(home))
    return 0 if result.passed else 1


@verbs.command(
    epilog=examples('ringfence detectors promote relay --by "A. Reviewer" --reason "new wave of trials"')
)
def promote(
    name: IdArgument, by: ByOption, reason: ReasonOption, home: HomeOption = None, as_json: JsonOption = False
) -> int:
    """Move a detector one step: draft to shadow, to active.

    It needs a backtest of exactly this file that found no problem; active also needs that nothing is doubtful, and a
    run that had it in shadow. A file that is edited afterwards is a draft again.
    """
    from detection.lifecycle.promotion import promote as promoted

    output = Output(as_json)
    return _show_move(output, name, promoted(Home.resolve(home), name, by, reason), at_home(home))


@verbs.command(epilog=examples('ringfence detectors retire relay --by "A. Reviewer" --reason "they adapted"'))
def retire(
    name: IdArgument, by: ByOption, reason: ReasonOption, home: HomeOption = None, as_json: JsonOption = False
) -> int:
    """Take a detector out of runs; its file and history stay.

    Another backtest and promotion bring it back, to shadow first.
    """
    from detection.lifecycle.promotion import retire as retired

    output = Output(as_json)
    return _show_move(output, name, retired(Home.resolve(home), name, by, reason), at_home(home))


def _say_problems(output: Output, name: str, problems: tuple[str, ...], figures: dict[str, Any]) -> int:
    if output.as_json:
        output.json({"id": name, "passed": False, "problems": list(problems), **figures})
        return 1
    output.line(f"{printable(name)} cannot run", "red")
    for problem in problems:
        output.paragraph(f"- {printable(problem)}", indent="  ")
    return 1


def _show_move(output: Output, name: str, move: Move, where: str) -> int:
    if output.as_json:
        output.json({"id": name, **move.model_dump(mode="json")})
        return 0
    output.line(f"{name} is {move.after} now (it was {move.before}), by {move.by}: {move.reason}")
    said = {
        "shadow": f"The next run has it in shadow, where it counts for nothing: ringfence run{where}",
        "active": f"The next run adds its points: ringfence run{where}",
    }
    if move.after in said:
        output.line(said[move.after])
    return 0


def _show_backtest(output: Output, result: Backtest, where: str) -> None:
    if not result.passed:
        output.line(f"{result.id} failed its backtest", "red")
        for problem in result.problems:
            output.paragraph(f"- {printable(problem)}", indent="  ")
        return
    output.line(f"{result.id} passed its backtest", "green")
    _show_runs(output, result)
    _show_hits(output, result)
    _show_doubtful(output, result)
    _show_overlaps(output, result)
    _show_weight(output, result)
    output.line()
    output.line(f'Next: ringfence detectors promote {result.id} --by NAME --reason "…"{where}')


def _show_runs(output: Output, result: Backtest) -> None:
    columns = [
        Column("as of"),
        Column("clusters hit", number=True),
        Column("members affected", number=True),
        Column("of judged", number=True),
        Column("baseline", number=True),
        Column("lift", number=True),
        Column("seconds", number=True),
    ]
    rows = [
        [
            moment(one.as_of)[:16],
            number(one.clusters),
            number(one.affected),
            number(one.judged),
            percent(one.baseline),
            number(one.lift, 1),
            number(one.seconds, 1),
        ]
        for one in result.runs
    ]
    output.table(Table(columns, rows))


def _show_hits(output: Output, result: Backtest) -> None:
    if not result.hits:
        output.line()
        output.line("It would hit no cluster.")
        return
    output.heading(f"Would hit {counted(len(result.hits), 'cluster')}")
    columns = [
        Column("cluster", style="cyan"),
        Column("size", number=True),
        Column("affected", number=True),
        Column("value", number=True),
        Column("points", number=True),
        Column("risk", number=True),
        Column("with it", number=True),
    ]
    rows = [
        [
            one.cluster_id,
            number(one.size),
            f"{one.affected} of {one.eligible}",
            f"{one.value:.2f}",
            signed(one.points),
            number(one.risk, 1),
            number(one.risk_with, 1),
        ]
        for one in result.hits[:SHOWN]
    ]
    output.table(Table(columns, rows))
    _more(output, len(result.hits))


def _show_doubtful(output: Output, result: Backtest) -> None:
    if not result.doubtful:
        output.line()
        output.line("None of the members that it affects is labelled legitimate or protected.")
        return
    output.heading(f"Doubtful: {counted(len(result.doubtful), 'member')} labelled legitimate or protected")
    columns = [Column("organization"), Column("cluster", style="cyan"), Column("why")]
    rows = [[printable(one.org_id), one.cluster_id, one.why] for one in result.doubtful[:SHOWN]]
    output.table(Table(columns, rows))
    _more(output, len(result.doubtful))


def _show_overlaps(output: Output, result: Backtest) -> None:
    shared = [one for one in result.overlaps if one.jaccard >= 0.005][:SHOWN]
    if not shared:
        output.line()
        output.line("No other detector affects the same members.")
        return
    output.heading("Affects the same members as")
    columns = [Column("detector", style="cyan"), Column("overlap", number=True)]
    output.table(Table(columns, [[one.signal, percent(one.jaccard)] for one in shared]))


def _show_weight(output: Output, result: Backtest) -> None:
    output.heading("Weight")
    steps = ", ".join(f"{signed(step.points)} from {step.at_least:g} on" for step in result.bins)
    rests = "labels" if result.source == "labels" else "the risk that is shown already, at half"
    output.paragraph(
        f"{steps or 'no points'}; from {rests}, less what other detectors say, at most {result.most_points:g}."
    )
    for doubt in result.doubts:
        output.paragraph(f"- Not to be active yet: {printable(doubt)}.", indent="  ")


def _more(output: Output, count: int) -> None:
    if count > SHOWN:
        output.line(f"and {number(count - SHOWN)} more (--json lists all)")


def _plain(result: Backtest) -> dict[str, Any]:
    plain = asdict(result)
    plain["bins"] = [step.model_dump() for step in result.bins]
    return plain


def _listed_plain(one: Listed) -> dict[str, Any]:
    plain = asdict(one)
    plain["history"] = [move.model_dump(mode="json") for move in one.history]
    return plain
