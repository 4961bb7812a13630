"""`ringfence query`: the investigators' named queries, and a person's own Cypher."""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from api.cli._options import HomeOption, JsonOption, StoreOption, examples, help_if_bare
from api.output import Column, Output, Table, counted, moment, number, one_of, printable
from graph.errors import RingfenceError
from graph.home import Home

if TYPE_CHECKING:
    from graph.store import Rows, Value
    from queries.named import NamedQuery, Parameter

ORDER = 55
FORMATS = ("table", "csv", "json")
FILE_FORMATS = ("csv", "json")
ROWS = 1_000
"""Rows of a person's own query, unless more are asked for."""

group = typer.Typer()
verbs = typer.Typer(help="Ask the graph: investigators' named queries, or Cypher of your own.")
verbs.callback(invoke_without_command=True)(help_if_bare)
group.add_typer(verbs, name="query")


@verbs.command("list", epilog=examples("ringfence query list", "ringfence query list --json"))
def list_queries(home: HomeOption = None, as_json: JsonOption = False) -> int:  # noqa: ARG001 - as everywhere
    """List the named queries."""
    from queries.named import catalogue

    output = Output(as_json)
    found = catalogue()
    if as_json:
        output.json({"queries": [{"name": one.name, "title": one.title} for one in found]})
        return 0
    columns = [Column("query", style="cyan"), Column("needs"), Column("what it finds")]
    rows = [[one.name, ", ".join(p.name for p in one.parameters if p.required), one.title] for one in found]
    output.table(Table(columns, rows))
    return 0


@verbs.command(
    "show",
    epilog=examples("ringfence query show referral_loops", "ringfence query show referral_loops --sql"),
)
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A query of 'query list'.")],
    sql: Annotated[bool, typer.Option("--sql", help="Show what SQLite is asked, not Neo4j.")] = False,
    home: HomeOption = None,  # noqa: ARG001 - as everywhere
    as_json: JsonOption = False,
) -> int:
    """Explain a named query: purpose, parameters, columns, text."""
    from api.answers.queries import describe

    output = Output(as_json)
    query = describe(name)
    if as_json:
        output.json(_as_plain(query))
        return 0
    _explain(output, query, "sql" if sql else "cypher")
    return 0


def _explain(output: Output, query: NamedQuery, language: str) -> None:
    output.line(query.title, "bold")
    output.paragraph(query.purpose)
    output.heading("Parameters")
    columns = [Column(title) for title in ("parameter", "type", "default", "meaning")]
    output.table(Table(columns, [_explained(one) for one in query.parameters]))
    output.heading("Columns")
    columns = [Column(title) for title in ("column", "type", "meaning")]
    output.table(Table(columns, [[one.name, one.type.value, one.meaning] for one in query.columns]))
    output.heading("Example")
    output.line(f"  ringfence query run {query.name}{_options(query.example)}")
    output.heading("SQL" if language == "sql" else "Cypher")
    output.line(query.texts.get(language, "SQLite has no answer to this one.").rstrip())


def _explained(parameter: Parameter) -> list[str]:
    kind = ", ".join(part for part in (parameter.type.value, parameter.range) if part)
    default = "required" if parameter.required else _cell(parameter.default)
    return [parameter.name, kind, default, parameter.meaning]


def _as_plain(query: NamedQuery) -> dict[str, Any]:
    return {
        "name": query.name,
        "title": query.title,
        "purpose": query.purpose,
        "parameters": [
            {
                "name": one.name,
                "type": one.type.value,
                "required": one.required,
                "default": one.default,
                "meaning": one.meaning,
            }
            for one in query.parameters
        ],
        "columns": [
            {"name": one.name, "type": one.type.value, "meaning": one.meaning} for one in query.columns
        ],
        "example": dict(query.example),
        "texts": dict(query.texts),
    }


def _options(given: Mapping[str, str]) -> str:
    return "".join(f" -p {shlex.quote(f'{name}={value}')}" for name, value in given.items())


@verbs.command(
    "run",
    epilog=examples(
        "ringfence query run shared_payment_methods",
        "ringfence query run members_of_cluster -p cluster_id=cl_4t6hq2mzxa --limit 500 -o members.csv",
        "ringfence query run --store neo4j --cypher 'MATCH (i:Ip {run: $run}) WHERE i.degree > $n "
        "RETURN i.display, i.degree ORDER BY i.degree DESC' -p n=50",
    ),
)
def run(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A query of 'query list'.")] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", metavar="K=V", help="A parameter; may be repeated."),
    ] = None,
    cypher: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Instead of a name: Cypher that reads. Only on Neo4j.")
    ] = None,
    form: Annotated[str | None, typer.Option("--format", "-f", help="table, csv or json.")] = None,
    target: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="File to write (csv or json).")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="How many rows to show.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds after which it is given up.")] = 30,
    home: HomeOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> int:
    """Run a named query, or Cypher of your own.

    In Cypher begin at nodes of the run that is shown, as in (c:Cluster {run: $run}); values of -p are numbers, true,
    false or null where they look like it, else text ('n="12"' is text, too).
    """
    if (name is None) == (cypher is None):
        raise RingfenceError(
            "give the name of a query or --cypher TEXT, not both",
            "'ringfence query list' names the queries.",
            exit_code=2,
        )
    shown_as = _form(form, target)
    given = _given(parameter or [])
    if name is not None:
        found, bound = _named(Home.resolve(home), store, name, given, limit, timeout)
    else:
        bound = {key: _literal(key, value) for key, value in given.items()}
        found = _own(Home.resolve(home), store, str(cypher), bound, limit or ROWS, timeout)
    output = Output(as_json)
    if target is not None:
        _write(output, found, name, shown_as, target)
    elif as_json:
        output.json({"query": name, "parameters": bound, **_objects(found)})
    else:
        _show(output, found, name, shown_as)
    return 0


def _form(form: str | None, target: Path | None) -> str:
    """The format that is meant: as it is named, else by the file's ending."""
    if target is None:
        return one_of(form or "table", FORMATS, "format")
    by_ending = target.suffix.lower().removeprefix(".")
    return one_of(
        form or (by_ending if by_ending in FILE_FORMATS else "csv"), FILE_FORMATS, "format of a file"
    )


def _given(pairs: Sequence[str]) -> dict[str, str]:
    """`k=v` options as a mapping."""
    given: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name or name in given:
            what = "is given twice" if equals and name else "is not NAME=VALUE"
            raise RingfenceError(
                f"the parameter {printable(name if name in given else pair)!r} {what}",
                "Write them as -p name=value, each once.",
                exit_code=2,
            )
        given[name] = value
    return given


def _named(
    home: Home, store: str | None, name: str, given: Mapping[str, str], limit: int | None, timeout: float
) -> tuple[Rows, Mapping[str, Value]]:
    """The answer to a named query, and the values of all its parameters."""
    from api.answers.queries import bind, run_named
    from api.stores import open_store

    if limit is not None:
        if "limit" in given:
            raise RingfenceError("the limit is given twice", "Leave out -p limit or --limit.", exit_code=2)
        given = {**given, "limit": str(limit)}
    bound = bind(name, given)
    graph = open_store(home, store)
    try:
        return run_named(graph, name, given, timeout_s=timeout), bound
    finally:
        graph.close()


def _own(
    home: Home, store: str | None, text: str, bound: Mapping[str, Value], limit: int, timeout: float
) -> Rows:
    from api.answers.queries import run_cypher
    from api.stores import open_store

    graph = open_store(home, store)
    try:
        return run_cypher(graph, text, bound, limit=limit, timeout_s=timeout)
    finally:
        graph.close()


def _literal(name: str, text: str) -> Value:
    """A value of a person's own parameter: what JSON reads as a scalar, else the text itself."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    if isinstance(value, list | dict):
        raise RingfenceError(
            f"the parameter {printable(name)} is a list or a map",
            "Only numbers, text, true, false and null can be given.",
            exit_code=2,
        )
    plain: Value = value
    return plain


def _objects(found: Rows) -> dict[str, Any]:
    rows = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
    return {"columns": found.columns, "rows": rows, "cut": found.cut}


def _show(output: Output, found: Rows, name: str | None, form: str) -> None:
    if form != "table":
        sys.stdout.write(_as_text(found, name, form))
        sys.stdout.flush()
        _warn_cut(output, found)
    elif not found.rows:
        output.line("No rows.")
    else:
        columns = list(zip(*found.rows, strict=True))
        titles = [
            Column(title.replace("_", " ") if name else title, number=_numeric(values))
            for title, values in zip(found.columns, columns, strict=True)
        ]
        output.table(Table(titles, [[_cell(value) for value in row] for row in found.rows]))
        if found.cut:
            output.line(f"The first {len(found.rows):,}; there are more, --limit shows them", "dim")


def _warn_cut(output: Output, found: Rows) -> None:
    if found.cut:
        output.warn(
            f"only the first {counted(len(found.rows), 'row')}; there are more", "--limit shows them."
        )


def _write(output: Output, found: Rows, name: str | None, form: str, target: Path) -> None:
    from graph.export import write_table

    write_table(_table(found, name), target, form)
    if output.as_json:
        output.json({"query": name, "file": str(target), "rows": len(found.rows), "cut": found.cut})
        return
    _warn_cut(output, found)
    output.line(f"{counted(len(found.rows), 'row')} written to {target}")


def _as_text(found: Rows, name: str | None, form: str) -> str:
    """The rows as a file of the format would have them."""
    from graph.export import write_table

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows"
        write_table(_table(found, name), file, form)
        text = file.read_text(encoding="utf-8")
    return text if text.endswith("\n") else f"{text}\n"


def _table(found: Rows, name: str | None) -> Any:
    from api.answers.queries import arrow_table, describe

    return arrow_table(found, None if name is None else describe(name))


def _numeric(values: Sequence[Value]) -> bool:
    kinds = {type(value) for value in values if value is not None}
    return bool(kinds) and kinds <= {int, float}


def _cell(value: Value) -> str:
    """A value as a table shows it."""
    if value is None or isinstance(value, datetime):
        return moment(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return number(value)
    if isinstance(value, float):
        return number(value, 2).removesuffix(".00")
    return printable(value)
