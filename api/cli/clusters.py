"""`ringfence clusters` and `ringfence cluster`: the ranked queue, and one cluster in words."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli._options import HomeOption, JsonOption, RunOption, at_home, examples
from api.output import Column, Output, Table, moment, number, percent, printable, signed
from graph.errors import RingfenceError
from graph.home import Home

if TYPE_CHECKING:
    from api.answers.clusters import OpenedCluster, Ranking
    from api.answers.reading import Row, RunReader

ORDER = 40
group = typer.Typer()

CONFIRMED = 0.05
"""False discovery rate below which a cluster counts as more than chance."""
LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, help="How many to show.")]


@group.command(
    epilog=examples(
        "ringfence clusters", "ringfence clusters --min-risk 90 --limit 50", "ringfence clusters --json"
    )
)
def clusters(
    home: HomeOption = None,
    run: RunOption = None,
    limit: LimitOption = 20,
    min_risk: Annotated[float, typer.Option(min=0, max=100, help="Only clusters of at least this risk.")] = 0,
    pattern: Annotated[str | None, typer.Option(help="Only this pattern, as in trial_farm.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Rank the clusters of a run by risk."""
    from api.answers import clusters as answers
    from api.answers.reading import RunReader

    output = Output(as_json)
    reader = RunReader.open(Home.resolve(home), run)
    ranking = answers.ranked(reader, limit, min_risk=min_risk, pattern=pattern)
    if as_json:
        standing = trust(reader)
        output.json({"run": reader.run_id, "total": ranking.total, **standing, "clusters": ranking.rows})
        return 0
    show_ranking(output, ranking, reader)
    return 0


def show_ranking(output: Output, ranking: Ranking, reader: RunReader | None = None) -> None:
    """The queue as a table, how well reviews support it, and how much of it there is."""
    if not ranking.rows:
        output.line("No clusters.")
        return
    columns = [
        Column("#", number=True),
        Column("risk", number=True, style="bold"),
        Column("cluster", style="cyan"),
        Column("pattern"),
        Column("orgs", number=True),
        Column("actionable", number=True),
        Column("new 24h", number=True),
        Column("cost", number=True),
        Column("strongest evidence"),
    ]
    output.table(Table(columns, [_ranked(row) for row in ranking.rows]))
    if reader is not None:
        _show_trust(output, reader)
    if ranking.total > len(ranking.rows):
        output.line(f"{len(ranking.rows):,} of {ranking.total:,}; --limit shows more", "dim")


def trust(reader: RunReader) -> Row:
    """How far the run may be acted on: its grade by today's reviews, and what makes it unfit for lasting actions."""
    from detection.grades import grade
    from detection.samples import rules_of_run

    manifest = reader.files.manifest
    found = grade(reader.home, rules_of_run(manifest))
    return {
        "grade": found.level,
        "grade_containment": found.containment,
        "unfit_for_lasting_actions": manifest.unfit_for_lasting_actions,
    }


def _show_trust(output: Output, reader: RunReader) -> None:
    standing = trust(reader)
    output.line(
        f"Grade: {standing['grade']} for bans, {standing['grade_containment']} for containment"
        " (ringfence sample grade)",
        "dim",
    )
    for reason in standing["unfit_for_lasting_actions"]:
        output.warn(f"unfit for lasting actions: {reason}")


def _ranked(row: Row) -> list[str]:
    return [
        str(row["rank"]),
        number(row["risk"], 1),
        row["cluster_id"],
        row["pattern"],
        number(row["size"]),
        number(row.get("actionable")),
        number(row["new_24h"]),
        number(row["cost"], 2),
        in_words(row["top_evidence"]),
    ]


def in_words(signals: str) -> str:
    """`trial_burn;key_resale` as `trial burn, key resale`."""
    return ", ".join(one.replace("_", " ") for one in signals.split(";") if one)


@group.command(
    epilog=examples(
        "ringfence cluster cl_4t6hq2mzxa",
        "ringfence cluster cl_4t6hq2mzxa --json",
        "ringfence cluster cl_4t6hq2mzxa --svg ring.svg",
    )
)
def cluster(
    cluster_id: Annotated[str, typer.Argument(metavar="ID", help="A cluster id, as 'clusters' shows it.")],
    home: HomeOption = None,
    run: RunOption = None,
    members: Annotated[int, typer.Option(min=1, help="How many members to show.")] = 10,
    svg: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Draw it instead, as a page to print (SVG, A4); '-' is standard output."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Open one cluster: facts, why its score, members, what to do."""
    from api.answers import clusters as answers
    from api.answers.reading import RunReader

    output = Output(as_json)
    reader = RunReader.open(Home.resolve(home), run)
    found = answers.opened(reader, cluster_id, members=members)
    if svg is not None:
        return _draw(output, reader, found, cluster_id, svg)
    if as_json:
        output.json({"run": reader.run_id, **trust(reader), **answers.as_plain(found)})
        return 0
    show_cluster(output, found, cluster_id, at_home(home))
    _show_trust(output, reader)
    return 0


def _draw(output: Output, reader: RunReader, found: OpenedCluster, asked: str, target: str) -> int:
    """Write the cluster's picture to a file, or to standard output for `-`."""
    from api.pictures.contents import contents_of
    from api.pictures.page import draw_page
    from graph.export import whole

    if target == "-" and output.as_json:
        raise RingfenceError(
            "standard output is either the picture or JSON", "Name a file: --svg FILE", exit_code=2
        )
    if not target.strip():
        raise RingfenceError("--svg needs the name of a file", "As in: --svg ring.svg", exit_code=2)
    if found.cluster["cluster_id"] != asked:
        output.warn(_moved(found, asked))
    picture = draw_page(contents_of(reader, found))
    if target == "-":
        sys.stdout.buffer.write(picture)
        sys.stdout.flush()
        return 0
    path = Path(target)
    if path.is_dir():
        raise RingfenceError(f"{target} is a folder", "Name a file: --svg FILE", exit_code=2)
    try:
        with whole(path) as scratch:
            scratch.write_bytes(picture)
    except RingfenceError as error:
        raise RingfenceError(error.message, "Make room, or name another file: --svg FILE") from error
    written = {"run": reader.run_id, "cluster_id": found.cluster["cluster_id"], "picture": target}
    if output.as_json:
        output.json(written)
    else:
        output.line(f"{printable(target)}: {found.cluster['name']}, {len(picture):,} bytes")
    return 0


def show_cluster(output: Output, found: OpenedCluster, asked: str, at: str) -> None:
    """One cluster as a page of text; `at` is added to the commands that it suggests."""
    row = found.cluster
    if row["cluster_id"] != asked:
        output.warn(_moved(found, asked))
    output.line(row["name"], "bold")
    output.facts([*_header(row), ("actionable", _actionable(found))])
    _show_score(output, found)
    _show_members(output, found)
    _show_shared(output, found)
    _show_next(output, found, at)


def _moved(found: OpenedCluster, asked: str) -> str:
    """Where an earlier cluster's members are now."""
    first, *others = found.successors
    said = f"{asked} is now part of {first.cluster_id}"
    if not others:
        return said
    also = ", ".join(f"{each.cluster_id} ({number(each.members)})" for each in others)
    return f"{said} ({number(first.members)} of its members); others are in {also}"


def _header(row: Row) -> list[tuple[str, str]]:
    return [
        ("risk", f"{number(row['risk'], 1)} of 100 ({signed(row['points'])} points)"),
        ("pattern", row["pattern"].replace("_", " ")),
        ("organizations", f"{number(row['size'])}, {number(row['new_24h'])} of them new in the last 24 h"),
        ("active", f"{moment(row['first_at'])} to {moment(row['last_at'])} UTC"),
        (
            "cost",
            f"{number(row['cost'], 2)}, {number(row['cost_24h'], 2)} of it in the last 24 h; "
            f"credit used {number(row['credit_used'], 2)}",
        ),
        ("founder", printable(row["founder"])),
        ("known since", f"{moment(row['born_at'])} UTC"),
        ("more than chance", _confirmed(row.get("q_value"))),
    ]


def _actionable(found: OpenedCluster) -> str:
    """How many members may be acted on, and why the others may not."""
    said = f"{number(found.actionable)} of {number(found.cluster['size'])} may be acted on without a person looking"
    reasons = ", ".join(f"{reason} ({number(count)})" for reason, count in found.spared)
    return f"{said}; spared: {reasons}" if reasons else said


def _confirmed(q_value: float | None) -> str:
    if q_value is None:
        return "not tested, as its risk is low"
    if q_value < CONFIRMED:
        return f"confirmed by evidence that did not find it (false discovery rate {max(q_value, 1e-9):.2g})"
    return f"not confirmed by evidence that did not find it (false discovery rate {min(q_value, 1):.2f})"


def _show_score(output: Output, found: OpenedCluster) -> None:
    output.heading("Why this score")
    columns = [Column("points", number=True, style="bold"), Column("signal"), Column("fact")]
    rows = [[signed(each["points"]), each["title"], _fact(each)] for each in found.evidence if each["points"]]
    if abs(found.base_points) >= 0.05:
        rows.append([signed(found.base_points), "base", "where every cluster starts"])
    rows.append([signed(found.cluster["points"]), "total", f"risk {number(found.cluster['risk'], 1)} of 100"])
    output.table(Table(columns, rows))


def _fact(row: Row) -> str:
    fact = printable(row["fact"]).rstrip(".")
    return fact if row["baseline"] is None else f"{fact}; usual: {percent(row['baseline'])}"


def _show_members(output: Output, found: OpenedCluster) -> None:
    output.heading(f"Members ({len(found.members):,} of {found.cluster['size']:,}, the riskiest first)")
    columns = [
        Column("organization", style="cyan"),
        Column("risk", number=True),
        Column("first seen"),
        Column("cost", number=True),
        Column("may be acted on"),
    ]
    rows = [
        [
            printable(each["org_id"]),
            number(each["member_risk"], 1),
            moment(each["first_at"])[:16],
            number(each["cost"], 2),
            "yes" if each["actionable"] else f"no: {each['spared_reason']}",
        ]
        for each in found.members
    ]
    output.table(Table(columns, rows))


def _show_shared(output: Output, found: OpenedCluster) -> None:
    if not found.shared:
        return
    output.heading("What they share most")
    columns = [
        Column("kind"),
        Column("members", number=True),
        Column("all orgs", number=True),
        Column("identifier"),
    ]
    rows = [
        [
            each.kind.replace("_", " "),
            number(each.members),
            number(each.organizations),
            printable(each.display),
        ]
        for each in found.shared
    ]
    output.table(Table(columns, rows))


def _show_next(output: Output, found: OpenedCluster, at: str) -> None:
    output.heading("What to do next")
    cluster_id = found.cluster["cluster_id"]
    if len(found.members) > 1:
        first, second = found.strongest_pair or (found.members[0]["org_id"], found.members[1]["org_id"])
        output.line(f"  ringfence why {quoted(first)} {quoted(second)}{at}")
        output.line(f"  ringfence why {quoted(found.members[0]['org_id'])}{at}")
    output.line(f"  ringfence export members --cluster {cluster_id} --format csv -o members.csv{at}")
    output.line(f"  ringfence export graph --cluster {cluster_id} --format graphml -o cluster.graphml{at}")
    output.paragraph(
        "A run acts on nobody; it says who may be acted on without a person looking. When you know the truth, say so: "
        "ringfence label ORG abusive|legitimate --reason TEXT",
        indent="  ",
    )


def quoted(text: str) -> str:
    """An id as a shell needs it."""
    return shlex.quote(printable(text))
