"""`ringfence plan` and `ringfence plans`: deciding on a whole cluster, before anything happens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli._deeds import (
    ReasonOption,
    deciding,
    facts,
    show_members,
    tally_in_words,
    title,
    with_risk,
)
from api.cli._options import HomeOption, JsonOption, StoreOption, at_home, examples
from api.output import Column, Output, Table, moment, number, printable
from graph.errors import RingfenceError

if TYPE_CHECKING:
    from actions.model import PlanRequest
    from api.deciding.desk import Desk

ORDER = 82
group = typer.Typer()


@group.command(
    epilog=examples(
        'ringfence plan cl_4t6hq2mzxa --action throttle --for 6h --reason "burns trial credit" --preview',
        'ringfence plan cl_4t6hq2mzxa --action ban --reason "one operator, 4,000 trials"',
        'ringfence plan --members ids.csv --action ban --permanent --reason "sold keys"',
        'ringfence plan --query left_behind -p cluster_id=cl_4t6hq2mzxa --action verify --reason "what it left behind"',
        'ringfence plan --entity domain:mail.example --action deny_signup --for 3d --reason "throw-away mail"',
        'ringfence plan cl_4t6hq2mzxa --action restore --reason "our own load test"',
    )
)
def plan(
    action: Annotated[
        str,
        typer.Option(
            help="throttle, verify, freeze_credit, ban, honeypot, hold_payout, clawback, restore; on entities"
            " deny_signup, no_trial, challenge."
        ),
    ],
    reason: ReasonOption,
    cluster: Annotated[
        str | None, typer.Argument(metavar="[CLUSTER]", help="Its actionable members are meant.")
    ] = None,
    members: Annotated[
        str | None,
        typer.Option(metavar="FILE|IDS", help="Chosen organizations: a file, '-', or ids with commas."),
    ] = None,
    query: Annotated[
        str | None, typer.Option(metavar="NAME", help="The organizations that a named query finds.")
    ] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", metavar="K=V", help="A parameter of the query.")
    ] = None,
    entity: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TYPE:KEY", help="domain, bin, network, phone_range, tls_fingerprint or device."
        ),
    ] = None,
    lasts: Annotated[
        str | None, typer.Option("--for", metavar="12h", help="How long; it then ends by itself.")
    ] = None,
    permanent: Annotated[bool, typer.Option("--permanent", help="Until it is restored.")] = False,
    second_reason: Annotated[
        str,
        typer.Option(help="To include named members that are protected or not actionable (lasting actions)."),
    ] = "",
    public_reason: Annotated[
        str, typer.Option(metavar="CODE", help="What the affected are told; see docs/actions.md.")
    ] = "policy_violation",
    option: Annotated[
        list[str] | None, typer.Option(metavar="K=V", help="A parameter of the action, for the sinks.")
    ] = None,
    sink: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Where effects go; default as the settings say.")
    ] = None,
    cause: Annotated[
        list[str] | None, typer.Option(metavar="CAUSE", help="signal:X, source:S, …: for 'undo --because'.")
    ] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Only show it; write nothing.")] = False,
    home: HomeOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> int:
    """Plan an action: freeze who is meant, what happens, and for how long.

    Nothing happens to anybody until 'ringfence apply'. A cluster stands for its actionable members; the others are
    spared, and listed. Exit 4: it awaits approval.
    """
    from api.deciding import requests

    output = Output(as_json)
    wanted = requests.action(action)
    words = _Words(cluster, members, query, parameter, entity, store, reason)
    with deciding(home, output) as desk:
        if wanted.value == "restore":
            return _restore(output, desk, words, home, preview=preview)
        from actions.model import PlanRequest
        from api.deciding.sinks import chosen

        kind, selector = _meant(output, desk, words)
        request = PlanRequest(
            wanted,
            selector,
            reason,
            duration=None if lasts is None else requests.duration(lasts),
            permanent=permanent,
            second_reason=second_reason,
            public_reason=public_reason,
            params=_pairs(option),
            sinks=chosen(desk, sink or []),
            entity_type=kind,
            causes=tuple(cause or ()),
        )
        return _previewed(output, desk, request) if preview else _planned(output, desk, request, home)


class _Words:
    """How the members were named."""

    def __init__(
        self,
        cluster: str | None,
        members: str | None,
        query: str | None,
        parameters: list[str] | None,
        entities: list[str] | None,
        store: str | None,
        reason: str,
    ) -> None:
        self.cluster, self.members, self.query, self.store = cluster, members, query, store
        self.parameters, self.entities, self.reason = _pairs(parameters), entities or [], reason


def _meant(output: Output, desk: Desk, words: _Words) -> tuple[str, Any]:
    """The type of what is acted on, and the selector. Raises RingfenceError (exit 2)."""
    from api.deciding import requests

    if words.entities:
        if words.cluster or words.members or words.query:
            raise RingfenceError("name organizations or entities, not both", "Make two plans.", exit_code=2)
        return requests.entities(words.entities)
    found = requests.selector(
        desk.home,
        cluster=words.cluster,
        members=words.members,
        query=words.query,
        parameters=words.parameters,
        store=words.store,
        warn=output.warn,
    )
    return "organization", found


def _pairs(given: list[str] | None) -> dict[str, str]:
    """`k=v` options as a mapping. Raises RingfenceError (exit 2)."""
    pairs: dict[str, str] = {}
    for text in given or []:
        name, equals, value = text.partition("=")
        if not equals or not name or name in pairs:
            raise RingfenceError(
                f"{printable(text)!r} is not NAME=VALUE, or is given twice", "Write each once.", exit_code=2
            )
        pairs[name] = value
    return pairs


def _previewed(output: Output, desk: Desk, request: PlanRequest) -> int:
    """Show what a plan would do. Exit as the plan would be refused."""
    from actions import planning
    from api.deciding import answers

    population = desk.population()
    found = planning.preview(desk.ledger, request, desk.principal, population)
    row = answers.preview(found, request)
    if request.entity_type == "organization":
        row["spending_24h"] = answers.spending(population, answers.meant(request, population))
    code = found.refusals[0].exit_code if found.refusals else 0
    if output.as_json:
        output.json(row)
        return code
    output.line(f"Preview of {title(row)}", "bold")
    output.facts(facts(row))
    show_members(output, "The weakest evidence", with_risk(row["weakest"]))
    show_members(output, "A random sample", with_risk(row["sample"]))
    for refusal in found.refusals:
        output.warn(f"it would be refused: {refusal.message}", refusal.remedy)
    output.line()
    output.line("Nothing was written. The same without --preview makes the plan.", "dim")
    return code


def _planned(output: Output, desk: Desk, request: PlanRequest, home: Path | None) -> int:
    from actions import planning
    from api.deciding import answers

    population = desk.population(with_keys=request.action.value == "ban")
    with desk.ledger.transaction() as tx:
        made = planning.plan(tx, request, desk.principal, population)
    more = {}
    if request.entity_type == "organization":
        with desk.ledger.reading() as reading:
            more["spending_24h"] = answers.spending(population, answers.hit(reading, made))
    return _made(output, desk, made.plan_id, home, more)


def _restore(output: Output, desk: Desk, words: _Words, home: Path | None, *, preview: bool) -> int:
    """Plan to lift what is in force on organizations, or on entities."""
    from api.deciding import planned

    if preview:
        raise RingfenceError(
            "a restore has no preview", "Plan it: nothing happens until it is applied.", exit_code=2
        )
    kind, selector = _meant(output, desk, words)
    made = planned.restored(desk, selector, words.reason, kind=kind)
    return _made(output, desk, made.plan_id, home, {})


def _made(output: Output, desk: Desk, plan_id: str, home: Path | None, more: Mapping[str, Any]) -> int:
    """Show a new plan and what comes next."""
    from actions.model import exit_code
    from api.deciding import answers

    with desk.ledger.reading() as reading:
        review, row = answers.reviewed(reading, plan_id, desk.principal)
    row.update(more)
    if output.as_json:
        output.json(row)
        return exit_code(review.plan)
    output.line(title(row), "bold")
    output.facts([("plan", plan_id), *facts(row)])
    show_members(output, "The weakest evidence", with_risk(row["weakest"]))
    output.line()
    at = at_home(home)
    if row["needs"] == "nothing":
        output.line(f"Next: ringfence apply {plan_id}{at}")
    else:
        output.line(f"Next, by another person: ringfence approve {plan_id}{at}")
    return exit_code(review.plan)


@group.command(
    epilog=examples(
        "ringfence plans",
        "ringfence plans latest --members 20",
        "ringfence plans --state executing --json",
    )
)
def plans(
    plan_id: Annotated[
        str | None, typer.Argument(metavar="[PLAN]", help="One plan: its id, or 'latest'.")
    ] = None,
    state: Annotated[
        str | None, typer.Option(help="Only those that are planned, approved, executing, paused, …")
    ] = None,
    members: Annotated[int, typer.Option(min=0, help="How many members of one plan to show.")] = 0,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1_000, help="How many plans.")] = 20,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """List plans, or show one: its members, approvals and state.

    For one plan the exit code is its state's: 0 done or going on, 1 ended, 4 awaits approval, 5 stale, 6 paused,
    7 partly failed.
    """
    output = Output(as_json)
    with deciding(home, output) as desk:
        return (
            _listed(output, desk, state, limit) if plan_id is None else _shown(output, desk, plan_id, members)
        )


def _listed(output: Output, desk: Desk, state: str | None, limit: int) -> int:
    from actions.ledger import plans as kept
    from actions.model import PlanState
    from api.deciding import answers
    from api.output import one_of

    states = [] if state is None else [PlanState(one_of(state, [each.value for each in PlanState], "state"))]
    with desk.ledger.reading() as reading:
        found = kept.listed(reading, states=states, limit=limit)
    if output.as_json:
        output.json({"plans": [answers.plan(each) for each in found]})
        return 0
    columns = [
        Column("plan", style="cyan"),
        Column("action"),
        Column("members", number=True),
        Column("state"),
    ]
    rows = [[each.plan_id, each.action.value, number(each.size), each.state.value] for each in found]
    output.table(Table(columns, rows))
    return 0


def _shown(output: Output, desk: Desk, plan_id: str, members: int) -> int:
    from actions.ledger import items
    from actions.model import exit_code
    from api.deciding import answers

    found = desk.plan(plan_id)
    with desk.ledger.reading() as reading:
        _, row = answers.reviewed(reading, found.plan_id, desk.principal)
        some = [
            answers.item(each, desk.principal) for each in items.listed(reading, found.plan_id, limit=members)
        ]
    if output.as_json:
        output.json({**row, "listed": some} if members else row)
        return exit_code(found)
    output.line(title(row), "bold")
    about = [
        ("reason", printable(found.reason)),
        ("made", f"by {found.creator}, {moment(found.created_at)[:16]}"),
    ]
    about += [(each["verdict"], _verdict(each)) for each in row["approvals"]]
    about.append(("members", tally_in_words(row["members"])))
    output.facts([("plan", found.plan_id), *facts(row), *about])
    if some:
        columns = [Column("organization", style="cyan"), Column("state"), Column("why")]
        output.heading("Members")
        output.table(
            Table(columns, [[printable(one["org_id"]), one["state"], one["reason"]] for one in some])
        )
    return exit_code(found)


def _verdict(row: Mapping[str, Any]) -> str:
    """Who approved or rejected, and whether it was their own plan."""
    own = " of their own plan (single-operator mode)" if row["own"] else ""
    return (
        f"by {row['approver']}{own}, {row['at'][:16].replace('T', ' ')} {printable(row['reason'])}".rstrip()
    )
