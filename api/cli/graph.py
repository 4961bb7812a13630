"""`ringfence rebuild` and `ringfence graph copy`: the graph is a view, and can be made again or moved."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli._options import HomeOption, JsonOption, StoreOption, at_home, examples, help_if_bare
from api.output import Output
from api.progress import progress
from graph.home import Home

ORDER = 85
group = typer.Typer()
verbs = typer.Typer(help="Move the graph from one store to another.")
verbs.callback(invoke_without_command=True)(help_if_bare)
group.add_typer(verbs, name="graph")


@group.command(epilog=examples("ringfence rebuild", "ringfence rebuild --store neo4j"))
def rebuild(home: HomeOption = None, store: StoreOption = None, as_json: JsonOption = False) -> int:
    """Make the graph again from the facts and the current run.

    Nothing is computed anew: losing the graph loses nothing. What was served before is served until it is done.
    No run yet: exit 3.
    """
    from api.stores import chosen
    from api.stores import rebuild as make_again

    output = Output(as_json)
    with progress(quiet=as_json) as reporter:
        run_id = make_again(Home.resolve(home), store, reporter)
    if as_json:
        output.json({"run_id": run_id, "store": chosen(store)})
    else:
        output.line(f"The graph in {chosen(store)} shows {run_id}. Next: ringfence clusters{at_home(home)}")
    return 0


@verbs.command(
    "copy",
    epilog=examples("ringfence graph copy --to neo4j", "ringfence graph copy --from neo4j --to sqlite"),
)
def copy(
    to: Annotated[str, typer.Option("--to", metavar="NAME", help="The store that gets it: sqlite or neo4j.")],
    source: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="NAME", help="The store that has it; default RINGFENCE_STORE, else sqlite."
        ),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Copy the graph from one store to another.

    Statuses of organizations go along. The target shows what it did before until the copy is complete.
    """
    from api.stores import chosen, copy_graph

    output = Output(as_json)
    with progress(quiet=as_json) as reporter:
        run_id = copy_graph(Home.resolve(home), source, to, reporter)
    if as_json:
        output.json({"run_id": run_id, "from": chosen(source), "to": to})
    else:
        output.line(f"{to} now shows {run_id}, as {chosen(source)} does.")
    return 0
