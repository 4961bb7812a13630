"""`ringfence audit`: what was done, by whom and why, in a chain that shows every change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli._deeds import deciding
from api.cli._options import HomeOption, JsonOption, examples, help_if_bare
from api.output import Column, Output, Table, counted, number, printable
from graph.errors import RingfenceError

if TYPE_CHECKING:
    from actions.audit import Verified

ORDER = 86
group = typer.Typer()
verbs = typer.Typer(help="The audit of decisions: list it, export it, verify it.")
verbs.callback(invoke_without_command=True)(help_if_bare)
group.add_typer(verbs, name="audit")


@verbs.command(
    epilog=examples(
        "ringfence audit verify",
        "ringfence audit verify audit.ndjson",
        "ringfence audit verify audit.ndjson --expected-head 9f2c…",
    )
)
def verify(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="An export; without it the ledger itself.")
    ] = None,
    expected_head: Annotated[
        str | None, typer.Option(metavar="HASH", help="The last entry's hash, noted elsewhere.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Verify that every entry is there, unchanged, in order and signed.

    A file is verified offline: it takes the file and the key alone. Exit 1 lists what is wrong.
    """
    from actions import audit
    from api.deciding.desk import audit_key

    output = Output(as_json)
    if file is not None:
        if not file.is_file():
            raise RingfenceError(
                f"cannot read {file}", "Name a file of 'ringfence audit export'.", exit_code=2
            )
        found = audit.verify_file(file, [audit_key()], expected_head=expected_head)
        return _say(output, found)
    with deciding(home, output) as desk:
        found = audit.verify(desk.ledger, [desk.signer])
    if expected_head is not None and found.head != expected_head:
        found.problems.append("the last entry is not the expected one")
    return _say(output, found)


def _say(output: Output, found: Verified) -> int:
    if output.as_json:
        output.json({"intact": not found.problems, **vars(found)})
        return 1 if found.problems else 0
    output.facts(
        [
            ("entries", number(found.entries)),
            ("signed", f"{counted(found.checkpoints, 'checkpoint')}, up to entry {found.signed_up_to:,}"),
            ("last entry", found.head),
        ]
    )
    for problem in found.problems:
        output.warn(problem)
    output.line("NOT INTACT" if found.problems else "intact", "bold red" if found.problems else "bold green")
    return 1 if found.problems else 0


@verbs.command(epilog=examples("ringfence audit export -o audit.ndjson"))
def export(
    target: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="File to write (NDJSON).")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Sign what is unsigned, and write the whole audit to a file."""
    from actions import audit
    from graph.export import whole

    output = Output(as_json)
    with deciding(home, output) as desk:
        desk.principal.require("auditor", "admin")
        with desk.ledger.transaction() as tx:
            audit.checkpoint(tx, desk.signer)
        with whole(target) as scratch:
            count = audit.export(desk.ledger, scratch)
    if as_json:
        output.json({"entries": count, "file": str(target)})
    else:
        output.line(f"{printable(str(target))}: {count:,} entries")
    return 0


@verbs.command("list", epilog=examples("ringfence audit list", "ringfence audit list --plan latest --json"))
def list_entries(
    after: Annotated[int, typer.Option(min=0, help="Only entries after this number.")] = 0,
    plan_id: Annotated[
        str | None, typer.Option("--plan", metavar="PLAN", help="Only those of a plan.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="How many.")] = 100,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """List entries, the oldest first."""
    from actions import audit

    output = Output(as_json)
    with deciding(home, output) as desk:
        wanted = None if plan_id is None else desk.plan(plan_id).plan_id
        with desk.ledger.reading() as reading:
            found = audit.entries(reading, desk.principal, after=after, plan_id=wanted, limit=limit)
    if as_json:
        output.json({"entries": [vars(each) for each in found]})
        return 0
    columns = [
        Column("#", number=True),
        Column("at", style="dim"),
        Column("who"),
        Column("what"),
        Column("why"),
    ]
    output.table(Table(columns, [_entry(each.seq, each.content, each.names) for each in found]))
    return 0


def _entry(seq: int, content: Any, names: Any) -> list[str]:
    who = names.get(content["actor"], content["actor"])
    at = str(content["at"])[:16].replace("T", " ")
    return [str(seq), at, printable(str(who)), content["verb"], printable(str(content["why"]))]
