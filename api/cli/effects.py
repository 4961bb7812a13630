"""`ringfence effects`: what was decided goes out to scripts."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli._deeds import PlanArgument, deciding, until_stopped
from api.cli._options import HomeOption, JsonOption, examples, help_if_bare
from api.output import Column, Output, Table, counted, moment, number, printable
from api.settings import RECORDS
from graph.errors import RingfenceError

if TYPE_CHECKING:
    from api.deciding.following import Follower

ORDER = 84
NOTHING = 3
group = typer.Typer()
verbs = typer.Typer(help="Effects of plans, in the order in which they were decided: list, hand to a script.")
verbs.callback(invoke_without_command=True)(help_if_bare)
group.add_typer(verbs, name="effects")

SinkOption = Annotated[str, typer.Option(metavar="NAME", help="The sink whose effects are meant.")]


@verbs.command(
    "list",
    epilog=examples(
        "ringfence effects list",
        "ringfence effects list --after 4200 --json",
        "ringfence effects list --plan latest",
    ),
)
def list_effects(
    after: Annotated[int, typer.Option(min=0, metavar="CURSOR", help="Only those after this cursor.")] = 0,
    plan_id: Annotated[
        str | None, typer.Option("--plan", metavar="PLAN", help="Only those of a plan.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=5_000, help="How many.")] = 100,
    sink: SinkOption = "feed",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """List effects after a cursor, with where each is on its way."""
    from actions.ledger import deliveries
    from actions.sinks.feed import pull
    from api.deciding import answers

    output = Output(as_json)
    with deciding(home, output) as desk:
        wanted = None if plan_id is None else desk.plan(plan_id).plan_id
        with desk.ledger.reading() as reading:
            if wanted is not None:
                found = deliveries.of_plan(reading, wanted, after, limit)
            else:
                found = pull(reading, after=after, limit=limit, sink=sink)
            rows = answers.effects(reading, found)
    if as_json:
        output.json({"effects": rows, "cursor": found[-1].seq if found else after})
        return 0
    columns = [
        Column("cursor", number=True),
        Column("organization", style="cyan"),
        Column("gen", number=True),
        Column("in force"),
        Column("until"),
        Column("sinks"),
    ]
    table = [
        [
            number(each.seq),
            printable(each.org_id),
            number(each.generation),
            ", ".join(each.desired_state) or "nothing",
            moment(each.expires_at)[:16],
            ", ".join(f"{name} {state}" for name, state in sorted(row["sinks"].items()) if name != RECORDS),
        ]
        for each, row in zip(found, rows, strict=True)
    ]
    output.table(Table(columns, table))
    return 0


@verbs.command(
    epilog=examples(
        "ringfence effects follow --exec ./block.sh",
        'ringfence effects follow --exec "./block.sh --zone eu" --name eu --once',
    )
)
def follow(
    command: Annotated[
        str,
        typer.Option(
            "--exec",
            metavar="COMMAND",
            help="A file of yours with its arguments; no shell reads it. Effect on stdin.",
        ),
    ],
    once: Annotated[
        bool, typer.Option("--once", help="Stop when nothing is left; exit 3 if nothing was.")
    ] = False,
    batch: Annotated[int, typer.Option(min=1, max=1_000, help="Effects, a line of JSON each, at once.")] = 1,
    name: Annotated[str, typer.Option(metavar="NAME", help="Its cursor's name; one a script.")] = "follow",
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds after which the command is killed.")] = 20,
    sink: SinkOption = "feed",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Hand each effect to a command, in order, at least once.

    An effect is acknowledged only if the command exits with 0; else the same one is tried again, later ones wait. The
    command compares `generation` and does nothing for one that it has, or has passed.
    """
    from api.deciding.following import Follower

    output = Output(as_json)
    words = shlex.split(command)
    if not words:
        raise RingfenceError("no command is given", "As in: --exec ./block.sh", exit_code=2)
    program = Path(words[0]).expanduser()
    with deciding(home, output) as desk:
        follower = Follower(
            desk,
            [program.name, *words[1:]],
            program.parent,
            name=name,
            sink=sink,
            batch=batch,
            timeout=timeout,
        )
        return _once(output, follower) if once else _for_ever(output, follower)


def _once(output: Output, follower: Follower) -> int:
    """Hand on what there is. Exit 0, 1 if the command failed, 3 if there was nothing."""
    done, failed = follower.everything()
    if output.as_json:
        output.json({"acknowledged": done, "cursor": follower.cursor, "failed": failed})
    elif failed is None:
        output.line(f"{counted(done, 'effect')} acknowledged; cursor {follower.cursor}")
    if failed is not None:
        output.error(
            f"the command failed: {failed}", f"{counted(done, 'effect')} before it are acknowledged."
        )
        return 1
    return 0 if done else NOTHING


def _for_ever(output: Output, follower: Follower) -> int:
    """Hand on whatever comes until interrupted; a command that fails is tried again, less and less often."""
    stop = until_stopped()
    wait = 1.0
    while not stop.is_set():
        done, failed = follower.everything(stop)
        if done and not output.as_json:
            output.line(f"{counted(done, 'effect')} acknowledged; cursor {follower.cursor}")
        if failed is not None:
            output.warn(f"the command failed: {failed}", f"Trying again in {wait:.0f} s.")
        stop.wait(wait)
        wait = min(wait * 2, 60.0) if failed is not None else 1.0
    return 0


@verbs.command(epilog=examples("ringfence effects state --json", "ringfence effects state"))
def state(
    after: Annotated[int, typer.Option(min=0, help="`next` of the page before.")] = 0,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=5_000, help="How many.")] = 1_000,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Say who is restricted now: what a bouncer that starts has to know.

    It then goes on with 'effects list --after' from the cursor of the first page.
    """
    from actions.sinks import feed

    output = Output(as_json)
    with deciding(home, output) as desk, desk.ledger.reading() as reading:
        found = feed.state(reading, after=after, limit=limit)
    if as_json:
        output.json(found)
        return 0
    columns = [Column("organization", style="cyan"), Column("gen", number=True), Column("in force")]
    rows = [
        [printable(each["org_id"]), number(each["generation"]), ", ".join(each["desired_state"])]
        for each in found["restricted"]
    ]
    output.table(Table(columns, rows))
    output.line(f"cursor {found['cursor']}", "dim")
    return 0


@verbs.command(epilog=examples('ringfence effects retry latest --reason "the receiver is back"'))
def retry(
    plan_id: PlanArgument,
    sink: Annotated[str | None, typer.Option(metavar="NAME", help="Only what failed there.")] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why: it is kept in the audit.")] = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Try a plan's failed and doubtful deliveries again.

    'ringfence apply' then does it, or a worker.
    """
    from actions import outbox

    output = Output(as_json)
    with deciding(home, output) as desk:
        plan = desk.plan(plan_id)
        with desk.ledger.transaction() as tx:
            count = outbox.retry(tx, plan.plan_id, desk.principal, sink=sink, reason=reason)
    if as_json:
        output.json({"plan_id": plan.plan_id, "deliveries": count})
    else:
        output.line(f"{counted(count, 'delivery').replace('deliverys', 'deliveries')} will be tried again.")
    return 0
