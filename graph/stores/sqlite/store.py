"""The graph in one SQLite file, read by many processes while the next one is being built beside it.

A publication never touches what is served: it fills a new file, or patches a copy, with the journal off, makes
it durable and renames it into place. Whoever has the old file open keeps that snapshot until the next question;
a process that is killed leaves the old file as it was, and its half-built one is removed by the next publication.
What actions set outlives publications in a second file (see `sqlite_kept`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

import apsw
import pyarrow as pa

from graph.errors import RingfenceError
from graph.schema import NODES, RELATIONSHIPS, SCHEMA_VERSION
from graph.store import (
    DEGREE_CAP,
    EVERY_CLUSTER,
    PAGE,
    ClusterFilter,
    ClusterOrder,
    ClusterPage,
    Expansion,
    Follow,
    Found,
    GraphChanges,
    GraphView,
    KeysOf,
    Node,
    NodeRef,
    Page,
    Progress,
    Rows,
    SharedIdentifier,
    Subgraph,
    Value,
    quiet,
)
from graph.stores.sqlite import apply as sqlite_apply
from graph.stores.sqlite import clusters as sqlite_clusters
from graph.stores.sqlite import expand as sqlite_expand
from graph.stores.sqlite import find as sqlite_find
from graph.stores.sqlite import kept as sqlite_kept
from graph.stores.sqlite import load as sqlite_load
from graph.stores.sqlite import nodes as sqlite_nodes
from graph.stores.sqlite import query as sqlite_query
from graph.stores.sqlite import subgraph as sqlite_subgraph
from graph.stores.sqlite.files import Identity, Replaceable, check, copy, identity, uri
from graph.stores.sqlite.schema import APPLICATION_ID, KEPT_APPLICATION_ID, KEPT_VERSION, kept_tables

OLDEST_SQLITE = (3, 51, 3)
"""Older ones can lose pages of a write-ahead log that two connections reset at once."""

BUSY_MS = 10_000
"""How long one writer of statuses waits for another."""

_READ_ONLY = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
_BUILD_SETTINGS = (
    "page_size = 8192",
    "journal_mode = OFF",
    "synchronous = OFF",
    "locking_mode = EXCLUSIVE",
    "cache_size = -262144",
    "threads = 2",
    f"application_id = {APPLICATION_ID}",
    f"user_version = {SCHEMA_VERSION}",
)
_REBUILD = "Publish it again with `ringfence run`: nothing is lost, the graph is made from facts."


def sqlite_version() -> str:
    """The version of the SQLite library in use."""
    return apsw.sqlite_lib_version()


class SqliteStore:
    """A GraphStore in one file. It opens on first use; a connection is for one thread."""

    language = "sql"

    def __init__(self, path: Path) -> None:
        _check_library()
        self._path = path
        self._kept_path = path.with_suffix(f".status{path.suffix}")
        self._file = Replaceable(path)
        self._open: apsw.Connection | None = None
        self._opened: tuple[Identity, Identity] = (None, None)

    def close(self) -> None:
        """See `GraphStore.close`."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def migrate(self) -> None:
        """See `GraphStore.migrate`. A graph of an older schema becomes empty until a run is published."""
        found = self._version()
        if found is None or found < SCHEMA_VERSION:
            with self._publishing():
                self._build(sqlite_load.create)

    def run_id(self) -> str | None:
        """See `GraphStore.run_id`."""
        if not self._path.exists():
            return None
        with self._reading() as connection:
            return next((str(row[0]) for row in connection.execute("SELECT run_id FROM published")), None)

    def publish(self, view: GraphView, progress: Progress = quiet) -> None:
        """See `GraphStore.publish`. One publisher at a time: a second one is refused.

        Where what is served turns out not to fit the changes, all of the view is published.
        """
        current = self._version() == SCHEMA_VERSION
        with self._publishing():
            served = self.run_id() if current else None
            changes = view.changes_since(served) if served is not None else None
            if changes is not None:
                try:
                    self._patch(changes, progress)
                    return
                except (sqlite_load.UnfitError, apsw.CorruptError):
                    pass
            self._build(lambda connection: sqlite_load.load(connection, view, progress))

    def apply(self, changes: GraphChanges, progress: Progress = quiet) -> None:
        """See `GraphStore.apply`."""
        with self._publishing():
            if self.run_id() is None:
                raise RingfenceError(
                    "there is no published run to change", "Run `ringfence run` first.", exit_code=3
                )
            self._patch(changes, progress)

    def set_status(self, organizations: Collection[NodeRef], status: str | None, at: datetime) -> int:
        """See `GraphStore.set_status`. Several processes may do so at once: each waits for the other."""
        with self._reading() as connection:
            keys = sqlite_kept.known(connection, organizations)
        if keys:
            with self._failing(self._kept_path), closing(self._keeping()) as connection:
                sqlite_kept.write(connection, keys, status, at)
        return len(keys)

    def statuses(self) -> pa.Table:
        """See `GraphStore.statuses`."""
        with self._reading() as connection:
            return sqlite_kept.statuses(connection)

    def get_node(self, label: str, key: str) -> Node | None:
        """See `GraphStore.get_node`."""
        ref = NodeRef(label, key)
        return self.get_nodes([ref]).get(ref)

    def get_nodes(self, refs: Sequence[NodeRef]) -> dict[NodeRef, Node]:
        """See `GraphStore.get_nodes`."""
        with self._reading() as connection:
            return sqlite_nodes.get_nodes(connection, refs)

    def find(
        self,
        text: str,
        *,
        keys_of: KeysOf | None = None,
        labels: Collection[str] | None = None,
        limit: int = PAGE,
    ) -> Page[Found]:
        """See `GraphStore.find`."""
        with self._reading() as connection:
            return sqlite_find.find(connection, text, keys_of, labels, limit)

    def expand(
        self,
        frontier: Collection[NodeRef],
        *,
        types: Collection[str] | None = None,
        degree_cap: int | None = DEGREE_CAP,
        limit: int = 10_000,
        follow: Follow = Follow.BOTH,
    ) -> Expansion:
        """See `GraphStore.expand`."""
        for name in sorted(set(types or ())):
            _known(name, RELATIONSHIPS, "there is no relationship")
        with self._reading() as connection:
            return sqlite_expand.expand(connection, frontier, types, degree_cap, limit, follow)

    def clusters(
        self,
        where: ClusterFilter = EVERY_CLUSTER,
        *,
        order: ClusterOrder = ClusterOrder.RISK,
        after: str | None = None,
        limit: int = PAGE,
    ) -> ClusterPage:
        """See `GraphStore.clusters`."""
        with self._reading() as connection:
            return sqlite_clusters.clusters(connection, where, order, after, limit)

    def cluster_subgraph(
        self, cluster_id: str, *, min_members: int = 2, limit: int = 100_000
    ) -> Subgraph | None:
        """See `GraphStore.cluster_subgraph`."""
        with self._reading() as connection:
            return sqlite_subgraph.cluster_subgraph(connection, cluster_id, min_members, limit)

    def shared_identifiers(self, a: NodeRef, b: NodeRef, *, limit: int = PAGE) -> Page[SharedIdentifier]:
        """See `GraphStore.shared_identifiers`."""
        with self._reading() as connection:
            return sqlite_expand.shared_identifiers(connection, a, b, limit)

    def query(
        self, text: str, parameters: Mapping[str, Value], *, limit: int = 1_000, timeout_s: float = 30
    ) -> Rows:
        """See `GraphStore.query`. It reads the tables of `schema.py`; keys are blobs, times microseconds."""
        with self._reading():
            connection = self._connect()
        with closing(connection):
            try:
                return sqlite_query.query(connection, text, parameters, limit, timeout_s)
            except apsw.InterruptError as error:
                raise RingfenceError(
                    f"the query took longer than {timeout_s:g} s", "Ask for less, or give it more time."
                ) from error
            except apsw.AuthError as error:
                raise RingfenceError(
                    "the query does something else than read the graph", "Write a SELECT.", exit_code=2
                ) from error
            except (apsw.Error, LookupError, TypeError, OverflowError, UnicodeEncodeError) as error:
                raise RingfenceError(
                    f"the query fails: {error}", "Correct the query or its parameters.", exit_code=2
                ) from error

    def scan(self, name: str) -> pa.RecordBatchReader:
        """See `GraphStore.scan`. Close the store only when the reader is done."""
        _known(name, {**NODES, **RELATIONSHIPS}, "the graph has no")
        with self._reading() as connection:
            return sqlite_nodes.scan(connection, name)

    @contextmanager
    def _reading(self) -> Iterator[apsw.Connection]:
        """A read-only connection to the graph that is served now; the driver's errors in plain words."""
        lies = identity(self._path), identity(self._kept_path)
        try:
            if self._open is None or self._opened != lies:
                # What was open is not closed: whoever still scans it finishes with that snapshot.
                self._open = self._connect()
                self._opened = lies
            yield self._open
        except apsw.Error as error:
            self.close()
            raise RingfenceError(f"cannot read the graph {self._path}: {error}", _REBUILD) from error

    def _connect(self) -> apsw.Connection:
        version = self._version()
        if version is None:
            raise RingfenceError("no graph has been published yet", "Run `ringfence run` first.", exit_code=3)
        if version < SCHEMA_VERSION:
            raise RingfenceError(f"the graph {self._path} has the older schema {version}", _REBUILD)
        # Immutable: no file that was put in place is ever written again, so nothing needs locks or journals.
        connection = apsw.Connection(
            uri(self._path, "immutable=1"), flags=_READ_ONLY, statementcachesize=1000
        )
        connection.set_busy_timeout(BUSY_MS)
        connection.execute("PRAGMA cache_size = -65536")
        self._attach(connection)
        return connection

    def _attach(self, connection: apsw.Connection) -> None:
        """Make what actions set readable beside the graph: empty tables where nothing is set yet."""
        if not self._kept_path.exists():
            for statement in kept_tables(temporary=True):
                connection.execute(statement)
            return
        for mode in (
            "mode=ro",
            "immutable=1",
        ):  # without a writable folder a log cannot be shared, nor be there
            try:
                connection.execute("ATTACH ? AS kept", [uri(self._kept_path, mode)])
                self._check_kept(connection, "kept")
                return
            except (apsw.CantOpenError, apsw.ReadOnlyError):
                if mode == "immutable=1":
                    raise

    def _version(self) -> int | None:
        """The schema version of what is served, None if nothing is. Raises RingfenceError if it is newer."""
        if not self._path.exists():
            return None
        try:
            with closing(apsw.Connection(uri(self._path, "immutable=1"), flags=_READ_ONLY)) as connection:
                application, version = connection.pragma("application_id"), connection.pragma("user_version")
        except apsw.Error as error:
            raise RingfenceError(
                f"cannot read the graph {self._path}: {error}",
                f"If it is damaged, delete it. {_REBUILD}",
            ) from error
        check(self._path, application == APPLICATION_ID, version, SCHEMA_VERSION)
        return int(version)

    @contextmanager
    def _publishing(self) -> Iterator[None]:
        with (
            self._failing(self._path),
            self._file.held(f"another process is publishing the graph {self._path}"),
        ):
            yield

    def _build(self, fill: Callable[[apsw.Connection], None]) -> None:
        """Fill a new file and put it in the place of the one that is served."""
        with self._file.scratch() as scratch:
            _fill(scratch, fill)
            self._file.put(scratch)

    def _patch(self, changes: GraphChanges, progress: Progress) -> None:
        """Put a changed copy in the place of the graph that is served."""
        with self._file.scratch() as scratch:
            copy(self._path, scratch)
            ordered: list[bool] = []
            _fill(scratch, lambda target: ordered.append(sqlite_apply.apply(target, changes, progress)))
            if ordered == [True]:
                self._file.put(scratch)
                return
            with closing(apsw.Connection(uri(scratch, "immutable=1"), flags=_READ_ONLY)) as patched:
                view = sqlite_apply.stored_view(patched)
                self._build(lambda connection: sqlite_load.load(connection, view, progress))

    def _keeping(self) -> apsw.Connection:
        """A connection that may write what actions set; the file is made on first use."""
        file = Replaceable(self._kept_path)
        if not self._kept_path.exists():
            with file.held(f"another process is making {self._kept_path}", timeout=BUSY_MS / 1_000):
                if not self._kept_path.exists():
                    with file.scratch() as scratch:
                        _create_kept(scratch)
                        file.put(scratch)
        connection = apsw.Connection(str(self._kept_path), flags=apsw.SQLITE_OPEN_READWRITE)
        connection.set_busy_timeout(BUSY_MS)
        connection.execute("PRAGMA synchronous = FULL")
        self._check_kept(connection, "main")
        return connection

    def _check_kept(self, connection: apsw.Connection, name: str) -> None:
        application, version = (
            connection.pragma(one, schema=name) for one in ("application_id", "user_version")
        )
        check(self._kept_path, application == KEPT_APPLICATION_ID, version, KEPT_VERSION)

    @contextmanager
    def _failing(self, path: Path) -> Iterator[None]:
        """Errors of writing in plain words."""
        try:
            yield
        except apsw.ConstraintError as error:
            raise RingfenceError(
                f"the run's files hold something twice: {error}", "Start it again with `ringfence run`."
            ) from error
        except (apsw.Error, OSError) as error:
            raise RingfenceError(
                f"cannot write the graph {path}: {error}",
                "Make room or give permission, then try again; what was served before still is.",
            ) from error


def _check_library() -> None:
    found = sqlite_version()
    if tuple(int(part) for part in found.split(".")) < OLDEST_SQLITE:
        wanted = ".".join(map(str, OLDEST_SQLITE))
        raise RingfenceError(
            f"SQLite {found} is too old: {wanted} or newer is needed",
            f"pip install --upgrade 'apsw>={wanted}'",
        )


def _known(name: str, names: Mapping[str, object], problem: str) -> None:
    if name not in names:
        raise RingfenceError(f"{problem} {name}", f"Choose from: {', '.join(names)}.", exit_code=2)


def _fill(path: Path, fill: Callable[[apsw.Connection], None]) -> None:
    with closing(apsw.Connection(str(path))) as connection:
        for setting in _BUILD_SETTINGS:
            connection.execute(f"PRAGMA {setting}")
        connection.execute("BEGIN")
        fill(connection)
        connection.execute("COMMIT")


def _create_kept(path: Path) -> None:
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute(f"PRAGMA application_id = {KEPT_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {KEPT_VERSION}")
        connection.execute("PRAGMA journal_mode = WAL")
        for statement in kept_tables():
            connection.execute(statement)
