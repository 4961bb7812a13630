"""What a serving process keeps open: a graph store for each thread, and the run in memory.

Each thread has its own connection, because a connection is for one thread. When another run is published, the one
in memory serves until the new one has been read beside it: no request waits for that.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar
from weakref import WeakSet

from api.answers.reading import RunReader
from api.answers.resident import Resident
from api.http.problems import Problem, not_found
from api.kept import Kept
from api.stores import chosen
from detection.runs import MANIFEST
from graph.errors import RingfenceError
from graph.facts import FactsReader
from graph.home import Home, load_pepper
from graph.leaf_store import WithLeaves
from graph.lookup import keys_of, organization_ref
from graph.run_index import LeafIndex
from graph.store import GraphStore, KeysOf, Node
from graph.stores import open_store

T = TypeVar("T")


@dataclass
class _Opened:
    """One thread's stores; `leaves` belong to the run `run_id`, whose files are of this `version`."""

    store: GraphStore
    run_id: str
    version: int
    leaves: WithLeaves


class Reads:
    """Reading access to one home, for many threads."""

    def __init__(self, home: Home, store: str | None = None) -> None:
        self.home = home
        self.store_name = chosen(store)
        self._threads = threading.local()
        self._stores: WeakSet[GraphStore] = WeakSet()  # a thread that ends takes its own along
        self._lock = threading.Lock()
        self._first = threading.Lock()
        self._resident: tuple[Resident, int] | None = None
        self._loading: threading.Thread | None = None
        self._kept = Kept()

    @cached_property
    def pepper(self) -> bytes:
        """The secret under which identifiers are keyed."""
        return load_pepper()

    @cached_property
    def keys_of(self) -> KeysOf:
        """What a text may be the key of."""
        return keys_of(self.pepper)

    def secret(self, purpose: str) -> bytes:
        """A secret for one purpose that all processes of this installation share."""
        return hmac.digest(self.pepper, f"ringfence {purpose}".encode(), "sha256")

    def store(self) -> GraphStore:
        """This thread's store, without leaves. Raises Problem (503) before the first publication."""
        return self._opened().store

    def with_leaves(self) -> GraphStore:
        """This thread's store, with what one organization alone has."""
        return self._opened().leaves

    def run_id(self) -> str:
        """The run that the store shows."""
        return self._opened().run_id

    def resident(self) -> Resident:
        """The run in memory: the one that is shown or, shortly after a publication, the one before.

        Where files of the very run were written anew (an erasure), nothing of before is shown.
        """
        mine = self._opened()
        known = self._resident
        if known is not None and known[0].run_id == mine.run_id and known[1] != mine.version:
            known = self._resident = None
        if known is not None and known[0].run_id != mine.run_id:
            self._load_beside(mine.run_id, mine.version)
        if known is None:
            with self._first:
                if self._resident is None:
                    self._resident = (Resident.load(RunReader.open(self.home, mine.run_id)), mine.version)
                known = self._resident
        return known[0]

    def warm(self) -> None:
        """Begin to read the run that is shown, if there is one, so that the first who asks need not wait."""

        def load() -> None:
            self.resident()

        self._in_background(load)

    def organization(self, org_id: str) -> Node:
        """An organization by its exact id. Raises Problem (404)."""
        ref = organization_ref(org_id, self.pepper)
        node = self.store().get_node(ref.label, ref.key)
        if node is None:
            raise not_found(
                f"organization {org_id}", "Ids are exact, capitals included: /v1/search?q= finds them."
            )
        return node

    def cluster(self, cluster_id: str) -> Node:
        """A cluster. Raises Problem (404)."""
        node = self.store().get_node("Cluster", cluster_id)
        if node is None:
            raise not_found(
                f"cluster {cluster_id}", f"See what became of it: /v1/clusters/{cluster_id[:40]}/lineage"
            )
        return node

    def kept(
        self, what: str, key: Hashable, make: Callable[[], T], weigh: Callable[[T], int] | None = None
    ) -> T:
        """An answer about the run that is shown, made once; `weigh` tells the bytes of a large one."""
        mine = self._opened()
        return self._kept.get((what, mine.run_id, mine.version, key), make, weigh)

    def close(self) -> None:
        """Give back what all threads hold."""
        loading = self._loading
        if loading is not None:
            loading.join()
        with self._lock:
            while self._stores:
                self._stores.pop().close()
            self._threads = threading.local()

    def _opened(self) -> _Opened:
        mine: _Opened | None = getattr(self._threads, "opened", None)
        store = mine.store if mine is not None else self._new_store()
        run_id = store.run_id()
        if run_id is None:
            raise Problem("not_ready", "no graph has been published yet", "Run 'ringfence run' first.")
        folder = self.home.runs / run_id
        version = _version(folder)
        if mine is None or (mine.run_id, mine.version) != (run_id, version):
            leaves = WithLeaves(store, LeafIndex(folder, FactsReader(self.home).value_files()), folder)
            mine = self._threads.opened = _Opened(store, run_id, version, leaves)
        return mine

    def _new_store(self) -> GraphStore:
        store = open_store(self.store_name, self.home)
        with self._lock:
            self._stores.add(store)
        return store

    def _load_beside(self, run_id: str, version: int) -> None:
        def load() -> None:
            self._resident = (Resident.load(RunReader.open(self.home, run_id)), version)

        self._in_background(load)

    def _in_background(self, work: Callable[[], None]) -> None:
        """Do it in a thread, unless one is busy already. What cannot be read is told to whoever asks next."""

        def run() -> None:
            try:
                with suppress(Problem, RingfenceError):
                    work()
            finally:
                self._loading = None

        with self._lock:
            if self._loading is None:
                self._loading = threading.Thread(target=run, name="ringfence-load", daemon=True)
                self._loading.start()


def _version(folder: Path) -> int:
    """When the files of a run were last written: its manifest is the last of them. 0 where it is gone."""
    try:
        return (folder / MANIFEST).stat().st_mtime_ns
    except FileNotFoundError:
        return 0
