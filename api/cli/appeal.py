"""`ringfence appeal` and `ringfence statement`: what the affected are told, and their second look."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli._deeds import AloneOption, ReasonOption, deciding
from api.cli._options import HomeOption, JsonOption, at_home, examples, help_if_bare
from api.output import Column, Output, Table, moment, printable

if TYPE_CHECKING:
    from actions.appeals import Appeal
    from api.deciding.desk import Desk

ORDER = 85
group = typer.Typer()
verbs = typer.Typer(help="Appeals: an organization asks for another look, by somebody who did not approve.")
verbs.callback(invoke_without_command=True)(help_if_bare)
group.add_typer(verbs, name="appeal")

AppealArgument = Annotated[str, typer.Argument(metavar="APPEAL", help="An appeal's id, or 'latest'.")]
OrganizationArgument = Annotated[str, typer.Argument(metavar="ORG", help="An organization's id, exactly.")]


@verbs.command(
    "open", epilog=examples('ringfence appeal open org_7 --statement "we teach a course, ticket 4711"')
)
def open_appeal(
    organization: OrganizationArgument,
    statement: Annotated[str, typer.Option(metavar="TEXT", help="What the organization says.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Open an appeal: until it is decided, nothing new happens to it."""
    from api.deciding import appealing

    output = Output(as_json)
    with deciding(home, output) as desk:
        found = appealing.opened(desk, organization, statement)
        _say(output, found, home)
    return 0


@verbs.command("list", epilog=examples("ringfence appeal list", "ringfence appeal list --state open --json"))
def list_appeals(
    state: Annotated[str | None, typer.Option(help="open, granted or denied.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1_000, help="How many.")] = 50,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """List appeals, the newest first."""
    from actions import appeals
    from api.output import one_of

    wanted = None if state is None else one_of(state, ("open", "granted", "denied"), "state")
    output = Output(as_json)
    with deciding(home, output) as desk, desk.ledger.reading() as reading:
        found = appeals.listed(reading, state=wanted, limit=limit)
    if as_json:
        output.json({"appeals": [vars(each) for each in found]})
        return 0
    columns = [
        Column("appeal", style="cyan"),
        Column("organization"),
        Column("state"),
        Column("opened", style="dim"),
        Column("statement"),
    ]
    rows = [
        [
            each.appeal_id,
            printable(each.org_id),
            each.state,
            moment(each.opened_at)[:16],
            printable(each.statement),
        ]
        for each in found
    ]
    output.table(Table(columns, rows))
    return 0


@verbs.command(epilog=examples('ringfence appeal grant latest --reason "a university course; called them"'))
def grant(
    appeal_id: AppealArgument,
    reason: ReasonOption,
    single_operator: AloneOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Grant an appeal: restore, keep apart for ever, label legitimate.

    The evidence counts as disputed, and the next run scores the plan's other members again.
    """
    return _decide(appeal_id, reason, home, as_json, grant=True, alone=single_operator)


@verbs.command(epilog=examples('ringfence appeal deny latest --reason "same card as four others"'))
def deny(
    appeal_id: AppealArgument,
    reason: ReasonOption,
    single_operator: AloneOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Deny an appeal; about the same it can be repeated after 30 days."""
    return _decide(appeal_id, reason, home, as_json, grant=False, alone=single_operator)


def _decide(
    appeal_id: str, reason: str, home: Path | None, as_json: bool, *, grant: bool, alone: bool
) -> int:
    from actions import appeals
    from api.deciding import working

    output = Output(as_json)
    with deciding(home, output, single_operator=alone) as desk:
        wanted = _latest(desk) if appeal_id == "latest" else appeal_id
        with desk.ledger.transaction() as tx:
            found = appeals.decide(tx, wanted, desk.principal, grant=grant, reason=reason)
        if found.restored_by is not None:
            working.work(desk, found.restored_by)
        _say(output, found, home)
    return 0


def _latest(desk: Desk) -> str:
    from actions import appeals
    from actions.refusals import Refusal

    with desk.ledger.reading() as reading:
        found = appeals.listed(reading, limit=1)
    if not found:
        raise Refusal(
            "not_found", "there is no appeal yet", "Open one: ringfence appeal open ORG --statement TEXT"
        )
    return found[0].appeal_id


def _say(output: Output, appeal: Appeal, home: Path | None) -> None:
    if output.as_json:
        output.json(vars(appeal))
        return
    output.line(f"{appeal.appeal_id} of {printable(appeal.org_id)} is {appeal.state}.")
    output.facts([("about", ", ".join(appeal.plans) or "nothing any more")])
    at = at_home(home)
    if appeal.restored_by is not None:
        output.facts([("restored", f"by {appeal.restored_by}")])
        output.line(
            f"It is labelled legitimate and kept apart from its cluster. The next run: ringfence run{at}"
        )
    elif appeal.state == "open":
        output.line(
            f"Next, by somebody who did not approve: ringfence appeal grant|deny {appeal.appeal_id} …{at}"
        )


@group.command(epilog=examples("ringfence statement org_7", "ringfence statement org_7 --json"))
def statement(
    organization: OrganizationArgument, home: HomeOption = None, as_json: JsonOption = False
) -> int:
    """Write what an affected organization may be told.

    What is restricted, why in public words, whether a machine decided, until when, and how to appeal: no other's name,
    no detector, no score.
    """
    from actions import statements

    output = Output(as_json)
    with deciding(home, output) as desk, desk.ledger.reading() as reading:
        found = statements.statement(reading, organization)
    if as_json:
        output.json({**vars(found), "restrictions": [vars(each) for each in found.restrictions]})
        return 0
    if not found.restrictions:
        output.line(f"Nothing restricts {printable(organization)}.")
        return 0
    for each in found.restrictions:
        _restriction(output, each)
    output.paragraph(found.how_to_appeal)
    return 0


def _restriction(output: Output, each: Any) -> None:
    output.line(each.restricted, "bold")
    output.facts(
        [
            ("why", each.reason),
            ("clause", each.clause),
            ("decided by", "an automatic rule" if each.automated else "a person"),
            ("since", f"{moment(each.since)} UTC"),
            ("until", "it is restored" if each.ends_at is None else f"{moment(each.ends_at)} UTC"),
        ]
    )
    output.line()
