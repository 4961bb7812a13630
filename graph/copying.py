"""Graphs that are published whole: again, or from one home of the graph to another."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pyarrow as pa

from graph.errors import RingfenceError
from graph.store import GraphChanges, GraphStore, NodeRef, Progress, quiet
from graph.view import RunView


class StoredView:
    """What a store shows, as a GraphView that can be published elsewhere. The store stays open meanwhile.

    Raises RingfenceError when another run is published into the store before all of it was read.
    """

    def __init__(self, store: GraphStore) -> None:
        """Raises RingfenceError where the store shows no run."""
        run_id = store.run_id()
        if run_id is None:
            raise RingfenceError("there is no graph to copy", "Publish one first: ringfence run", exit_code=3)
        self._store = store
        self._run_id = run_id

    @property
    def run_id(self) -> str:
        """See `GraphView.run_id`."""
        return self._run_id

    def nodes(self, label: str) -> Iterator[pa.RecordBatch]:
        """See `GraphView.nodes`."""
        return self._scan(label)

    def relationships(self, name: str) -> Iterator[pa.RecordBatch]:
        """See `GraphView.relationships`."""
        return self._scan(name)

    def _scan(self, name: str) -> Iterator[pa.RecordBatch]:
        yield from self._store.scan(name)
        if self._store.run_id() != self._run_id:
            raise RingfenceError("the graph was replaced while it was copied", "Copy it again.")

    def changes_since(self, run_id: str) -> GraphChanges | None:  # noqa: ARG002  # see GraphView
        """None: a store remembers one run only."""
        return None


class WholeView(RunView):
    """A run that is published whole, whatever the store holds already."""

    def changes_since(self, run_id: str) -> GraphChanges | None:  # noqa: ARG002  # see GraphView
        """None."""
        return None


def copy(source: GraphStore, target: GraphStore, progress: Progress = quiet) -> str:
    """Make `target` show what `source` does, statuses included; returns the run's id.

    Until it is complete, the target shows what it did before.
    """
    view = StoredView(source)
    target.migrate()
    target.publish(view, progress)
    copy_statuses(source, target)
    return view.run_id


def copy_statuses(source: GraphStore, target: GraphStore) -> int:
    """Give organizations the statuses that they have in `source`; returns how many of them exist in `target`."""
    alike: dict[tuple[str, datetime], list[NodeRef]] = {}
    for row in source.statuses().to_pylist():
        organization = NodeRef("Organization", row["key"].hex())
        alike.setdefault((row["status"], row["status_at"]), []).append(organization)
    return sum(target.set_status(some, status, at) for (status, at), some in alike.items())
