"""`ringfence label`, `protect` and `not-linked`: what a person knows about organizations, kept as facts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli._options import HomeOption, JsonOption, at_home, examples
from api.output import Output, number, one_of, printable
from graph.errors import RingfenceError
from graph.home import Home

if TYPE_CHECKING:
    from api.decisions import Event, Form

ORDER = 80
group = typer.Typer()

LABELS = ("abusive", "legitimate")

ReasonOption = Annotated[str | None, typer.Option("--reason", help="Why: others will read it.")]
OrganizationArgument = Annotated[
    str | None, typer.Argument(metavar="ORG", help="An organization's id, exactly.")
]


@group.command(
    epilog=examples(
        'ringfence label org_1 abusive --reason "same operator as org_2, confirmed by support"',
        'ringfence label org_3 legitimate --reason "university course, called them"',
        "ringfence label --from labels.csv",
    )
)
def label(
    organization: OrganizationArgument = None,
    verdict: Annotated[str | None, typer.Argument(metavar="LABEL", help="abusive or legitimate.")] = None,
    reason: ReasonOption = None,
    source: Annotated[
        str | None, typer.Option("--label-source", metavar="NAME", help="Who says so; default: person.")
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="FILE", help="CSV or NDJSON: org_id, label, reason, label_source; '-' is stdin."
        ),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Record that organizations are abusive or legitimate.

    Of what one source says of an organization the latest counts, and a person's word before any feed's.
    """
    from api.decisions import LABEL

    if file is None and verdict is not None:
        one_of(verdict, LABELS, "label")
    given = {"org_id": organization, "label": verdict, "reason": reason, "label_source": source}
    return _record(LABEL, given, file, home, as_json, f"is labelled {verdict}")


@group.command(
    epilog=examples(
        'ringfence protect org_7 --reason "our own test organization"',
        'ringfence protect org_7 --end --reason "no longer ours"',
        "ringfence protect --from protected.csv",
    )
)
def protect(
    organization: OrganizationArgument = None,
    reason: ReasonOption = None,
    end: Annotated[bool, typer.Option("--end", help="End its protection.")] = False,
    file: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="FILE", help="CSV or NDJSON: org_id, reason, action (end); '-' is stdin."
        ),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Record that organizations must not be acted on automatically.

    They stay in their clusters, and are spared there: by plans at once, by runs from the next one on.
    """
    from api.deciding.protecting import at_once
    from api.decisions import PROTECT

    given = {"org_id": organization, "reason": reason, "action": "end" if end else None}
    said = "is no longer protected" if end else "is protected"
    return _record(PROTECT, given, file, home, as_json, said, at_once)


@group.command(
    "not-linked",
    epilog=examples(
        'ringfence not-linked org_1 org_2 --reason "two customers of one agency"',
        "ringfence not-linked --from pairs.csv",
    ),
)
def not_linked(
    organization: OrganizationArgument = None,
    other: Annotated[str | None, typer.Argument(metavar="OTHER", help="The other one.")] = None,
    reason: ReasonOption = None,
    file: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="FILE", help="CSV or NDJSON: org_id, other_org_id, reason; '-' is stdin."
        ),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Record that two organizations have nothing to do with each other.

    It holds for ever: no run puts them into one cluster again.
    """
    from api.decisions import NOT_LINKED

    given = {"org_id": organization, "other_org_id": other, "reason": reason}
    said = f"and {printable(other or '')} are not linked, for ever"
    return _record(NOT_LINKED, given, file, home, as_json, said)


def _record(
    form: Form,
    given: dict[str, str | None],
    file: str | None,
    home: Path | None,
    as_json: bool,
    said: str,
    then: Callable[[Home, list[Event]], None] | None = None,
) -> int:
    """Store what was given, or the rows of a file, do with them what else there is to do, and say so."""
    from api.decision_files import read_rows
    from api.decisions import record

    words = {name: value for name, value in given.items() if value is not None}
    if file is not None and words:
        raise RingfenceError(
            "give either --from FILE or one decision", "Leave the other words out.", exit_code=2
        )
    if file is None:
        _require(form, words)
    rows = [words] if file is None else read_rows(file, form.required, form.optional)
    events = record(Home.resolve(home), form, rows)
    if then is not None:
        then(Home.resolve(home), events)
    _say(Output(as_json), events, file is not None, said, at_home(home))
    return 0


def _require(form: Form, words: dict[str, str]) -> None:
    missing = [name for name in form.required if not words.get(name, "").strip()]
    if missing:
        names = {"org_id": "ORG", "other_org_id": "OTHER", "label": "LABEL", "reason": "--reason TEXT"}
        raise RingfenceError(
            f"{' and '.join(names[name] for name in missing)} is missing",
            "Name one organization and say why, or give many with --from FILE.",
            exit_code=2,
        )


def _say(output: Output, events: list[Event], many: bool, said: str, at: str) -> None:
    if output.as_json:
        output.json({"recorded": len(events), "events": events} if many else events[0])
    elif many:
        output.line(
            f"{number(len(events))} decisions are recorded. The next run knows them: ringfence run{at}"
        )
    else:
        output.line(f"{printable(events[0]['org_id'])} {said}. The next run knows it: ringfence run{at}")
