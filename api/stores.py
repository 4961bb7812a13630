"""Which home of the graph is meant, and how a run gets there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from api.progress import Progress, silent
from api.settings import load_settings
from graph.errors import RingfenceError
from graph.home import Home
from graph.stores import STORES

if TYPE_CHECKING:
    from detection.runs import RunFiles
    from graph.store import GraphStore

VARIABLE = "RINGFENCE_STORE"


def chosen(name: str | None = None) -> str:
    """The store that is meant: `name`, else `RINGFENCE_STORE`, else sqlite.

    Raises RingfenceError (exit 2) for an unknown one.
    """
    wanted = name or os.environ.get(VARIABLE) or STORES[0]
    if wanted not in STORES:
        where = "" if name else f" (from {VARIABLE})"
        raise RingfenceError(
            f"there is no graph store {wanted!r}{where}", f"Choose one of: {', '.join(STORES)}.", exit_code=2
        )
    return wanted


def open_store(home: Home, name: str | None = None) -> GraphStore:
    """The store that is meant, with the leaves of the run that it shows.

    Raises RingfenceError (exit 3) where none has been published.
    """
    from graph.facts import FactsReader
    from graph.leaf_store import WithLeaves
    from graph.run_index import LeafIndex
    from graph.stores import open_store as opened

    store = opened(chosen(name), home)
    run_id = store.run_id()
    if run_id is None:
        store.close()
        raise RingfenceError("no graph has been published yet", "Run 'ringfence run' first.", exit_code=3)
    folder = home.runs / run_id
    return WithLeaves(store, LeafIndex(folder, FactsReader(home).value_files()), folder)


class Publisher:
    """Shows a finished run in a graph store; `whole` writes all of it, whatever the store holds already."""

    def __init__(self, home: Home, store: str, *, whole: bool = False) -> None:
        self._home = home
        self._store = store
        self._whole = whole

    def check(self) -> None:
        """Raises RingfenceError where the store cannot be reached, before hours were spent on what it is to show."""
        with _opened(self._home, self._store) as store:
            store.run_id()

    def publish(self, run: RunFiles, progress: Progress) -> None:
        """See `detection.run.Publisher`."""
        from detection.index import index
        from graph.copying import WholeView
        from graph.facts import FactsReader
        from graph.run_index import forget_leaves
        from graph.view import RunView

        index(self._home, run, load_settings(self._home).detection, progress)
        values = FactsReader(self._home).value_files()
        shown = WholeView if self._whole else RunView
        view = shown(run.folder, run.manifest.run_id, run.manifest.as_of, values, progress)
        with _opened(self._home, self._store) as store:
            store.migrate()
            store.publish(view, progress)
        forget_leaves(self._home.runs, keep=run.manifest.run_id)


def rebuild(home: Home, name: str | None = None, progress: Progress = silent) -> str:
    """Publish the current run again, from its files and the facts; returns its id."""
    from detection.run import alone
    from detection.runs import Runs

    run = Runs(home).open()
    with alone(home):
        Publisher(home, chosen(name), whole=True).publish(run, progress)
    return run.manifest.run_id


def copy_graph(home: Home, source: str | None, target: str, progress: Progress = silent) -> str:
    """Copy what one store shows, with the statuses, into another; returns the run's id."""
    from graph.copying import copy

    wanted, place = chosen(source), chosen(target)
    if wanted == place:
        raise RingfenceError(
            f"the graph is in {place} already",
            "Name another store with --to, or another source with --from.",
            exit_code=2,
        )
    with _opened(home, wanted) as before, _opened(home, place) as after:
        return copy(before, after, progress)


@contextmanager
def _opened(home: Home, name: str) -> Iterator[GraphStore]:
    from graph.stores import open_store as opened

    store = opened(name, home)
    try:
        yield store
    finally:
        store.close()
