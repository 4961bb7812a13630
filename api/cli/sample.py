"""`ringfence sample`: the audit that grades rest on, drawn at random and reviewed by two people."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli._options import HomeOption, JsonOption, at_home, examples, help_if_bare
from api.output import Column, Output, Table, moment, number, one_of, printable
from graph.errors import RingfenceError
from graph.home import Home

if TYPE_CHECKING:
    from detection.grades import Grade
    from detection.samples import Sample

ORDER = 82
group = typer.Typer()
verbs = typer.Typer(help="Draw, review and grade a random sample of actionable members.")
verbs.callback(invoke_without_command=True)(help_if_bare)
group.add_typer(verbs, name="sample")

VERDICTS = ("abusive", "legitimate")
SIZE = 100

SampleArgument = Annotated[
    str, typer.Argument(metavar="SAMPLE", help="A sample's id, as 'list' shows it, or 'latest'.")
]


@verbs.command(
    epilog=examples(
        "ringfence sample draw", "ringfence sample draw --size 300", "ringfence sample draw --seed 7"
    )
)
def draw(
    size: Annotated[int, typer.Option(min=1, max=100_000, help="How many members.")] = SIZE,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Draw the same again; default: a new secret number.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Draw actionable members of the current run for review.

    One member of each cluster before a second of any; the more it consumes, the likelier it is drawn. The sample is
    frozen in the home's folder samples/. Nobody to draw is exit 3.
    """
    from datetime import UTC, datetime

    from detection.runs import Runs
    from detection.samples import Samples

    output = Output(as_json)
    place = Home.resolve(home)
    drawn = Samples(place).add(Runs(place).open(), size, seed, datetime.now(UTC))
    if as_json:
        output.json(drawn.model_dump(mode="json"))
        return 0
    clusters = len({member.cluster_id for member in drawn.members})
    output.line(drawn.sample_id, "bold")
    output.facts(
        [
            ("drawn", f"{number(len(drawn.members))} members of {number(clusters)} clusters"),
            ("of", f"{number(drawn.actionable)} actionable members of {number(drawn.clusters)} clusters"),
            ("run", drawn.run_id),
            ("seed", str(drawn.seed)),
        ]
    )
    output.line()
    output.line(
        f"Next, two people each, on their own: ringfence sample show {drawn.sample_id}{at_home(home)}"
    )
    return 0


@verbs.command("list", epilog=examples("ringfence sample list", "ringfence sample list --json"))
def list_samples(home: HomeOption = None, as_json: JsonOption = False) -> int:
    """List samples, the oldest first, and how far their review is."""
    from detection.samples import Samples

    output = Output(as_json)
    samples = Samples(Home.resolve(home))
    rows = [_progress(each, samples.verdicts(each)) for each in samples.all()]
    if as_json:
        output.json({"samples": rows})
    elif not rows:
        output.line("No samples. Draw one: ringfence sample draw")
    else:
        columns = [
            Column("sample", style="cyan"),
            Column("drawn"),
            Column("members", number=True),
            Column("clusters", number=True),
            Column("reviews missing", number=True),
        ]
        shown = [
            [
                row["sample_id"],
                moment(row["created_at"])[:16],
                number(row["members"]),
                number(row["clusters"]),
                number(row["missing"]),
            ]
            for row in rows
        ]
        output.table(Table(columns, shown))
    return 0


def _progress(each: Sample, verdicts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "sample_id": each.sample_id,
        "created_at": each.created_at,
        "run_id": each.run_id,
        "members": len(each.members),
        "clusters": len({member.cluster_id for member in each.members}),
        "missing": sum(max(0, 2 - len(said)) for said in verdicts.values()),
    }


@verbs.command(
    epilog=examples(
        "ringfence sample show smp_0a1b2c3d4e",
        "ringfence sample show smp_0a1b2c3d4e --reviewer amy",
        "ringfence sample show smp_0a1b2c3d4e --reviewer amy -o amy.csv",
    )
)
def show(
    sample_id: SampleArgument,
    reviewer: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only what this one has still to review.")
    ] = None,
    target: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A form to fill in (CSV), for decide --from; '-' is stdout.",
        ),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Show whom to review, in order, and how many have; not what they said.

    Open each with 'ringfence why ORG', decide on your own, and say why.
    """
    from detection.samples import Samples

    output = Output(as_json)
    samples = Samples(Home.resolve(home))
    chosen = samples.open(sample_id)
    verdicts = samples.verdicts(chosen)
    name = None if reviewer is None else " ".join(reviewer.split()).casefold()
    rows: list[dict[str, Any]] = [
        {
            "place": member.place,
            "org_id": member.org_id,
            "cluster_id": member.cluster_id,
            "reviews": len(verdicts[member.org_id]),
        }
        for member in chosen.members
        if name is None or name not in verdicts[member.org_id]
    ]
    if target is not None:
        return _write_form(output, rows, reviewer or "", target)
    if as_json:
        output.json({**_progress(chosen, verdicts), "order": rows})
        return 0
    columns = [
        Column("#", number=True),
        Column("organization", style="cyan"),
        Column("cluster"),
        Column("reviews", number=True),
    ]
    shown = [
        [str(row["place"]), printable(row["org_id"]), row["cluster_id"], str(row["reviews"])] for row in rows
    ]
    output.table(Table(columns, shown))
    return 0


def _write_form(output: Output, rows: list[dict[str, Any]], reviewer: str, target: Path) -> int:
    if output.as_json and str(target) == "-":
        raise RingfenceError(
            "standard output is either the form or JSON", "Name a file: -o FILE", exit_code=2
        )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["org_id", "cluster_id", "verdict", "reviewer", "reason"])
    writer.writerows([row["org_id"], row["cluster_id"], "", reviewer, ""] for row in rows)
    if str(target) == "-":
        sys.stdout.write(text.getvalue())
        return 0
    try:
        target.write_text(text.getvalue(), encoding="utf-8")
    except OSError as error:
        raise RingfenceError(
            f"cannot write {target}: {error.strerror or error}", "Name another file with -o."
        ) from error
    if output.as_json:
        output.json({"file": str(target), "members": len(rows)})
    else:
        output.line(f"{printable(str(target))}: {number(len(rows))} members to review")
    return 0


@verbs.command(
    epilog=examples(
        'ringfence sample decide smp_0a1b2c3d4e org_1 abusive --reviewer amy --reason "same card, same hour"',
        "ringfence sample decide smp_0a1b2c3d4e --from amy.csv",
    )
)
def decide(
    sample_id: SampleArgument,
    organization: Annotated[str | None, typer.Argument(metavar="ORG", help="A member of the sample.")] = None,
    verdict: Annotated[str | None, typer.Argument(metavar="VERDICT", help="abusive or legitimate.")] = None,
    reviewer: Annotated[str | None, typer.Option(metavar="NAME", help="Who decides.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why: others will read it.")] = None,
    file: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="CSV or NDJSON: org_id, verdict, reviewer, reason; rows without a verdict are skipped.",
        ),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Store what a reviewer says of members of a sample.

    Two reviewers a member; where they are divided, a third one settles it. A reviewer's latest word counts.
    """
    from datetime import UTC, datetime

    from api.decision_files import read_rows
    from detection.samples import Samples

    given = {"org_id": organization, "verdict": verdict, "reviewer": reviewer, "reason": reason}
    words = {name: value for name, value in given.items() if value is not None}
    if file is None:
        _require_whole(words)
        rows = [words]
    else:
        if set(words) - {"reviewer"}:
            raise RingfenceError(
                "give either --from FILE or one decision", "Leave the other words out.", exit_code=2
            )
        found = read_rows(file, ("org_id", "verdict", "reason"), ("reviewer",))
        rows = [words | row for row in found if row.get("verdict")]
    samples = Samples(Home.resolve(home))
    stored = samples.decide(sample_id, rows, datetime.now(UTC))
    output = Output(as_json)
    chosen = samples.open(sample_id)
    missing = _progress(chosen, samples.verdicts(chosen))["missing"]
    if as_json:
        output.json(
            {
                "stored": len(stored),
                "missing": missing,
                "reviews": [each.model_dump(mode="json") for each in stored],
            }
        )
        return 0
    output.line(
        f"{number(len(stored))} reviews are stored; {number(missing)} are missing in {chosen.sample_id}."
    )
    output.line(f"Next: ringfence sample grade{at_home(home)}")
    return 0


def _require_whole(words: dict[str, str]) -> None:
    names = {"org_id": "ORG", "verdict": "VERDICT", "reviewer": "--reviewer NAME", "reason": "--reason TEXT"}
    missing = [shown for name, shown in names.items() if not words.get(name, "").strip()]
    if missing:
        raise RingfenceError(
            f"{' and '.join(missing)} is missing", "Or give many with --from FILE.", exit_code=2
        )
    one_of(words["verdict"], VERDICTS, "verdict")


@verbs.command(epilog=examples("ringfence sample grade", "ringfence sample grade --json"))
def grade(home: HomeOption = None, as_json: JsonOption = False) -> int:
    """Grade actionable members by the reviews, and say how many are missing.

    By cluster, with lower bounds at 95%. Only samples of the current rules and of the last 90 days count, and within
    each the reviews up to the first gap.
    """
    from detection.grades import grade as graded

    output = Output(as_json)
    found = graded(Home.resolve(home))
    if as_json:
        output.json({"grade": found.level, **found.as_plain()})
        return 0
    show_grade(output, found)
    return 0


def show_grade(output: Output, found: Grade) -> None:
    """A grade as a few lines."""
    from detection.grades import in_words

    first, *more = in_words(found)
    output.line(first, "bold")
    for line in more:
        output.line(f"  {line}")
    if found.tally.waiting:
        output.line(
            f"  {number(found.tally.waiting)} reviews are missing in the samples that are open;"
            f" {number(found.tally.ahead)} given after a gap do not count yet"
        )
