"""The composition root of the commands: builds what an operation needs and hands it over.

Everything heavy is imported inside the functions, so that `ringfence --help` stays quick.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.progress import Progress, silent
from api.settings import load_settings
from graph.errors import RingfenceError
from graph.home import Home

NO_STORE = "none"

if TYPE_CHECKING:
    from api.answers.reading import RunReader
    from graph.export import Exported
    from ingest.report import IngestReport


def detect(
    home: Home,
    *,
    as_of: datetime | None = None,
    store: str | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Run detection over the home's facts and return the new run's manifest.

    `store` is the graph store that shows it (see `api.stores`), or `none`.
    """
    from api.stores import Publisher, chosen
    from detection.run import run
    from graph.facts import FactsReader

    if not FactsReader(home).event_files():
        raise RingfenceError(
            f"{home.path} holds no events yet",
            "Give it some: ringfence ingest FILE, or try: ringfence demo",
            exit_code=3,
        )
    settings = load_settings(home)
    publisher = None if store == NO_STORE else Publisher(home, chosen(store))
    if publisher is not None:
        publisher.check()
    finished = run(
        home,
        settings.detection,
        sources=settings.sources,
        as_of=as_of,
        publisher=publisher,
        progress=progress,
    )
    return manifest_of(finished.manifest)


def manifest_of(manifest: Any) -> dict[str, Any]:
    """A manifest as plain values."""
    plain: dict[str, Any] = manifest.model_dump(mode="json")
    return plain


def list_runs(home: Home) -> tuple[list[dict[str, Any]], str | None]:
    """The manifests of the home's runs, the newest first, and the current run's id."""
    from detection.runs import Runs

    runs = Runs(home)
    listed = [manifest_of(manifest) for manifest in runs.list()]
    listed.sort(key=lambda each: (each["as_of"], each["created_at"]), reverse=True)
    return listed, runs.current()


def simulate_campaign(
    target: Path,
    organizations: int,
    seed: int,
    difficulty: str,
    progress: Progress = silent,
    *,
    abusive_share: float = 0.05,
    attack_days: int | None = None,
) -> dict[str, Any]:
    """Write a campaign to `target` and return what it holds."""
    from sim.campaigns import Campaign, simulate

    try:
        campaign = Campaign(
            organizations=organizations,
            seed=seed,
            difficulty=difficulty,  # type: ignore[arg-type]  # checked by Campaign itself
            abusive_share=abusive_share,
            attack_days=attack_days,
        )
        summary = simulate(campaign, target, progress)
    except ValueError as error:
        raise RingfenceError(str(error), "See: ringfence simulate --help", exit_code=2) from error
    except OSError as error:
        raise RingfenceError(
            f"cannot write to {target}: {error.strerror or error}", "Name another folder with -o."
        ) from error
    return asdict(summary)


def ingest_files(
    home: Home,
    paths: Sequence[str],
    *,
    source: str = "default",
    mapping: str | None = None,
    form: str | None = None,
    progress: Progress = silent,
) -> IngestReport:
    """Store the events of files, folders, globs or standard input (`-`); `mapping` is a file or a recipe."""
    from graph.home import load_pepper
    from ingest.job import ingest
    from ingest.mapping import load_mapping

    settings = load_settings(home)
    return ingest(
        home,
        paths,
        source=source,
        mapping=None if mapping is None else load_mapping(mapping),
        settings=settings.ingest,
        pepper=load_pepper(),
        progress=progress,
        format=form,
    )


def retry_quarantine(home: Home, mapping: str | None, progress: Progress = silent) -> IngestReport:
    """Try every quarantined row again, with another mapping if one is given."""
    from graph.home import load_pepper
    from ingest.mapping import load_mapping
    from ingest.quarantine import Quarantine

    return Quarantine(home).retry(
        settings=load_settings(home).ingest,
        pepper=load_pepper(),
        mapping=None if mapping is None else load_mapping(mapping),
        progress=progress,
    )


def write_export(
    run: RunReader, what: str, form: str, target: Path, *, cluster_id: str | None, min_risk: float
) -> Exported:
    """Write members, clusters or the graph of a run to a file; an unknown cluster is an error."""
    from api.answers.reading import require
    from graph.export import export_clusters, export_members
    from graph.export_graph import export_graph
    from graph.facts import FactsReader

    if cluster_id is not None:
        known = run.one("clusters", "cluster_id", cluster_id)
        require(known, f"cluster {cluster_id}", "'ringfence clusters' lists the clusters of a run.")
    folder = run.files.folder
    if what == "graph":
        values = FactsReader(run.home).value_files()
        return export_graph(folder, values, target, form, cluster_id=cluster_id, min_risk=min_risk)
    write = export_members if what == "members" else export_clusters
    return write(folder, target, form, cluster_id=cluster_id, min_risk=min_risk)
