"""`ringfence train`: a scorecard of one's own, refitted from labels; every version is kept and can be gone back to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli._options import HomeOption, JsonOption, at_home, examples
from api.output import Column, Output, Table, moment, number, percent
from graph.errors import RingfenceError
from graph.home import Home

if TYPE_CHECKING:
    from detection.scorecards import Trained

ORDER = 84
group = typer.Typer()


@group.command(
    epilog=examples("ringfence train", "ringfence train --list", "ringfence train --revert shipped")
)
def train(
    force: Annotated[bool, typer.Option("--force", help="Use the new one even if it is worse.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="List the versions instead.")] = False,
    revert: Annotated[
        str | None, typer.Option(metavar="VERSION", help="Go back to a version, or to 'shipped'.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Refit the scorecard from labels, and use it from the next run on.

    Clusters of the current run whose members are labelled, the earlier ones to train on, the latest to judge the old
    and the new card by. A card that is worse there is refused, unless forced. Too few labels are exit 3.
    """
    from detection.scorecards import Scorecards

    output = Output(as_json)
    place = Home.resolve(home)
    if sum((force, listed, revert is not None)) > 1:
        raise RingfenceError("--force, --list and --revert exclude each other", "Give one.", exit_code=2)
    cards = Scorecards(place)
    if listed:
        return _list(output, cards.all(), cards.active_version())
    if revert is not None:
        cards.use(revert)
        if as_json:
            output.json({"active": revert})
        else:
            output.line(
                f"Scorecard {revert} is in use. The next run scores with it: ringfence run{at_home(home)}"
            )
        return 0
    trained = _train(place, force)
    if as_json:
        output.json(trained.model_dump(mode="json"))
        return 0
    _show(output, trained)
    output.line()
    output.line(
        f"Next: ringfence run{at_home(home)}; back: ringfence train --revert {trained.replaced}{at_home(home)}"
    )
    return 0


def _train(place: Home, force: bool) -> Trained:
    from api.settings import load_settings
    from detection.training import train as trained

    return trained(place, load_settings(place).detection.admission, force=force)


def _show(output: Output, trained: Trained) -> None:
    """Old beside new."""
    output.line(f"Scorecard {trained.scorecard.version}", "bold")
    labels = trained.labels
    output.line(
        f"from {number(labels['abusive'])} clusters labelled abusive and {number(labels['legitimate'])} legitimate,"
        f" refitted from {trained.based_on}, beside {trained.replaced}"
        + ("; forced, though it is worse" if trained.forced else "")
    )
    columns = [Column("on held-out labels"), Column("old", number=True), Column("new", number=True)]
    old, new = trained.old, trained.new
    rows = [
        ["loss (less is better)", _figure(old, "loss"), _figure(new, "loss")],
        ["AUC", _figure(old, "auc"), _figure(new, "auc")],
        ["precision at the threshold", _share(old, "precision"), _share(new, "precision")],
        ["recall at the threshold", _share(old, "recall"), _share(new, "recall")],
        ["threshold (risk)", number(old["threshold"], 1), number(new["threshold"], 1)],
    ]
    output.table(Table(columns, rows))


def _figure(judged: dict[str, Any], name: str) -> str:
    return "–" if judged[name] is None else f"{judged[name]:.4f}"


def _share(judged: dict[str, Any], name: str) -> str:
    return "–" if judged[name] is None else percent(judged[name])


def _list(output: Output, known: list[Trained], active: str) -> int:
    if output.as_json:
        output.json({"active": active, "versions": [each.model_dump(mode="json") for each in known]})
        return 0
    columns = [
        Column(""),
        Column("version", style="cyan"),
        Column("trained"),
        Column("instead of"),
        Column("labelled clusters", number=True),
        Column("loss old", number=True),
        Column("loss new", number=True),
    ]
    rows = [["*" if active == "shipped" else "", "shipped", "", "", "", "", ""]]
    rows += [
        [
            "*" if active == each.scorecard.version else "",
            each.scorecard.version,
            moment(each.trained_at)[:16],
            each.replaced,
            number(sum(each.labels.values())),
            _figure(each.old, "loss"),
            _figure(each.new, "loss"),
        ]
        for each in known
    ]
    output.table(Table(columns, rows))
    return 0
