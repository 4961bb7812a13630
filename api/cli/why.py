"""`ringfence why` and `ringfence search`: one connection in words, and where to start looking."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli._options import HomeOption, JsonOption, RunOption, StoreOption, examples
from api.output import Column, Output, Table, moment, number, printable, span
from graph.home import Home

if TYPE_CHECKING:
    from api.answers.admission import Standing, WeighedTie
    from api.answers.pairs import OneAnswer, PairAnswer, Reason, Tie
    from api.answers.reading import Row
    from api.answers.search import Match

NOTHING = 3
COMMON_SHOWN = 5
TIES_SHOWN = 12
ORDER = 50
group = typer.Typer()


@group.command(
    epilog=examples("ringfence why org_1 org_2", "ringfence why org_1", "ringfence why org_1 org_2 --json")
)
def why(
    a: Annotated[str, typer.Argument(metavar="A", help="An organization's id.")],
    b: Annotated[str | None, typer.Argument(metavar="[B]", help="Another one's.")] = None,
    home: HomeOption = None,
    run: RunOption = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many ties of A to show.")] = 10,
    as_json: JsonOption = False,
) -> int:
    """Say in words why A and B belong together, or how A stands."""
    from api.answers import pairs
    from api.answers.reading import RunReader

    output = Output(as_json)
    reader = RunReader.open(Home.resolve(home), run)
    if b is None:
        single = pairs.one(reader, a, limit=limit)
        if as_json:
            output.json({"run": reader.run_id, **asdict(single)})
        else:
            show_one(output, single)
        return 0
    both = pairs.pair(reader, a, b)
    if as_json:
        output.json({"run": reader.run_id, **asdict(both)})
    else:
        show_pair(output, both)
    return 0


def show_pair(output: Output, answer: PairAnswer) -> None:
    """Why two belong together, as text."""
    a, b = answer.a["org_id"], answer.b["org_id"]
    output.line(f"{printable(a)} and {printable(b)}", "bold")
    output.facts([(printable(row["org_id"]), _standing(row)) for row in (answer.a, answer.b)])
    output.line()
    if a == b:
        output.paragraph("They are one and the same organization.")
    elif not answer.path:
        output.paragraph(
            f"Nothing ties them: no shared identifier counts, and no path of at most {answer.farthest} ties leads "
            "from one to the other."
        )
    elif len(answer.path) == 1:
        tie = answer.path[0]
        output.paragraph(f"They are tied directly, weight {tie.weight:.2f}, because they share:")
        _show_reasons(output, tie, answer.organizations)
    else:
        output.paragraph(f"They are not tied directly; {len(answer.path)} ties lead from one to the other:")
        for tie in answer.path:
            output.line()
            output.line(f"  {printable(tie.a)} and {printable(tie.b)}, weight {tie.weight:.2f}")
            _show_reasons(output, tie, answer.organizations)
    _show_common(output, answer)


def _show_common(output: Output, answer: PairAnswer) -> None:
    """What both used without its making a tie."""
    tied = {reason.key for tie in answer.path if len(answer.path) == 1 for reason in tie.reasons}
    rest = [each for each in answer.common if each.key not in tied]
    if not rest:
        return
    output.line()
    output.paragraph(
        "Both also used what makes no tie (too common, too far apart, or a kind that ties nobody):"
    )
    for each in rest[:COMMON_SHOWN]:
        what = f"{each.kind.replace('_', ' ')} {printable(each.display)}"
        output.paragraph(f"- {what}: {rarity(each.organizations, answer.organizations)}", indent="    ")
    if len(rest) > COMMON_SHOWN:
        output.line(f"    and {len(rest) - COMMON_SHOWN:,} more")


def show_one(output: Output, answer: OneAnswer) -> None:
    """An organization's ties, as text."""
    row = answer.organization
    org_id = row["org_id"]
    output.line(printable(org_id), "bold")
    output.facts(
        [
            ("stands", _standing(row)),
            ("created", f"{moment(row['created_at'])} UTC" if row["created_at"] else "before the window"),
            (
                "active",
                f"{moment(row['first_at'])} to {moment(row['last_at'])} UTC, {number(row['events'])} events",
            ),
            ("cost", number(row["cost"], 2)),
        ]
    )
    if answer.admission is not None:
        _show_admission(output, answer.admission)
    output.heading("What ties it most")
    if not answer.ties:
        output.paragraph("Nothing ties it to anybody.")
        return
    columns = [Column("tied to", style="cyan"), Column("weight", number=True), Column("because they share")]
    rows = [
        [
            printable(tie.b if tie.a == org_id else tie.a),
            f"{tie.weight:.2f}",
            "; ".join(_short(reason) for reason in tie.reasons) or "-",
        ]
        for tie in answer.ties
    ]
    output.table(Table(columns, rows))
    if answer.total > len(rows):
        output.line(f"{len(rows):,} of {answer.total:,}; --limit shows more", "dim")


def _show_admission(output: Output, found: Standing) -> None:
    """May it be acted on without a person looking, and which ties decided."""
    output.heading("May it be acted on without a person looking?")
    output.paragraph(
        f"Yes. {found.words}" if found.actionable else f"No: {found.spared_reason}. {found.words}"
    )
    if not found.ties:
        return
    output.line()
    columns = [
        Column("decides"),
        Column("type"),
        Column("evidence"),
        Column("since"),
        Column("suspects", number=True),
        Column("all orgs", number=True),
        Column("identifier", style="cyan"),
    ]
    output.table(Table(columns, [_weighed(tie) for tie in found.ties[:TIES_SHOWN]]))
    if len(found.ties) > TIES_SHOWN:
        output.line(f"{TIES_SHOWN} of {len(found.ties):,}; --json has all", "dim")


def _weighed(tie: WeighedTie) -> list[str]:
    decides = "yes" if tie.decides else "counts" if tie.counts else "no"
    what = f"{tie.kind.replace('_', ' ')} {printable(tie.display)}"
    since = moment(tie.since)[:16] if isinstance(tie.since, datetime) else "-"
    return [
        decides,
        tie.type,
        tie.evidence_class,
        since,
        number(tie.suspects),
        number(tie.organizations),
        what,
    ]


def _standing(row: Row) -> str:
    if not row["cluster_id"]:
        return "in no cluster"
    return f"risk {number(row['member_risk'], 1)}, in cluster {row['cluster_id']}"


def _show_reasons(output: Output, tie: Tie, organizations: int) -> None:
    for reason in tie.reasons:
        output.paragraph(f"- {_sentence(tie, reason, organizations)}", indent="    ")


def _sentence(tie: Tie, reason: Reason, organizations: int) -> str:
    what = f"{reason.kind.replace('_', ' ')} {printable(reason.display)} ({reason.weight:.2f})"
    parts = [what]
    if isinstance(reason.a_at, datetime) and isinstance(reason.b_at, datetime):
        parts.append(
            f"{printable(tie.a)} used it at {moment(reason.a_at)}, {printable(tie.b)} at {moment(reason.b_at)}, "
            f"{span((reason.a_at - reason.b_at).total_seconds())} apart"
        )
    elif reason.gap_s is not None:
        parts.append(f"used {span(reason.gap_s)} apart")
    parts.append(rarity(reason.organizations, organizations))
    if reason.evidence_class in ("mutual", "verified"):
        parts.append(f"{reason.evidence_class}: one side alone could not have made it")
    return ": ".join([parts[0], "; ".join(part for part in parts[1:] if part)])


def rarity(sharing: int | None, organizations: int) -> str:
    """How special it is to share something: `only these two of 1,000 organizations used it`."""
    if sharing is None:
        return ""
    if sharing <= 2:
        return f"only these two of {number(organizations)} organizations used it"
    return f"{number(sharing)} of {number(organizations)} organizations used it"


def _short(reason: Reason) -> str:
    return f"{reason.kind.replace('_', ' ')} {printable(reason.display)}"


@group.command(
    epilog=examples("ringfence search org_1", "ringfence search 198.51.100.7", "ringfence search bob@")
)
def search(
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="An id, address, mailbox, name… or its beginning.")
    ],
    home: HomeOption = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many to show.")] = 20,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> int:
    """Find organizations, clusters and identifiers.

    Other spellings, look-alikes and beginnings are found, too. Secrets (API keys, cards, phones) are found when
    they are typed whole. Nothing found: exit 3.
    """
    from api.answers.search import search as find
    from api.stores import open_store

    output = Output(as_json)
    graph = open_store(Home.resolve(home), store)
    try:
        found = find(graph, text, limit)
    finally:
        graph.close()
    if as_json:
        output.json({"total": found.total, "matches": [asdict(match) for match in found.rows]})
    elif found.rows:
        columns = [
            Column("kind"),
            Column("match"),
            Column("orgs", number=True),
            Column("value", style="cyan"),
            Column("leads to"),
        ]
        output.table(Table(columns, [_found(match) for match in found.rows]))
        if found.total > len(found.rows):
            output.line(f"{len(found.rows):,} of {found.total:,}; --limit shows more", "dim")
    else:
        output.paragraph(
            "Nothing found. Values may be given by their beginning, but those that only one organization uses "
            "have to be given whole."
        )
    return 0 if found.rows else NOTHING


def _found(match: Match) -> list[str]:
    leads = ", ".join(printable(name) for name in match.organizations)
    if match.cluster is not None:
        leads = f"cluster {match.cluster}"
    elif match.count is not None and match.count > len(match.organizations):
        leads += ", …"
    return [match.kind, match.match, number(match.count), printable(match.display), leads]
