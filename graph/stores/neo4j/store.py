"""The graph in a Neo4j server, 5.26 LTS or newer, Community Edition.

A run is published under a number of its own beside the one that is shown, in transactions of some thousand rows;
then one transaction points at it, and what was shown before is removed. Where the changes since the shown run are
known they are made in place: few in one transaction, more of them step by step, once all of them are noted. Readers
know the pointer from before and look at it after each question; they ask again when it moved, so that they see one
run, whole.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

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
from graph.stores.neo4j import clusters as neo4j_clusters
from graph.stores.neo4j import expand as neo4j_expand
from graph.stores.neo4j import find as neo4j_find
from graph.stores.neo4j import nodes as neo4j_nodes
from graph.stores.neo4j import query as neo4j_query
from graph.stores.neo4j import state as neo4j_state
from graph.stores.neo4j import subgraph as neo4j_subgraph
from graph.stores.neo4j.connection import FETCH, Connection, credentials
from graph.stores.neo4j.errors import timed_out
from graph.stores.neo4j.publish import Publication
from graph.stores.neo4j.schema import Transaction, define
from graph.stores.neo4j.state import State

DATABASE = "neo4j"

PATIENCE_S = 60.0
"""For how long a question is asked again while what is shown changes."""

LEFT_S = 1.0
"""After waiting so long for pending changes a reader sees whether their publisher died, and then makes them."""

WAIT_S = 0.02

LOCK_S = 1.0
"""For how long one who wants to publish waits for another one."""

STATUSES = 20_000

T = TypeVar("T")


class BusyError(RingfenceError):
    """Another process is publishing."""


@dataclass(frozen=True)
class _Answer(Generic[T]):
    """What was found, if all of it was of one run, and what is shown now."""

    state: State
    whole: bool = False
    found: T | None = None


class Neo4jStore:
    """A GraphStore in a Neo4j database. It connects on first use; threads may share it."""

    def __init__(self, uri: str, user: str, password: str, database: str = DATABASE) -> None:
        self._connection = Connection(uri, user, password, database)
        self._defined = False
        self._seen: State | None = None

    @classmethod
    def from_environment(cls) -> Neo4jStore:
        """The server that `NEO4J_URI`, `NEO4J_USER`, `NEO4J_PASSWORD` and `NEO4J_DATABASE` name.

        `NEO4J_AUTH_FILE` names a file with `USER/PASSWORD` instead, as the server's own image reads it. Raises
        RingfenceError (exit 2) where the first is missing, or that file cannot be read.
        """
        uri = os.environ.get("NEO4J_URI")
        if not uri:
            raise RingfenceError(
                "NEO4J_URI is not set: it is not known where the Neo4j server is",
                "export NEO4J_URI=neo4j://HOST:7687, NEO4J_USER and NEO4J_PASSWORD, or start one: make neo4j",
                exit_code=2,
            )
        return cls(uri, *credentials(os.environ), os.environ.get("NEO4J_DATABASE") or DATABASE)

    @property
    def language(self) -> str:
        """See `GraphStore.language`."""
        return "cypher"

    def close(self) -> None:
        """See `GraphStore.close`."""
        self._connection.close()
        self._defined = False
        self._seen = None

    def migrate(self) -> None:
        """See `GraphStore.migrate`. A graph of an older schema becomes empty until a run is published."""
        state = self._state()
        if state is None or state.schema < SCHEMA_VERSION:
            with self._publishing():
                pass

    def run_id(self) -> str | None:
        """See `GraphStore.run_id`."""
        for _ in self._trying():
            state = self._state()
            if state is None or state.schema < SCHEMA_VERSION:
                return None
            if state.pending is None:
                return state.run_id
            self._wait(state)
        raise _restless()

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
        follow: Follow = Follow.BOTH,
    ) -> Expansion:
        """See `GraphStore.expand`."""
        neo4j_expand.check_types(types)
        return self._read(
            lambda tx, run: neo4j_expand.expand(tx, run, frontier, types, degree_cap, limit, follow)
        )

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
        with self._connection.reading() as session, session.begin_transaction() as tx:
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
        self._probe()
        with self._connection.writing() as session:
            lock = session.begin_transaction()
            try:
                neo4j_state.take_lock(lock, token)
                self._forget_older()
                yield token
            finally:
                with suppress(Neo4jError, DriverError):
                    lock.rollback()

    def _probe(self) -> None:
        """Raise RingfenceError if another process is publishing, not only was until it was killed."""
        with self._connection.writing() as session:
            try:
                with session.begin_transaction(timeout=LOCK_S) as tx:
                    neo4j_state.take_lock(tx, "")
                    tx.rollback()
            except Neo4jError as error:
                if not timed_out(error.code):
                    raise
                raise BusyError(
                    f"another process is publishing the graph in {self._connection.uri}",
                    "Wait until it is done.",
                ) from error

    def _prepare(self) -> None:
        """Constraints, indexes and the state."""
        state = self._state()
        if not self._defined:
            with self._connection.writing() as session:
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
        with self._connection.reading() as session:
            state = session.execute_read(neo4j_state.read_state)
        if state is not None and state.schema > SCHEMA_VERSION:
            self._usable(state)
        return state

    def _existing(self) -> State:
        return self._usable(self._state())

    def _usable(self, state: State | None) -> State:
        return neo4j_state.usable(state, self._connection.uri)

    def _read(
        self, work: Callable[[Transaction, int], T], timeout: float | None = None, fetch_size: int = FETCH
    ) -> T:
        """Do some reading of the run that is shown, again if that changes meanwhile.

        What was shown after the last question is taken for shown still: looking once, afterwards, tells.
        """

        @neo4j.unit_of_work(timeout=timeout)
        def stable(tx: Transaction) -> _Answer[T]:
            before = self._seen or self._usable(neo4j_state.read_state(tx))
            if before.closed:
                return _Answer(before)
            try:
                found, wrong = work(tx, before.run), None
            except RingfenceError as error:  # of another run, it may be
                found, wrong = None, error
            after = self._usable(neo4j_state.read_state(tx))
            if after != before:
                return _Answer(after)
            if wrong is not None:
                raise wrong
            return _Answer(after, whole=True, found=found)

        for _ in self._trying():
            with self._connection.reading(fetch_size) as session:
                answer = session.execute_read(stable)
            self._seen = None if answer.state.closed else answer.state
            if answer.whole:
                return answer.found  # type: ignore[return-value]
            if answer.state.closed:
                self._wait(answer.state)
        raise _restless()

    def _trying(self) -> Iterator[None]:
        """Until patience ends."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            yield

    def _wait(self, state: State) -> None:
        """Wait a moment for what is changing; make pending changes where nobody else does."""
        if state.pending is None:
            time.sleep(WAIT_S)
            return
        end = time.monotonic() + LEFT_S
        while time.monotonic() < end:
            time.sleep(WAIT_S)
            now = self._state()
            if now is None or now.pending != state.pending:
                return
        with suppress(BusyError), self._publishing() as token:
            Publication(self._write, token, quiet).settle()

    def _write(self, work: Callable[[Transaction], T]) -> T:
        """Do some writing in one transaction, again if that fails in a way that passes."""
        return self._connection.write(work)


def _restless() -> RingfenceError:
    return RingfenceError("what the graph shows kept changing while it was read", "Ask again in a minute.")
