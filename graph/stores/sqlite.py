"""The graph in one SQLite file, read by many processes while the next one is being built beside it.

A publication never touches what is served: it fills a new file with the journal off, makes it durable and
renames it into place. Whoever has the old file open keeps that snapshot; a process that is killed leaves the
old file as it was, and its half-built one is removed by the next publication.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import apsw
import pyarrow as pa
from filelock import FileLock, Timeout

from graph.durable import sync
from graph.errors import RingfenceError
from graph.schema import NODES, RELATIONSHIPS, SCHEMA_VERSION
from graph.store import (
    DEGREE_CAP,
    PAGE,
    Expansion,
    Found,
    GraphView,
    KeysOf,
    Node,
    NodeRef,
    Page,
    Progress,
    SharedIdentifier,
    quiet,
)
from graph.stores import sqlite_expand, sqlite_find, sqlite_load, sqlite_nodes
from graph.stores.sqlite_schema import APPLICATION_ID

OLDEST_SQLITE = (3, 51, 3)
"""Older ones can lose pages of a write-ahead log that two connections reset at once."""

_BUILD_SETTINGS = (
    "page_size = 8192",
    "journal_mode = OFF",
    "synchronous = OFF",
    "locking_mode = EXCLUSIVE",
    "cache_size = -65536",
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

    def __init__(self, path: Path) -> None:
        _check_library()
        self._path = path
        self._open: apsw.Connection | None = None

    def close(self) -> None:
        """See `GraphStore.close`."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def migrate(self) -> None:
        """See `GraphStore.migrate`. A graph of an older schema becomes empty until a run is published."""
        found = self._version()
        if found is None or found < SCHEMA_VERSION:
            self._replace(sqlite_load.create)

    def run_id(self) -> str | None:
        """See `GraphStore.run_id`."""
        if not self._path.exists():
            return None
        with self._reading() as connection:
            return next((str(row[0]) for row in connection.execute("SELECT run_id FROM published")), None)

    def publish(self, view: GraphView, progress: Progress = quiet) -> None:
        """See `GraphStore.publish`. One publisher at a time: a second one is refused."""
        self._version()
        self._replace(lambda connection: sqlite_load.load(connection, view, progress))

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
    ) -> Expansion:
        """See `GraphStore.expand`."""
        unknown = sorted(set(types or ()) - set(RELATIONSHIPS))
        if unknown:
            raise RingfenceError(
                f"there is no relationship {unknown[0]}",
                f"Choose from: {', '.join(RELATIONSHIPS)}.",
                exit_code=2,
            )
        with self._reading() as connection:
            return sqlite_expand.expand(connection, frontier, types, degree_cap, limit)

    def shared_identifiers(self, a: NodeRef, b: NodeRef, *, limit: int = PAGE) -> Page[SharedIdentifier]:
        """See `GraphStore.shared_identifiers`."""
        with self._reading() as connection:
            return sqlite_expand.shared_identifiers(connection, a, b, limit)

    def scan(self, name: str) -> pa.RecordBatchReader:
        """See `GraphStore.scan`. Close the store only when the reader is done."""
        if name not in NODES and name not in RELATIONSHIPS:
            raise RingfenceError(
                f"the graph has no {name}",
                f"Choose from: {', '.join([*NODES, *RELATIONSHIPS])}.",
                exit_code=2,
            )
        with self._reading() as connection:
            return sqlite_nodes.scan(connection, name)

    @contextmanager
    def _reading(self) -> Iterator[apsw.Connection]:
        """A read-only connection to a graph of this schema; the driver's errors in plain words."""
        try:
            if self._open is None:
                self._open = self._connect()
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
        connection = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READONLY)
        connection.set_busy_timeout(5_000)
        connection.execute("PRAGMA cache_size = -65536")
        return connection

    def _version(self) -> int | None:
        """The schema version of what is served, None if nothing is. Raises RingfenceError if it is newer."""
        if not self._path.exists():
            return None
        try:
            connection = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READONLY)
            try:
                application, version = connection.pragma("application_id"), connection.pragma("user_version")
            finally:
                connection.close()
        except apsw.Error as error:
            raise RingfenceError(
                f"cannot read the graph {self._path}: {error}",
                f"If it is damaged, delete it. {_REBUILD}",
            ) from error
        if application != APPLICATION_ID:
            raise RingfenceError(
                f"{self._path} is not a graph of Ringfence",
                "Move it away, or name another home with --home DIR.",
            )
        if version > SCHEMA_VERSION:
            raise RingfenceError(
                f"the graph {self._path} has schema {version}, this version of Ringfence knows {SCHEMA_VERSION}",
                "Upgrade Ringfence, or delete the file and publish it again with `ringfence run`.",
            )
        return int(version)

    def _replace(self, fill: Callable[[apsw.Connection], None]) -> None:
        """Build a new file with `fill` and put it in the place of the one that is served."""
        try:
            with self._publishing():
                scratch = self._path.with_name(f"{self._path.name}.new-{secrets.token_hex(4)}")
                try:
                    _build(scratch, fill)
                    scratch.replace(self._path)
                    sync(self._path.parent)
                finally:
                    scratch.unlink(missing_ok=True)
        except (apsw.FullError, apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError, OSError) as error:
            raise RingfenceError(
                f"cannot write the graph {self._path}: {error}",
                "Make room or give permission, then publish again with `ringfence run`; "
                "the run that was served before still is.",
            ) from error
        except apsw.ConstraintError as error:
            raise RingfenceError(
                f"the run's files hold something twice: {error}", "Start it again with `ringfence run`."
            ) from error
        self.close()

    @contextmanager
    def _publishing(self) -> Iterator[None]:
        """The right to publish; whatever is half-built then belongs to nobody and is removed."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(self._path.with_name(f"{self._path.name}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise RingfenceError(
                f"another process is publishing the graph {self._path}", "Wait until it is done."
            ) from error
        try:
            for leftover in self._path.parent.glob(f"{self._path.name}.new-*"):
                leftover.unlink()
            yield
        finally:
            lock.release()


def _check_library() -> None:
    found = sqlite_version()
    if tuple(int(part) for part in found.split(".")) < OLDEST_SQLITE:
        wanted = ".".join(map(str, OLDEST_SQLITE))
        raise RingfenceError(
            f"SQLite {found} is too old: {wanted} or newer is needed",
            f"pip install --upgrade 'apsw>={wanted}'",
        )


def _build(path: Path, fill: Callable[[apsw.Connection], None]) -> None:
    connection = apsw.Connection(str(path))
    try:
        for setting in _BUILD_SETTINGS:
            connection.execute(f"PRAGMA {setting}")
        connection.execute("BEGIN")
        fill(connection)
        connection.execute("COMMIT")
    finally:
        connection.close()
    path.chmod(0o600)
    sync(path)
