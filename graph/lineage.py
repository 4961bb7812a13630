"""What became of a cluster: its changes over the runs that are kept, and where an old id leads today."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from graph.errors import RingfenceError

_COLUMNS = ["cluster_id", "previous_id", "change", "jaccard", "as_of"]
_UNCHANGED = "kept"
_ENDED = "dissolved"
_ONWARD = ("merged", "split")


class UnknownClusterError(RingfenceError):
    """No run that is kept has the cluster."""


@dataclass(frozen=True)
class Change:
    """What one run did to a cluster.

    `change`: `born`; `grown`, `shrunk` or `changed` (members only); `split` (some members of `previous_id`, which
    goes on, are now in `cluster_id`); `merged` (`previous_id` ended, members of it are now in `cluster_id`);
    `dissolved`. `jaccard` is the overlap of the two, 0 to 1.
    """

    run_id: str
    as_of: datetime
    cluster_id: str
    previous_id: str | None
    change: str
    jaccard: float


@dataclass(frozen=True)
class Lineage:
    """The changes of a cluster and of those that it led to, oldest first, then by cluster and previous one.

    `alive` says whether the latest run has it, `successors` which other clusters of that run its members went to,
    `last_run` which run had it last (None when those runs are gone).
    """

    cluster_id: str
    changes: tuple[Change, ...]
    alive: bool
    successors: tuple[str, ...]
    last_run: str | None = None


@dataclass(frozen=True)
class _Run:
    run_id: str
    previous: str | None
    created_at: datetime
    folder: Path


def lineage(runs: Path, cluster_id: str, until: str | None = None) -> Lineage:
    """The lineage of a cluster over the runs in a folder. Runs that changed nothing about it are left out.

    `until` is the run that counts as the latest. Raises UnknownClusterError when no run knows the cluster,
    RingfenceError when a file cannot be read.
    """
    followed = {cluster_id}
    changes: list[Change] = []
    living: set[str] = set()
    last_run = None
    for run in _known_by(runs, until):
        rows, living = _rows(run, followed)
        followed |= {row["cluster_id"] for row in rows if row["change"] in _ONWARD}
        if cluster_id in living:
            last_run = run.run_id
        changes += [Change(run_id=run.run_id, **row) for row in rows if row["change"] != _UNCHANGED]
    if last_run is None and not changes:
        raise UnknownClusterError(
            f"no run that is kept has a cluster {cluster_id}",
            "List the clusters: ringfence clusters",
        )
    successors = tuple(sorted(followed & living - {cluster_id}))
    return Lineage(cluster_id, tuple(changes), cluster_id in living, successors, last_run)


def _rows(run: _Run, followed: set[str]) -> tuple[list[dict[str, Any]], set[str]]:
    """What a run did to the followed clusters and to those that they led to, and which of all these live."""
    path = run.folder / "lineage.parquet"
    try:
        table = pq.read_table(path, columns=_COLUMNS)
    except (OSError, pa.ArrowException) as error:
        raise RingfenceError(
            f"the file {path} cannot be read", "Delete its folder, then run again: ringfence run"
        ) from error
    led = pc.and_(
        pc.is_in(table["previous_id"], pa.array(followed, pa.string())),
        pc.is_in(table["change"], pa.array(_ONWARD)),
    )
    reached = pa.array(followed | set(table["cluster_id"].filter(led).to_pylist()), pa.string())
    about = pc.or_(pc.is_in(table["cluster_id"], reached), pc.is_in(table["previous_id"], reached))
    order = [(name, "ascending") for name in ("cluster_id", "previous_id", "change")]
    rows: list[dict[str, Any]] = table.filter(about).sort_by(order).to_pylist()
    return rows, {row["cluster_id"] for row in rows if row["change"] != _ENDED}


def _known_by(runs: Path, until: str | None) -> Sequence[_Run]:
    """The runs that had served when `until` was made, and itself, oldest first."""
    found = sorted(_finished(runs), key=lambda run: (run.created_at, run.run_id))
    if until is None:
        return _serving(found)
    places = [run.run_id for run in found]
    if until not in places:
        raise RingfenceError(f"there is no run {until!r}", "List them: ringfence runs", exit_code=2)
    last = found[places.index(until)]
    return [run for run in _serving(found) if run.created_at < last.created_at] + [last]


def _serving(found: Sequence[_Run]) -> Sequence[_Run]:
    """Those of all runs that served: one that a later run started over from the same place did not."""
    continued = {run.previous for run in found}
    last = {run.previous: run.run_id for run in found}
    return [run for run in found if run.run_id in continued or last[run.previous] == run.run_id]


def _finished(runs: Path) -> Iterator[_Run]:
    for path in runs.glob("run_*/manifest.json"):
        try:
            manifest: Mapping[str, Any] = json.loads(path.read_bytes())
            created = datetime.fromisoformat(manifest["created_at"])
            yield _Run(manifest["run_id"], manifest["previous"], created, path.parent)
        except (OSError, ValueError, KeyError) as error:
            raise RingfenceError(
                f"the manifest {path} cannot be read", "Delete its folder, then run again: ringfence run"
            ) from error
