"""`ringfence demo`: the incident in small, from raw events to an explained cluster, by itself."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli._options import JsonOption, StoreOption, at_home, examples
from api.cli.clusters import quoted, show_cluster, show_ranking
from api.cli.run import show_run
from api.cli.simulate import show_comparison
from api.cli.why import show_pair
from api.output import Output, number
from api.progress import Progress, progress
from graph.errors import RingfenceError
from graph.home import Home

if TYPE_CHECKING:
    from api.answers.clusters import Ranking
    from api.answers.reading import RunReader
    from sim.report import EvaluationReport

ORDER = 10
group = typer.Typer()

MARKER = ".ringfence-demo"
SHOWN = 10
ABUSIVE_SHARE = 0.2
ATTACK_DAYS = 3
"""The incident: a fifth synthetic, within three days."""


@group.command(
    epilog=examples(
        "ringfence demo",
        "ringfence demo --organizations 5000 --seed 7 --home /tmp/try",
        "ringfence demo --store neo4j",
    )
)
def demo(
    home: Annotated[Path, typer.Option("--home", metavar="DIR", help="Folder of the demo.")] = Path(".demo"),
    organizations: Annotated[
        int, typer.Option(min=1000, help="How many in all; a fifth is synthetic.")
    ] = 100_000,
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another campaign.")] = 1,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> int:
    """Simulate a campaign, find it, explain it, judge it.

    20,000 synthetic organizations over three days among 80,000 genuine ones, as raw events: ingested, linked,
    clustered, scored, and compared with the truth. Starts afresh each time, in a folder of its own.
    """
    from api.answers.clusters import Ranking, ranked
    from api.stores import Publisher, chosen

    output = Output(as_json)
    place = Home(home.expanduser().absolute())
    begin = time.monotonic()
    Publisher(place, chosen(store)).check()
    _fresh(place.path)
    with progress(quiet=as_json) as reporter:
        manifest, reader, report = _work(place, organizations, seed, store, reporter)
    ranking = ranked(reader, SHOWN)
    if as_json:
        output.json(
            {
                "home": str(place.path),
                "run": manifest,
                "clusters": ranking.rows,
                "evaluation": report.to_dict(),
            }
        )
        return 0
    output.heading("The run")
    show_run(output, manifest)
    output.heading(f"The clusters, by risk (the first {SHOWN} of {number(ranking.total)})")
    show_ranking(output, Ranking(ranking.rows, len(ranking.rows)))
    _open_first(output, reader, ranking, home)
    output.heading("Against the truth")
    show_comparison(output, report)
    _what_next(output, ranking, home, time.monotonic() - begin)
    return 0


def _work(
    home: Home, organizations: int, seed: int, store: str | None, reporter: Progress
) -> tuple[dict[str, Any], RunReader, EvaluationReport]:
    from api.answers.reading import RunReader
    from api.services import detect, ingest_files, simulate_campaign
    from sim.evaluate import evaluate

    campaign = home.path / "campaign"
    simulate_campaign(
        campaign, organizations, seed, "plain", reporter, abusive_share=ABUSIVE_SHARE, attack_days=ATTACK_DAYS
    )
    ingest_files(home, [str(campaign / "events.parquet")], progress=reporter)
    manifest = detect(home, store=store, progress=reporter)
    report = evaluate(home, campaign / "truth.parquet", progress=reporter)
    return manifest, RunReader.open(home, None), report


def _fresh(folder: Path) -> None:
    """An empty folder with our mark. One without the mark is somebody else's, and is left alone."""
    if folder.exists() and not (folder / MARKER).exists() and any(folder.iterdir()):
        raise RingfenceError(
            f"{folder} exists and is no demo",
            "The demo deletes its folder first: name another one with --home.",
        )
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True, mode=0o700)
        (folder / MARKER).write_text("Made by 'ringfence demo', which deletes this folder when it starts.\n")
    except OSError as error:
        raise RingfenceError(
            f"cannot make {folder}: {error.strerror}", "Name another folder with --home."
        ) from error


def _open_first(output: Output, reader: RunReader, ranking: Ranking, home: Path) -> None:
    from api.answers.clusters import opened
    from api.answers.pairs import pair

    if not ranking.rows:
        return
    first = ranking.rows[0]["cluster_id"]
    output.heading(f"The first one opened: ringfence cluster {first}{at_home(home)}")
    found = opened(reader, first, members=5, shared=5)
    show_cluster(output, found, first, at_home(home))
    if found.strongest_pair is not None:
        a, b = found.strongest_pair
        output.heading(f"Two of its members: ringfence why {quoted(a)} {quoted(b)}{at_home(home)}")
        show_pair(output, pair(reader, a, b))


def _what_next(output: Output, ranking: Ranking, home: Path, seconds: float) -> None:
    output.heading(f"Done in {seconds:.0f} s. What to try next")
    if ranking.rows:
        last = ranking.rows[-1]["cluster_id"]
        output.line(f"  ringfence cluster {last}{at_home(home)}")
        output.line(
            f"  ringfence export graph --cluster {last} --format graphml -o ring.graphml{at_home(home)}"
        )
    output.line(f"  ringfence clusters --limit 50{at_home(home)}")
    output.line(f"  ringfence evaluate --truth {home / 'campaign' / 'truth.parquet'}{at_home(home)}")
    output.line("  ringfence simulate --organizations 20000 --difficulty mimic --output campaign")
    output.line("  ringfence ingest YOUR-EVENTS.ndjson     (README.md says what a row looks like)")
