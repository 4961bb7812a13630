"""What the commands that act have in common: the desk, how refusals are told, how a plan is shown."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from api.output import Column, Output, Table, counted, number, printable, span
from graph.home import Home

if TYPE_CHECKING:
    from actions.refusals import Refusal
    from api.deciding.desk import Desk

Row = Mapping[str, Any]
SHOWN = 5

PlanArgument = Annotated[str, typer.Argument(metavar="PLAN", help="A plan's id, or 'latest'.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why: it is kept in the audit.")]
AloneOption = Annotated[
    bool,
    typer.Option(
        "--single-operator",
        help="One person approves their own plan: typed count, a hold, audited as such. One machine only.",
    ),
]

NEEDS = {
    "nothing": "nobody's approval",
    "approval": "approval by another person",
    "elevated": "approval by two other people, who type the count",
}


@contextmanager
def deciding(home: Path | None, output: Output, *, single_operator: bool = False) -> Iterator[Desk]:
    """The desk of a home. A refusal is told with its code and what it has to say, and ends the command."""
    from actions.refusals import Refusal
    from api.deciding.answers import banner
    from api.deciding.desk import opened

    try:
        with opened(Home.resolve(home), single_operator=single_operator) as desk:
            with desk.ledger.reading() as reading:
                said = banner(reading)
            for line in said:
                output.warn(line)
            yield desk
    except Refusal as refusal:
        tell(output, refusal)
        raise typer.Exit(refusal.exit_code) from refusal


def until_stopped() -> threading.Event:
    """An event that Ctrl-C and a polite kill set, so that what was begun is finished."""
    stop = threading.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: stop.set())
    return stop


def tell(output: Output, refusal: Refusal) -> None:
    """Say why something is not done."""
    if output.as_json:
        problem = {
            "code": refusal.code,
            "message": refusal.message,
            "remedy": refusal.remedy,
            **refusal.extra,
        }
        sys.stderr.write(orjson.dumps(problem, default=str).decode() + "\n")
        sys.stderr.flush()
        return
    output.error(refusal.message, refusal.remedy)
    for name, value in refusal.extra.items():
        if isinstance(value, int | float) and value:
            output.warn(f"{name}: {number(value, 0 if isinstance(value, int) else 2)}")


def title(row: Row) -> str:
    """What a plan does, in a line."""
    if row["subject_kind"] == "organization":
        who = counted(row["size"], "organization")
    else:
        who = f"{row['size']:,} of type {row['subject_kind']}"
    cluster = row["selector"].get("cluster_id")
    return f"{row['action'].replace('_', ' ')}: {who}" + (f" of {cluster}" if cluster else "")


def facts(row: Row) -> list[tuple[str, str]]:
    """What would be hit, who is spared and why, what it costs, and what it takes."""
    said = [("state", _state(row))] if "state" in row else []
    said += [("hits", _hits(row)), ("spared", spared(row["spared"]))]
    if row.get("spending_24h") is not None:
        said.append(("stops", f"{number(row['spending_24h'], 2)} a day, as in the run's last 24 h"))
    if row["legitimate_hits"]:
        said.append(
            ("door", f"{row['legitimate_hits']:,} legitimate organizations would have been hit in 30 days")
        )
    if row["kind"] != "restore":
        said.append(("lasts", _lasts(row)))
    said.append(("needs", NEEDS[row["needs"]]))
    waves = [each for each in row["waves"] if each]
    if len(waves) > 1:
        said.append(("waves", ", then ".join(number(each) for each in waves)))
    said += [("run", f"{row['run_id']}")] if row.get("run_id") else []
    return said


def _state(row: Row) -> str:
    said = str(row["state"]).replace("_", " ")
    if row.get("paused_reason"):
        said += f": {row['paused_reason']}"
    if row.get("hold_until") and row["state"] == "executing":
        said += f", wave {row['wave']} of {len(row['waves'])}; the next one not before {row['hold_until']}"
    if row.get("not_before") and row["state"] == "approved":
        said += f" by its maker; not before {row['not_before']}"
    return said


def _hits(row: Row) -> str:
    said = counted(row["size"], "member")
    if row["kind"] in {"restore", "entity"}:
        return said
    collateral = row.get("estimated_collateral")
    said += f", which cost {number(row['cost'], 2)} so far"
    if collateral is None:
        return said
    likely = "fewer than 0.1" if collateral < 0.05 else f"about {number(collateral, 1)}"
    return f"{said}; {likely} of them legitimate, by their risks"


def _lasts(row: Row) -> str:
    return "until restored" if row["duration_s"] is None else span(row["duration_s"])


def spared(counts: Row) -> str:
    """How many are left out, by reason."""
    if not counts:
        return "nobody"
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return f"{sum(counts.values()):,}: " + "; ".join(
        f"{printable(reason)} ({count:,})" for reason, count in ordered
    )


def show_members(output: Output, heading: str, rows: Sequence[Row]) -> None:
    """Some members with their risk and evidence."""
    if not rows:
        return
    output.heading(heading)
    columns = [
        Column("organization", style="cyan"),
        Column("risk", number=True),
        Column("why" if _why(rows[0]) else ""),
    ]
    table = [[printable(row["org_id"]), number(row["member_risk"], 1), _why(row)] for row in rows[:SHOWN]]
    output.table(Table(columns, table))


def with_risk(rows: Sequence[Row]) -> list[Row]:
    """Members that were scored: those of a restore, and entities, were not."""
    return [row for row in rows if row["member_risk"]]


def _why(row: Row) -> str:
    """A member's evidence, or what became of it."""
    if "evidence" in row:
        return ", ".join(each.replace("_", " ") for each in row["evidence"])
    if row["state"] == "pending":
        return ""
    return str(row["state"]) + (f": {printable(row['reason'])}" if row["reason"] else "")


def tally_in_words(tally: Row) -> str:
    """Members by state."""
    names = {"control": "acted on later", "sending": "on their way"}
    return (
        ", ".join(f"{count:,} {names.get(state, state)}" for state, count in sorted(tally.items())) or "none"
    )
