"""What became of a cluster: its changes over the runs that are kept, and where an old id leads today."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from graph.errors import RingfenceError

_COLUMNS = ["cluster_id", "previous_id", "change", "jaccard", "as_of"]
_UNCHANGED = "kept"
_ENDED = "dissolved"
_ONWARD = ("merged", "split")


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

    `alive` says whether the latest run has it, `successors` which other clusters of that run its members went to.
    """

    cluster_id: str
    changes: tuple[Change, ...]
    alive: bool
    successors: tuple[str, ...]


@dataclass(frozen=True)
class _Run:
    run_id: str
    previous: str | None
    created_at: datetime
    folder: Path


def lineage(runs: Path, cluster_id: str) -> Lineage:
    """The lineage of a cluster over the runs in a folder. Runs that changed nothing about it are left out.

    Raises RingfenceError when no run knows the cluster, or a file cannot be read.
    """
    followed = {cluster_id}
    changes: list[Change] = []
    living: set[str] = set()
    known = False
    for run in _serving(runs):
        rows = _rows(run)
        living = {row["cluster_id"] for row in rows if row["change"] != _ENDED}
        known |= cluster_id in living
        for row in rows:
            if row["change"] in _ONWARD and row["previous_id"] in followed:
                followed.add(row["cluster_id"])
        changes += [
            Change(run_id=run.run_id, **row)
            for row in rows
            if row["change"] != _UNCHANGED
            and (row["cluster_id"] in followed or row["previous_id"] in followed)
        ]
    if not known and not changes:
        raise RingfenceError(
            f"no run that is kept has a cluster {cluster_id}",
            "List the clusters: ringfence clusters",
            exit_code=2,
        )
    successors = tuple(sorted(followed & living - {cluster_id}))
    return Lineage(cluster_id, tuple(changes), cluster_id in living, successors)


def _rows(run: _Run) -> list[dict[str, Any]]:
    path = run.folder / "lineage.parquet"
    try:
        table = pq.read_table(path, columns=_COLUMNS)
    except (OSError, pa.ArrowException) as error:
        raise RingfenceError(
            f"the file {path} cannot be read", "Delete its folder, then run again: ringfence run"
        ) from error
    order = [(name, "ascending") for name in ("cluster_id", "previous_id", "change")]
    rows: list[dict[str, Any]] = table.sort_by(order).to_pylist()
    return rows


def _serving(runs: Path) -> Sequence[_Run]:
    """The runs that served, oldest first: one that a later run started over from the same place did not."""
    found = sorted(_finished(runs), key=lambda run: (run.created_at, run.run_id))
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
