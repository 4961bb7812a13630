"""Runs: which there are, and what one was made from."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from api.http.guard import Routes
from api.http.problems import not_found
from api.reads import Reads
from api.routes.needs import ReadsOf
from api.schemas.base import Page
from api.schemas.runs import Run, RunDetail
from api.services import list_runs as every_run

routes = Routes("runs")
CURRENT = "current"
Listed = list[dict[str, object]]


@routes.reads("/runs")
def list_runs(reads: ReadsOf) -> Page[Run]:
    """Every run that is kept, the newest first."""
    listed, current = _runs(reads)
    return Page(items=[Run.of(manifest, current) for manifest in listed], total=len(listed))


@routes.reads("/runs/{run_id}")
def get_run(
    reads: ReadsOf,
    run_id: Annotated[
        str,
        Path(
            pattern=r"^(current|run_[A-Za-z0-9_]{1,80})$",
            description="A run's id, or `current`.",
            examples=["current"],
        ),
    ],
) -> RunDetail:
    """One run with its manifest."""
    listed, current = _runs(reads)
    wanted = current if run_id == CURRENT else run_id
    for manifest in listed:
        if manifest["run_id"] == wanted:
            return RunDetail(run=Run.of(manifest, current), manifest=manifest)
    raise not_found(f"run {run_id}", "See /v1/runs.")


def _runs(reads: Reads) -> tuple[list[dict[str, object]], str | None]:
    """The manifests, read again only when a run came or went; the run that is shown."""
    folders = tuple(sorted(path.name for path in reads.home.runs.glob("run_*")))
    listed, _ = reads.kept("runs", folders, lambda: every_run(reads.home))
    return listed, reads.run_id()
