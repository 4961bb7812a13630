"""`ringfence approve`, `reject`, `apply`, `pause`, `resume`, `abort`, `undo`: from a plan to its effects and back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli._deeds import (
    AloneOption,
    PlanArgument,
    ReasonOption,
    deciding,
    facts,
    show_members,
    tally_in_words,
    title,
    with_risk,
)
from api.cli._options import HomeOption, JsonOption, at_home, examples
from api.output import Output, moment
from api.progress import progress
from graph.errors import RingfenceError

if TYPE_CHECKING:
    from actions.ledger import Tx
    from actions.model import Plan
    from api.deciding.desk import Desk
    from api.deciding.working import Rest

ORDER = 83
group = typer.Typer()
PARTIAL = 7

WaitOption = Annotated[
    float,
    typer.Option(
        "--wait", metavar="SECONDS", min=0, help="How long to wait for a sink that does not answer."
    ),
]


@group.command(
    epilog=examples(
        "ringfence approve plan_0198c5a0",
        'ringfence approve plan_0198c5a0 --digest 5f1c… --reason "checked ten of them"',
        "ringfence approve latest --single-operator --count 25",
    )
)
def approve(
    plan_id: PlanArgument,
    digest: Annotated[
        str | None,
        typer.Option(metavar="HEX", help="The digest of what you saw: at least its first 12 digits."),
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=0, help="How many it acts on, typed, where the plan asks for it.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why: it is kept in the audit.")] = "",
    single_operator: AloneOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Approve somebody else's plan, as you saw it.

    Without --digest or --count it shows the plan and what to type (exit 4). Nobody approves their own plan but in
    single-operator mode, where a hold of ten minutes follows and the audit says so.
    """
    from actions import approvals
    from actions.model import exit_code
    from api.deciding import answers

    output = Output(as_json)
    with deciding(home, output, single_operator=single_operator) as desk:
        plan = desk.plan(plan_id)
        if digest is None and count is None:
            return _review(output, desk, plan, home)
        seen = plan.digest if digest is None else _whole(plan, digest)
        with desk.ledger.transaction() as tx:
            plan = approvals.approve(
                tx, plan.plan_id, desk.principal, digest=seen, typed_count=count, reason=reason
            )
        if output.as_json:
            output.json(answers.plan(plan))
        else:
            _approved(output, plan, home)
        return exit_code(plan)


def _whole(plan: Plan, digest: str) -> str:
    """The digest that is meant by its beginning; anything else is refused as another plan's."""
    begins = digest.strip().rstrip("…").lower()
    return plan.digest if len(begins) >= 12 and plan.digest.startswith(begins) else begins


def _review(output: Output, desk: Desk, plan: Plan, home: Path | None) -> int:
    """Show a plan to whoever may approve it, and what to type."""
    from actions.model import PlanState, exit_code
    from api.deciding import answers

    with desk.ledger.reading() as reading:
        review, row = answers.reviewed(reading, plan.plan_id, desk.principal)
    if output.as_json:
        output.json(row)
        return exit_code(plan)
    output.line(title(row), "bold")
    output.facts(
        [
            ("plan", plan.plan_id),
            *facts(row),
            ("reason", plan.reason),
            ("made", f"by {plan.creator}, {moment(plan.created_at)[:16]}"),
        ]
    )
    show_members(output, "The weakest evidence", with_risk(row["weakest"]))
    show_members(output, "A random sample", with_risk(row["sample"]))
    output.line()
    if plan.state is PlanState.PLANNED and review.missing:
        counted = " --count N" if plan.needs == "elevated" or desk.ledger.settings.single_operator else ""
        output.line(
            f"To approve: ringfence approve {plan.plan_id} --digest {plan.digest[:16]}{counted}{at_home(home)}"
        )
    return exit_code(plan)


def _approved(output: Output, plan: Plan, home: Path | None) -> None:
    from actions.model import PlanState, moment_text

    if plan.state is not PlanState.APPROVED:
        output.line(f"Your approval of {plan.plan_id} is kept. It needs one more person.")
        return
    output.line(f"{plan.plan_id} is approved.")
    when = ""
    if plan.not_before is not None:
        until = moment_text(plan.not_before)
        output.warn(f"approved by its own maker, as the audit says; it may start from {until} on")
        when = " --single-operator"
    output.line(f"Next: ringfence apply {plan.plan_id}{when}{at_home(home)}")


@group.command(
    epilog=examples('ringfence reject plan_0198c5a0 --reason "half of them are a reseller\'s customers"')
)
def reject(
    plan_id: PlanArgument,
    reason: ReasonOption,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Turn a plan down, for good; a maker's own is withdrawn."""
    from actions import approvals

    def decide(desk: Desk, tx: Tx, plan: Plan) -> Plan:
        if plan.creator == desk.principal.id:
            return approvals.withdraw(tx, plan.plan_id, desk.principal, reason=reason)
        return approvals.reject(tx, plan.plan_id, desk.principal, digest=plan.digest, reason=reason)

    return _decided(home, as_json, plan_id, decide)


@group.command(epilog=examples('ringfence pause latest --reason "support sees complaints"'))
def pause(
    plan_id: PlanArgument, reason: ReasonOption, home: HomeOption = None, as_json: JsonOption = False
) -> int:
    """Let an executing plan act on nobody else for now."""
    from actions import waves

    return _decided(
        home, as_json, plan_id, lambda desk, tx, plan: waves.pause(tx, plan.plan_id, desk.principal, reason)
    )


@group.command(epilog=examples('ringfence resume latest --reason "complaints were about something else"'))
def resume(
    plan_id: PlanArgument, reason: ReasonOption, home: HomeOption = None, as_json: JsonOption = False
) -> int:
    """Let a paused plan go on; 'ringfence apply' then does the work."""
    from actions import waves

    return _decided(
        home, as_json, plan_id, lambda desk, tx, plan: waves.resume(tx, plan.plan_id, desk.principal, reason)
    )


@group.command(epilog=examples('ringfence abort latest --reason "wrong cluster"'))
def abort(
    plan_id: PlanArgument, reason: ReasonOption, home: HomeOption = None, as_json: JsonOption = False
) -> int:
    """End a plan that runs; what it did stays until it is undone."""
    from actions import waves

    return _decided(
        home, as_json, plan_id, lambda desk, tx, plan: waves.abort(tx, plan.plan_id, desk.principal, reason)
    )


def _decided(home: Path | None, as_json: bool, plan_id: str, decide: Callable[[Desk, Tx, Plan], Plan]) -> int:
    """Take one decision about a plan and say how it is now."""
    from api.deciding import answers

    output = Output(as_json)
    with deciding(home, output) as desk:
        plan = desk.plan(plan_id)
        with desk.ledger.transaction() as tx:
            plan = decide(desk, tx, plan)
        if output.as_json:
            output.json(answers.plan(plan))
        else:
            output.line(f"{plan.plan_id} is {plan.state}.")
    return 0


@group.command(
    epilog=examples(
        "ringfence apply latest", "ringfence apply plan_0198c5a0 --json", "ringfence apply latest --no-work"
    )
)
def apply(
    plan_id: PlanArgument,
    work: Annotated[
        bool, typer.Option("--work/--no-work", help="Do the work here; without it a 'ringfence worker' does.")
    ] = True,
    wait: WaitOption = 30.0,
    single_operator: AloneOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Apply a plan until it has ended, paused, or begun to hold.

    A plan that holds between its waves goes on when this is run again, or by itself where a worker runs. Exit: 0 done
    or holding, 4 awaits approval, 5 stale, 6 paused, 7 partly failed.
    """
    from actions.model import PlanState
    from api.deciding import planned

    output = Output(as_json)
    with deciding(home, output, single_operator=single_operator) as desk:
        plan = desk.plan(plan_id)
        if plan.state is not PlanState.EXECUTING:
            planned.started(desk, plan)
        return _carried_out(output, desk, plan.plan_id, home, wait if work else None)


@group.command(
    epilog=examples(
        'ringfence undo latest --reason "they are a reseller\'s customers"',
        'ringfence undo --because signal:shared_device --since 2026-05-01 --reason "a library\'s machines"',
    )
)
def undo(
    reason: ReasonOption,
    plan_id: Annotated[str | None, typer.Argument(metavar="[PLAN]", help="A plan's id, or 'latest'.")] = None,
    because: Annotated[
        str | None,
        typer.Option(metavar="CAUSE", help="Across plans: signal:X, detector@v, entity:ip:…, source:S."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="T", help="Only what was done since then; with --because.")
    ] = None,
    work: Annotated[
        bool, typer.Option("--work/--no-work", help="Do the work here; without it a 'ringfence worker' does.")
    ] = True,
    wait: WaitOption = 30.0,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Undo a plan, or whatever was done for a cause; at once.

    One person suffices, and there are no caps. It restores only where the plan's restriction still holds; keys that a
    ban revoked stay revoked.
    """
    from actions import undo as undoing
    from api.cli.run import parse_moment
    from api.deciding import planned

    if (plan_id is None) == (because is None):
        raise RingfenceError(
            "name a plan, or a cause with --because", "See: ringfence undo --help", exit_code=2
        )
    output = Output(as_json)
    with deciding(home, output) as desk:
        target = None if plan_id is None else desk.plan(plan_id, restoring=False).plan_id
        after = None if since is None else parse_moment(since)
        with desk.ledger.transaction() as tx:
            if target is not None:
                made = undoing.undo_plan(tx, target, desk.principal, reason=reason)
            else:
                made = undoing.undo_because(tx, str(because), desk.principal, reason=reason, since=after)
        planned.started(desk, made)
        return _carried_out(output, desk, made.plan_id, home, wait if work else None)


def _carried_out(output: Output, desk: Desk, plan_id: str, home: Path | None, wait: float | None) -> int:
    """Do the work, or leave it to a worker, and say where it came to rest."""
    from actions.model import exit_code
    from api.deciding import answers, working

    if wait is None:
        rest = working.at_rest(desk, plan_id)
    else:
        with progress(quiet=output.as_json or not sys.stderr.isatty()) as reporter:
            rest = working.work(desk, plan_id, reporter, patience=wait)
    if output.as_json:
        output.json(
            {**answers.plan(rest.plan, rest.tally), "holding": rest.holding, "on_its_way": rest.on_its_way}
        )
    else:
        _show_rest(output, rest, home)
    code = exit_code(rest.plan)
    return PARTIAL if code == 0 and rest.on_its_way and wait is not None else code


def _show_rest(output: Output, rest: Rest, home: Path | None) -> None:
    from actions.model import PlanState
    from api.deciding import answers

    row = answers.plan(rest.plan)
    output.line(title(row), "bold")
    output.facts([("plan", rest.plan.plan_id), facts(row)[0], ("members", tally_in_words(rest.tally))])
    at = at_home(home)
    if rest.plan.state is PlanState.PAUSED:
        output.line(f"Next: ringfence resume {rest.plan.plan_id} --reason TEXT{at}, or abort, or undo")
    elif rest.plan.state is PlanState.EXECUTING:
        output.line(f"It goes on when a worker runs, or with: ringfence apply {rest.plan.plan_id}{at}")
    elif row["kind"] != "restore":
        output.line(f"To undo: ringfence undo {rest.plan.plan_id} --reason TEXT{at}")
