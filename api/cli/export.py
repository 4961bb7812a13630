"""`ringfence export`: members, clusters and the graph for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.cli._options import HomeOption, JsonOption, RunOption, examples
from api.output import Output, number, one_of
from graph.home import Home

ORDER = 60
group = typer.Typer()

EXPORTS = ("members", "clusters", "graph")


@group.command(
    "export",
    epilog=examples(
        "ringfence export members --format csv -o members.csv",
        "ringfence export clusters --min-risk 90 --format json -o clusters.json",
        "ringfence export graph --cluster cl_4t6hq2mzxa --format graphml -o ring.graphml",
    ),
)
def export_command(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="members, clusters or graph.")],
    target: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="File to write.")],
    form: Annotated[
        str, typer.Option("--format", "-f", help="csv, parquet, json, or for graph graphml.")
    ] = "csv",
    cluster: Annotated[str | None, typer.Option(metavar="ID", help="Only this cluster.")] = None,
    min_risk: Annotated[float, typer.Option(min=0, max=100, help="Only clusters of at least this risk.")] = 0,
    home: HomeOption = None,
    run: RunOption = None,
    as_json: JsonOption = False,
) -> int:
    """Write members, clusters or the graph to a file.

    A graph as csv or parquet is two files: relationships, and nodes beside them (FILE.nodes.csv). GraphML opens
    in Gephi and loads with networkx.
    """
    from api.answers.reading import RunReader
    from api.services import write_export

    one_of(what, EXPORTS, "thing to export")
    output = Output(as_json)
    reader = RunReader.open(Home.resolve(home), run)
    done = write_export(reader, what, form, target, cluster_id=cluster, min_risk=min_risk)
    if as_json:
        output.json(
            {"run": reader.run_id, "files": [str(file) for file in done.files], "counts": done.counts}
        )
        return 0
    counts = " and ".join(f"{number(count)} {name}" for name, count in done.counts.items())
    output.line(f"{counts} written to {' and '.join(str(file) for file in done.files)}")
    return 0
