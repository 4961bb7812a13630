"""The graph in a Neo4j server, 5.26 LTS or newer, Community Edition.

A run is published under a number of its own beside the one that is shown, in transactions of some thousand rows;
then one transaction points at it, and what was shown before is removed. Where the changes since the shown run are
known and few, they are made in place in one transaction. Readers look at the pointer before and after each
question and ask again when it moved, so that they see one run, whole.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TypeVar

import neo4j
import pyarrow as pa
from neo4j.exceptions import DriverError, Neo4jError

from graph.errors import RingfenceError
from graph.schema import SCHEMA_VERSION
from graph.store import (
    DEGREE_CAP,
    EVERY_CLUSTER,
    PAGE,
    ClusterFilter,
    ClusterOrder,
    ClusterPage,
    Expansion,
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
from graph.stores.neo4j import clusters as neo4j_clusters
from graph.stores.neo4j import expand as neo4j_expand
from graph.stores.neo4j import find as neo4j_find
from graph.stores.neo4j import nodes as neo4j_nodes
from graph.stores.neo4j import query as neo4j_query
from graph.stores.neo4j import state as neo4j_state
from graph.stores.neo4j import subgraph as neo4j_subgraph
from graph.stores.neo4j.errors import Server, check_version, explained, timed_out
from graph.stores.neo4j.publish import Publication
from graph.stores.neo4j.schema import Transaction, define
from graph.stores.neo4j.state import State

DATABASE = "neo4j"
USER = "neo4j"

RETRY_S = 45.0
"""For how long a transaction is tried again: a server takes some 15 s to start."""

PATIENCE_S = 60.0
"""For how long a question is asked again while what is shown changes."""

LOCK_S = 1.0
"""For how long one who wants to publish waits for another one."""

STATUSES = 20_000
FETCH = 10_000

T = TypeVar("T")


class Neo4jStore:
    """A GraphStore in a Neo4j database. It connects on first use; threads may share it."""

    def __init__(self, uri: str, user: str, password: str, database: str = DATABASE) -> None:
        self._uri = uri
        self._auth = (user, password)
        self._database = database
        self._driver: neo4j.Driver | None = None
        self._connecting = threading.Lock()
        self._bookmarks = neo4j.GraphDatabase.bookmark_manager()
        self._defined = False

    @classmethod
    def from_environment(cls) -> Neo4jStore:
        """The server that `NEO4J_URI`, `NEO4J_USER`, `NEO4J_PASSWORD` and `NEO4J_DATABASE` name.

        Raises RingfenceError (exit 2) where the first is missing.
        """
        uri = os.environ.get("NEO4J_URI")
        if not uri:
            raise RingfenceError(
                "NEO4J_URI is not set: it is not known where the Neo4j server is",
                "export NEO4J_URI=neo4j://HOST:7687, NEO4J_USER and NEO4J_PASSWORD, or start one: make neo4j",
                exit_code=2,
            )
        return cls(
            uri,
            os.environ.get("NEO4J_USER") or USER,
            os.environ.get("NEO4J_PASSWORD", ""),
            os.environ.get("NEO4J_DATABASE") or DATABASE,
        )

    @property
    def language(self) -> str:
        """See `GraphStore.language`."""
        return "cypher"

    def close(self) -> None:
        """See `GraphStore.close`."""
        if self._driver is not None:
            self._driver.close()
            self._driver = None
            self._defined = False

    def migrate(self) -> None:
        """See `GraphStore.migrate`. A graph of an older schema becomes empty until a run is published."""
        state = self._state()
        if state is None or state.schema < SCHEMA_VERSION:
            with self._publishing():
                pass

    def run_id(self) -> str | None:
        """See `GraphStore.run_id`."""
        state = self._state()
        return None if state is None or state.schema < SCHEMA_VERSION else state.run_id

    def publish(self, view: GraphView, progress: Progress = quiet) -> None:
        """See `GraphStore.publish`. One publisher at a time: a second one is refused."""
        with self._publishing() as token:
            Publication(self._write, token, progress).publish(view)

    def apply(self, changes: GraphChanges, progress: Progress = quiet) -> None:
        """See `GraphStore.apply`."""
        with self._publishing() as token:
            Publication(self._write, token, progress).apply(changes)

    def set_status(self, organizations: Collection[NodeRef], status: str | None, at: datetime) -> int:
        """See `GraphStore.set_status`."""
        label = "Organization"
        keys = sorted(
            {ref.key for ref in organizations if ref.label == label and neo4j_nodes.encodable(ref.key)}
        )
        moment = pa.scalar(at, pa.timestamp("us", tz="UTC")).value

        def work(tx: Transaction) -> int:
            run = neo4j_state.lock_state(tx).run
            parts = (keys[start : start + STATUSES] for start in range(0, len(keys), STATUSES))
            return sum(neo4j_state.set_kept(tx, run, part, status, moment) for part in parts)

        self._existing()
        return self._write(work)

    def statuses(self) -> pa.Table:
        """See `GraphStore.statuses`."""
        return self._read(neo4j_nodes.statuses)

    def get_node(self, label: str, key: str) -> Node | None:
        """See `GraphStore.get_node`."""
        ref = NodeRef(label, key)
        return self.get_nodes([ref]).get(ref)

    def get_nodes(self, refs: Sequence[NodeRef]) -> dict[NodeRef, Node]:
        """See `GraphStore.get_nodes`."""
        return self._read(lambda tx, run: neo4j_nodes.get_nodes(tx, run, refs))

    def find(
        self,
        text: str,
        *,
        keys_of: KeysOf | None = None,
        labels: Collection[str] | None = None,
        limit: int = PAGE,
    ) -> Page[Found]:
        """See `GraphStore.find`."""
        return self._read(lambda tx, run: neo4j_find.find(tx, run, text, keys_of, labels, limit))

    def expand(
        self,
        frontier: Collection[NodeRef],
        *,
        types: Collection[str] | None = None,
        degree_cap: int | None = DEGREE_CAP,
        limit: int = 10_000,
    ) -> Expansion:
        """See `GraphStore.expand`."""
        neo4j_expand.check_types(types)
        return self._read(lambda tx, run: neo4j_expand.expand(tx, run, frontier, types, degree_cap, limit))

    def clusters(
        self,
        where: ClusterFilter = EVERY_CLUSTER,
        *,
        order: ClusterOrder = ClusterOrder.RISK,
        after: str | None = None,
        limit: int = PAGE,
    ) -> ClusterPage:
        """See `GraphStore.clusters`."""
        return self._read(lambda tx, run: neo4j_clusters.clusters(tx, run, where, order, after, limit))

    def cluster_subgraph(
        self, cluster_id: str, *, min_members: int = 2, limit: int = 100_000
    ) -> Subgraph | None:
        """See `GraphStore.cluster_subgraph`."""
        return self._read(
            lambda tx, run: neo4j_subgraph.cluster_subgraph(tx, run, cluster_id, min_members, limit)
        )

    def shared_identifiers(self, a: NodeRef, b: NodeRef, *, limit: int = PAGE) -> Page[SharedIdentifier]:
        """See `GraphStore.shared_identifiers`."""
        return self._read(lambda tx, run: neo4j_expand.shared_identifiers(tx, run, a, b, limit))

    def query(
        self, text: str, parameters: Mapping[str, Value], *, limit: int = 1_000, timeout_s: float = 30
    ) -> Rows:
        """See `GraphStore.query`. `$run` is the number that nodes of the run that is shown have."""

        def work(tx: Transaction, run: int) -> Rows:
            bound = {"run": run, **parameters}
            neo4j_query.check(tx, text, bound)
            state = neo4j_state.read_state(tx)
            if state is not None and state.others:
                neo4j_query.check_run(text)
            return neo4j_query.ask(tx, text, bound, limit)

        return self._read(work, timeout=timeout_s, fetch_size=min(limit + 1, FETCH))

    def scan(self, name: str) -> pa.RecordBatchReader:
        """See `GraphStore.scan`. Reading fails where another run is published meanwhile."""
        schema = neo4j_nodes.schema_of(name)
        state = self._read(lambda tx, _: neo4j_state.read_state(tx))
        return pa.RecordBatchReader.from_batches(schema, self._scanned(name, state))

    def _scanned(self, name: str, state: State | None) -> Iterator[pa.RecordBatch]:
        with (
            self._talking() as driver,
            self._session(driver, neo4j.READ_ACCESS) as session,
            session.begin_transaction() as tx,
        ):
            yield from neo4j_nodes.scan(tx, state.run if state else 0, name)
            after = neo4j_state.read_state(tx)
        if state is None or after is None or (after.stamp, after.closed) != (state.stamp, False):
            raise RingfenceError(
                "the graph changed while it was read", "Ask again, when no run is being published."
            )

    @contextmanager
    def _publishing(self) -> Iterator[str]:
        """The right to publish, for as long as this process holds a transaction open.

        The server rolls it back, and so gives the right to the next one, when the process or its connection dies.
        """
        token = secrets.token_hex(8)
        self._prepare()
        with self._talking() as driver:
            self._probe(driver)
            with self._session(driver, neo4j.WRITE_ACCESS) as session:
                lock = session.begin_transaction()
                try:
                    neo4j_state.take_lock(lock, token)
                    self._forget_older()
                    yield token
                finally:
                    with suppress(Neo4jError, DriverError):
                        lock.rollback()

    def _probe(self, driver: neo4j.Driver) -> None:
        """Raise RingfenceError if another process is publishing, not only was until it was killed."""
        with self._session(driver, neo4j.WRITE_ACCESS) as session:
            try:
                with session.begin_transaction(timeout=LOCK_S) as tx:
                    neo4j_state.take_lock(tx, "")
                    tx.rollback()
            except Neo4jError as error:
                if not timed_out(error.code):
                    raise
                raise RingfenceError(
                    f"another process is publishing the graph in {self._uri}", "Wait until it is done."
                ) from error

    def _prepare(self) -> None:
        """Constraints, indexes and the state."""
        state = self._state()
        if not self._defined:
            with self._talking() as driver, self._session(driver, neo4j.WRITE_ACCESS) as session:
                define(session)
            self._defined = True
        if state is None:
            self._write(neo4j_state.create_state)

    def _forget_older(self) -> None:
        """Make a graph of an older schema an empty one of this."""
        state = self._state()
        if state is not None and state.schema < SCHEMA_VERSION:
            while self._write(neo4j_state.forget_older):
                pass
            self._write(neo4j_state.create_state)

    def _state(self) -> State | None:
        """Raises RingfenceError if the graph is of a newer schema."""
        with self._talking() as driver, self._session(driver, neo4j.READ_ACCESS) as session:
            state = session.execute_read(neo4j_state.read_state)
        if state is not None and state.schema > SCHEMA_VERSION:
            self._usable(state)
        return state

    def _existing(self) -> State:
        return self._usable(self._state())

    def _usable(self, state: State | None) -> State:
        return neo4j_state.usable(state, self._uri)

    def _read(
        self, work: Callable[[Transaction, int], T], timeout: float | None = None, fetch_size: int = FETCH
    ) -> T:
        """Do some reading of the run that is shown, again if that changes meanwhile."""

        @neo4j.unit_of_work(timeout=timeout)
        def stable(tx: Transaction) -> tuple[bool, T | None]:
            before = self._usable(neo4j_state.read_state(tx))
            answer = None if before.closed else work(tx, before.run)
            after = neo4j_state.read_state(tx)
            same = after is not None and (after.stamp, after.closed) == (before.stamp, False)
            return same and not before.closed, answer

        end = time.monotonic() + PATIENCE_S
        while True:
            with self._talking() as driver, self._session(driver, neo4j.READ_ACCESS, fetch_size) as session:
                whole, answer = session.execute_read(stable)
            if whole:
                return answer  # type: ignore[return-value]
            if time.monotonic() > end:
                raise RingfenceError(
                    "what the graph shows kept changing while it was read", "Ask again in a minute."
                )
            time.sleep(0.02)

    def _write(self, work: Callable[[Transaction], T]) -> T:
        """Do some writing in one transaction, again if that fails in a way that passes."""
        with self._talking() as driver, self._session(driver, neo4j.WRITE_ACCESS) as session:
            return session.execute_write(work)

    def _session(self, driver: neo4j.Driver, mode: str, fetch_size: int = FETCH) -> neo4j.Session:
        return driver.session(
            database=self._database,
            default_access_mode=mode,
            fetch_size=fetch_size,
            bookmark_manager=self._bookmarks,
        )

    @contextmanager
    def _talking(self) -> Iterator[neo4j.Driver]:
        """The driver; its errors in plain words."""
        try:
            with self._connecting:
                driver = self._driver = self._driver or self._connect()
            yield driver
        except (Neo4jError, DriverError) as error:
            code = error.code if isinstance(error, Neo4jError) else None
            message = (error.message if isinstance(error, Neo4jError) else None) or str(error)
            raise explained(Server(self._uri, self._auth[0], self._database), code, message) from error

    def _connect(self) -> neo4j.Driver:
        try:
            driver = neo4j.GraphDatabase.driver(
                self._uri,
                auth=self._auth,
                connection_timeout=10.0,
                max_transaction_retry_time=RETRY_S,
                notifications_min_severity="OFF",
                user_agent="ringfence",
            )
        except (ValueError, neo4j.exceptions.ConfigurationError) as error:
            raise RingfenceError(
                "NEO4J_URI is not the address of a Neo4j server",
                "Set NEO4J_URI to neo4j://HOST:7687 or bolt://HOST:7687; with TLS neo4j+s:// or bolt+s://.",
                exit_code=2,
            ) from error
        try:
            check_version(driver.get_server_info().agent)
        except BaseException:
            driver.close()
            raise
        return driver
