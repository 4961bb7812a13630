"""`ringfence run` and `ringfence runs`: detection, and what it left behind."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from api.cli._options import HomeOption, JsonOption, at_home, examples
from api.output import Column, Output, Table, moment, number, one_of
from api.progress import progress
from graph.errors import RingfenceError
from graph.home import Home

ORDER = 30
group = typer.Typer()

ENGINES = ("duckdb",)


@group.command(
    epilog=examples(
        "ringfence run", "ringfence run --as-of 2025-10-03T12:00:00Z", "ringfence run --store neo4j"
    )
)
def run(
    home: HomeOption = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="T", help="Time that 'now' is; default the latest event.")
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Where the graph goes: sqlite, neo4j or none; default RINGFENCE_STORE, else sqlite.",
        ),
    ] = None,
    engine: Annotated[str, typer.Option(help="What computes: duckdb.")] = "duckdb",
    as_json: JsonOption = False,
) -> int:
    """Detect: links, communities, clusters, scores.

    Reads the facts of the home, and publishes a new run by one switch; the run before serves until then and
    can be read afterwards (--run). A home without events is exit 3.
    """
    from api.services import detect

    one_of(engine, ENGINES, "engine")
    output = Output(as_json)
    place = Home.resolve(home)
    moment_meant = None if as_of is None else parse_moment(as_of)
    with progress(quiet=as_json) as reporter:
        manifest = detect(place, as_of=moment_meant, store=store, progress=reporter)
    if as_json:
        output.json(manifest)
        return 0
    show_run(output, manifest)
    output.line()
    output.line(f"Next: ringfence clusters{at_home(home)}")
    return 0


@group.command(epilog=examples("ringfence runs", "ringfence runs --json"))
def runs(home: HomeOption = None, as_json: JsonOption = False) -> int:
    """List the runs that can be read, the newest first."""
    from api.services import list_runs

    output = Output(as_json)
    listed, current = list_runs(Home.resolve(home))
    if as_json:
        output.json({"current": current, "runs": listed})
        return 0
    columns = [
        Column(""),
        Column("run", style="cyan"),
        Column("as of"),
        Column("organizations", number=True),
        Column("clusters", number=True),
        Column("seconds", number=True),
        Column("grade"),
    ]
    rows = [
        [
            "*" if each["run_id"] == current else "",
            each["run_id"],
            moment(_when(each["as_of"])),
            number(each["counts"].get("organizations")),
            number(each["counts"].get("clusters")),
            number(sum(each["timings"].values()), 1),
            each["grade"] + (", unfit for lasting actions" if each["unfit_for_lasting_actions"] else ""),
        ]
        for each in listed
    ]
    output.table(Table(columns, rows))
    return 0


def show_run(output: Output, manifest: dict[str, Any]) -> None:
    """What one run did, in a few lines."""
    counts, timings = manifest["counts"], manifest["timings"]
    facts = [("run", str(manifest["run_id"])), ("as of", moment(_when(manifest["as_of"])))]
    facts += [(name, number(counts[name])) for name in ("events", "organizations", "ties")]
    facts.append(
        ("clusters", f"{number(counts['clusters'])}, with {number(counts['members'])} organizations")
    )
    facts.append(
        ("took", f"{sum(timings.values()):.1f} s, peak memory {number(manifest.get('peak_rss_mb'))} MiB")
    )
    facts.append(("grade", str(manifest["grade"])))
    output.facts(facts)
    if manifest["unfit_for_lasting_actions"]:
        output.warn(
            "unfit for lasting actions: nobody should be banned on the strength of this run, because:"
        )
    for warning in manifest.get("warnings") or []:
        output.warn(str(warning))


def _when(value: object) -> datetime | None:
    return value if isinstance(value, datetime) else parse_moment(str(value))


def parse_moment(text: str) -> datetime:
    """A time in RFC 3339; a date alone is its first moment, no zone is UTC. Raises RingfenceError (exit 2)."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise RingfenceError(
            f"{text!r} is not a time", "Write it as 2025-10-03T12:00:00Z.", exit_code=2
        ) from error
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
