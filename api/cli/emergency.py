"""`ringfence halt` and `ringfence incident`: stop everything, or raise the caps with two people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from api.cli._deeds import ReasonOption, deciding
from api.cli._options import HomeOption, JsonOption, examples, help_if_bare
from api.output import Output, counted
from graph.errors import RingfenceError

if TYPE_CHECKING:
    from actions.incidents import Incident

ORDER = 87
group = typer.Typer()
verbs = typer.Typer(
    help="A declared incident: two people raise the caps of lasting actions for a day at most."
)
verbs.callback(invoke_without_command=True)(help_if_bare)
group.add_typer(verbs, name="incident")


@group.command(
    epilog=examples(
        'ringfence halt --reason "we are banning customers"',
        'ringfence halt --end --reason "it was another system"',
        'ringfence halt --only policy:night --reason "its rule is wrong"',
    )
)
def halt(
    reason: ReasonOption,
    end: Annotated[bool, typer.Option("--end", help="Turn it off; what it paused stays paused.")] = False,
    only: Annotated[str, typer.Option(metavar="policy:NAME", help="Only what this policy does.")] = "all",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Turn the kill switch on: nothing restrictive starts or goes on.

    Restores always may. Plans that it pauses go on only when somebody resumes them.
    """
    from actions import killswitch

    output = Output(as_json)
    paused: list[str] = []
    with deciding(home, output) as desk, desk.ledger.transaction() as tx:
        if end:
            killswitch.release(tx, desk.principal, reason=reason, name=only)
        else:
            paused = killswitch.engage(tx, desk.principal, reason=reason, name=only)
    if as_json:
        output.json({"name": only, "engaged": not end, "paused": paused})
    elif end:
        output.line(f"The kill switch is off for {only}. What it paused: ringfence plans --state paused")
    else:
        output.line(f"The kill switch is on for {only}; {counted(len(paused), 'plan')} paused.")
    return 0


@verbs.command(
    epilog=examples('ringfence incident declare --reason "20,000 trial farms since noon" --hours 8')
)
def declare(
    reason: ReasonOption,
    hours: Annotated[int | None, typer.Option(min=1, max=24, help="For how long; 24 at most.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Propose an incident; it holds once a second person confirms it."""
    from actions import incidents

    output = Output(as_json)
    with deciding(home, output) as desk, desk.ledger.transaction() as tx:
        found = incidents.declare(tx, desk.principal, reason=reason, hours=hours)
    return _say(output, found)


@verbs.command(epilog=examples("ringfence incident confirm"))
def confirm(home: HomeOption = None, as_json: JsonOption = False) -> int:
    """Confirm what another person proposed: the caps rise from now on."""
    from actions import incidents

    output = Output(as_json)
    with deciding(home, output) as desk, desk.ledger.transaction() as tx:
        proposed = _latest(incidents.listed(tx, 1), "proposed")
        found = incidents.confirm(tx, proposed.incident_id, desk.principal)
    return _say(output, found)


@verbs.command(epilog=examples('ringfence incident end --reason "the wave is over"'))
def end(reason: ReasonOption, home: HomeOption = None, as_json: JsonOption = False) -> int:
    """End an incident early; one person suffices."""
    from actions import incidents

    output = Output(as_json)
    with deciding(home, output) as desk, desk.ledger.transaction() as tx:
        found = incidents.end(
            tx,
            _latest(incidents.listed(tx, 1), "proposed", "active").incident_id,
            desk.principal,
            reason=reason,
        )
    return _say(output, found)


def _latest(found: list[Incident], *states: str) -> Incident:
    """The newest incident, if it is in one of these states. Raises RingfenceError (exit 3)."""
    if not found or found[0].state not in states:
        raise RingfenceError(
            "there is no incident", "Propose one: ringfence incident declare --reason TEXT", exit_code=3
        )
    return found[0]


def _say(output: Output, found: Incident) -> int:
    from actions.model import moment_text

    if output.as_json:
        output.json(vars(found))
        return 0
    output.line(f"{found.incident_id} is {found.state}, until {moment_text(found.ends_at)}.")
    if found.state == "proposed":
        output.line("Next, by another person: ringfence incident confirm")
    return 0
