"""Brings a finished run's groups back, with what members did until then, so that a detector can be tried on them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from detection.decisions import Decisions
from detection.engines.duckdb import Engine
from detection.evidence import groups
from detection.run import bring_back
from detection.runs import UNFINISHED, Manifest, RunFiles, Runs
from detection.scorecards import Scorecards
from detection.scoring import Scorecard
from detection.settings import DetectionSettings, SourceSettings
from graph.home import Home

MOST_RUNS = 8
"""Each costs about as much as the run itself did up to its signals."""


@dataclass(frozen=True)
class Past:
    """One finished run, its members in the engine again.

    `clusters` are its ids, in the order of the numbers that they have in `members`, with their `points`, `risk` and
    `sizes`; `org_ids` the organizations by number; `decisions` what was decided about them until then.
    """

    files: RunFiles
    engine: Engine
    clusters: list[str]
    points: npt.NDArray[np.float64]
    risk: npt.NDArray[np.float64]
    sizes: npt.NDArray[np.int64]
    org_ids: list[str]
    decisions: Decisions

    @property
    def small(self) -> bool:
        """Whether the population is too small for baselines of its own."""
        return len(self.org_ids) < int(self.files.manifest.settings.get("small_population", 0))


def chosen(runs: Runs, days: int) -> list[Manifest]:
    """The current run, and the last run of each of so many days before it, the newest first, at most `MOST_RUNS`."""
    current = runs.open().manifest
    since = current.as_of - timedelta(days=days)
    by_day: dict[str, Manifest] = {}
    for manifest in sorted(runs.list(), key=lambda one: (one.as_of, one.created_at)):
        if since <= manifest.as_of and manifest.as_of.date() < current.as_of.date():
            by_day[manifest.as_of.date().isoformat()] = manifest
    before = [by_day[day] for day in sorted(by_day, reverse=True)]
    if len(before) > MOST_RUNS - 1:
        places = np.linspace(0, len(before) - 1, MOST_RUNS - 1).round().astype(int)
        before = [before[place] for place in places]
    return [current, *before]


@contextmanager
def brought_back(
    home: Home,
    manifest: Manifest,
    settings: DetectionSettings,
    sources: Mapping[str, SourceSettings],
    without: str = "",
) -> Iterator[Past]:
    """The groups of a run, as of its time, in an engine of their own; random groups are drawn as runs draw them.

    Points and risk are those that clusters had `without` the signal of that name. Whoever calls must hold the home.
    """
    with (
        tempfile.TemporaryDirectory(prefix=f"{UNFINISHED}backtest-", dir=home.runs) as scratch,
        Engine(settings.engine, Path(scratch)) as engine,
    ):
        found, decisions = bring_back(engine, home, settings, sources, manifest.as_of, Path(scratch))
        run = Runs(home).open(manifest.run_id)
        past = _past(run, engine, found["org_id"].to_pylist(), decisions, settings)
        yield _without(past, without, Scorecards(home).active())


def _past(
    files: RunFiles, engine: Engine, org_ids: list[str], decisions: Decisions, settings: DetectionSettings
) -> Past:
    found = files.table("clusters", ["cluster_id", "points", "risk", "size"]).sort_by("cluster_id")
    members = files.table("members", ["org_id", "cluster_id"])
    orgs = _positions(members["org_id"], org_ids)
    clusters = _positions(members["cluster_id"], found["cluster_id"].to_pylist())
    membership = np.full(len(org_ids), -1, dtype=np.int64)
    there = (orgs >= 0) & (clusters >= 0)
    membership[orgs[there]] = clusters[there]
    engine.register("members", groups(membership, settings))
    return Past(
        files=files,
        engine=engine,
        clusters=found["cluster_id"].to_pylist(),
        points=found["points"].to_numpy(),
        risk=found["risk"].to_numpy(),
        sizes=found["size"].to_numpy(),
        org_ids=org_ids,
        decisions=decisions,
    )


def _without(past: Past, signal: str, card: Scorecard) -> Past:
    """The same run, had the signal not counted: a detector must not be judged by risk that it made itself."""
    counted = past.files.table(
        "evidence", ["cluster_id", "points"], [("signal", "=", signal), ("points", "!=", 0)]
    )
    if len(counted) == 0:
        return past
    points = past.points.copy()
    points[_positions(counted["cluster_id"], past.clusters)] -= counted["points"].to_numpy()
    return replace(past, points=points, risk=card.risk(points))


def _positions(values: pa.ChunkedArray, among: list[str]) -> npt.NDArray[np.int64]:
    """Where each value stands in a list, -1 where it does not."""
    places = {name: place for place, name in enumerate(among)}
    return np.array([places.get(value, -1) for value in values.to_pylist()], dtype=np.int64)
