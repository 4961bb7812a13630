"""What the store keeps about itself in the database, and the statements that change it.

Three nodes of one label. `graph` is the pointer: the number and the id of the run that is shown, the version of
the schema, a stamp that every change of what is shown renews, and what is `pending`: changes that are noted whole
and being made (see `journal`). `publisher` says who publishes, and how many of its batches are stored. `gate` is
closed while a transaction that changes what is shown is being committed: Neo4j shows a commit's parts one by one,
so that a reader who looks at the gate and the stamp before and after its question knows whether it saw one state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graph.errors import RingfenceError
from graph.schema import NODES, SCHEMA_VERSION
from graph.stores.neo4j.schema import KEPT, ROWS, STATE, Transaction, number, rows

GATE_MS = 60_000
"""A gate that has been closed for longer belongs to a process that died; it counts as open."""

LOOKS = 3
"""How often nothing must be found to be believed."""

_GRAPH = f"(g:{STATE} {{key: 'graph'}})"
_PUBLISHER = f"(p:{STATE} {{key: 'publisher'}})"
_READ = (
    f"MATCH {_GRAPH} OPTIONAL MATCH (b:{STATE} {{key: 'gate'}}) "
    "RETURN g.schema, g.run, g.run_id, g.stamp, g.size, g.others, "
    f"coalesce(timestamp() - b.closed < {GATE_MS}, false), g.pending, g.pending_id, g.pending_size"
)


@dataclass(frozen=True)
class Pending:
    """Changes that are noted whole and being made: by whom, and the run's id and size once they are."""

    token: str
    run_id: str
    size: int


@dataclass(frozen=True)
class State:
    """What is shown: the run's number (0: nothing yet) and id.

    `size` counts its nodes and relationships as they were published. `others` are numbers of which something is
    or may be in the database too: of a publication that is under way, or was killed, or of the run before.
    While the state is `closed` nobody can read a whole run: what is shown is changing, all at once or, while changes
    are `pending`, part by part.
    """

    schema: int
    run: int
    run_id: str | None
    stamp: int
    size: int
    others: tuple[int, ...]
    closed: bool
    pending: Pending | None = None


def read_state(tx: Transaction) -> State | None:
    """The state, None in a database that Ringfence has not used yet.

    Properties that are being rewritten may be missed by who reads them meanwhile, so a look that does not find all is
    repeated before it is believed.
    """
    found = next((row for _ in range(LOOKS) for row in rows(tx, _READ) if _whole(row)), None)
    if found is None:
        return None
    schema, run, run_id, stamp, size, others, closed, *noted = found
    pending = None if noted[0] is None else Pending(*noted)
    return State(schema, run, run_id, stamp, size, tuple(others), closed or pending is not None, pending)


def _whole(row: Sequence[Any]) -> bool:
    """Whether everything that a state always has was seen."""
    schema, run, _, stamp, size, others, *_ = row
    return None not in (schema, run, stamp, size, others)


def usable(state: State | None, uri: str) -> State:
    """The state, of a graph of this schema. Raises RingfenceError for any other."""
    if state is None:
        raise RingfenceError("no graph has been published yet", "Run `ringfence run` first.", exit_code=3)
    if state.schema > SCHEMA_VERSION:
        raise RingfenceError(
            f"the graph in {uri} has schema {state.schema}, this version of Ringfence knows {SCHEMA_VERSION}",
            "Upgrade Ringfence, or name another database with NEO4J_DATABASE.",
        )
    if state.schema < SCHEMA_VERSION:
        raise RingfenceError(
            f"the graph in {uri} has the older schema {state.schema}",
            "Publish it again with `ringfence run`: nothing is lost, the graph is made from facts.",
        )
    return state


def lock_state(tx: Transaction) -> State:
    """The state, which nobody else changes until the transaction ends."""
    rows(tx, f"MATCH {_GRAPH} SET g.lock = true REMOVE g.lock RETURN 1")
    state = read_state(tx)
    if state is None:
        raise RingfenceError(
            "the graph was removed from the database while it was written", "Publish it again: ringfence run"
        )
    return state


def create_state(tx: Transaction) -> None:
    """Make the state's nodes where they are missing."""
    rows(
        tx,
        f"MERGE {_GRAPH} ON CREATE SET g.schema = $schema, g.run = 0, g.stamp = 0, g.size = 0, g.others = [] "
        f"MERGE {_PUBLISHER} MERGE (b:{STATE} {{key: 'gate'}}) MERGE (l:{STATE} {{key: 'lock'}})",
        schema=SCHEMA_VERSION,
    )


def show(tx: Transaction, run: int, run_id: str | None, size: int, others: tuple[int, ...], by: str) -> None:
    """Point at another run, and have nothing pending; `by` tells a retry that it has been done."""
    rows(
        tx,
        f"MATCH {_GRAPH} SET g.run = $run, g.run_id = $run_id, g.size = $size, g.others = $others, "
        "g.schema = $schema, g.stamp = g.stamp + 1, g.shown_by = $by, "
        "g.pending = null, g.pending_id = null, g.pending_size = null",
        run=run,
        run_id=run_id,
        size=size,
        others=list(others),
        by=by,
        schema=SCHEMA_VERSION,
    )


def shown_by(tx: Transaction, by: str) -> bool:
    """Whether a publication has been shown: its commit may succeed without the client learning of it."""
    return bool(rows(tx, f"MATCH {_GRAPH} WHERE g.shown_by = $by RETURN 1", by=by))


def await_changes(tx: Transaction, pending: Pending) -> None:
    """Let changes be pending: from now on they will be made, by whoever comes."""
    rows(
        tx,
        f"MATCH {_GRAPH} SET g.pending = $token, g.pending_id = $run_id, g.pending_size = $size",
        token=pending.token,
        run_id=pending.run_id,
        size=pending.size,
    )


def set_others(tx: Transaction, others: tuple[int, ...]) -> None:
    """Note which numbers besides the current one may be in the database."""
    rows(tx, f"MATCH {_GRAPH} SET g.others = $others", others=list(others))


def claim_batch(tx: Transaction, token: str, batch: int) -> bool:
    """Whether a batch is to be written by this transaction; False when it has been before.

    Raises RingfenceError when another process has begun to publish.
    """
    found = rows(
        tx,
        f"MATCH {_PUBLISHER} WHERE p.token = $token SET p.lock = true REMOVE p.lock "
        "WITH p, p.batch AS before SET p.batch = CASE WHEN before < $batch THEN $batch ELSE before END "
        "RETURN before",
        token=token,
        batch=batch,
    )
    if not found:
        raise outrun()
    return bool(found[0][0] < batch)


def outrun() -> RingfenceError:
    """What to say to a publisher who lost the right to another one."""
    return RingfenceError(
        "another process has begun to publish a graph in this database",
        "Wait until it is done, then publish again: ringfence run",
    )


def end_others(tx: Transaction) -> None:
    """Accept no more batches of any publication."""
    rows(tx, f"MATCH {_PUBLISHER} REMOVE p.token")


def end_publication(tx: Transaction, token: str) -> bool:
    """Accept no more batches of it; returns whether any would have been accepted."""
    return bool(rows(tx, f"MATCH {_PUBLISHER} WHERE p.token = $token REMOVE p.token RETURN 1", token=token))


def begin_publication(tx: Transaction, token: str) -> int:
    """From now on only batches of this publication are accepted; returns the number for what it writes."""
    state = lock_state(tx)
    run = max(state.run, *state.others, 0) + 1
    set_others(tx, (*state.others, run))
    rows(tx, f"MATCH {_PUBLISHER} SET p.token = $token, p.batch = 0", token=token)
    return run


def forget_older(tx: Transaction) -> int:
    """Remove some of what an older schema has; returns how much."""
    removed = number(
        tx,
        f"MATCH (n) WHERE n.run IS NOT NULL AND NOT n:{STATE} WITH n LIMIT {ROWS} DETACH DELETE n RETURN count(n)",
    )
    if not removed:
        rows(tx, f"MATCH {_GRAPH} DELETE g")
    return removed


def take_lock(tx: Transaction, token: str) -> None:
    """Be the one who publishes for as long as the transaction lasts; waits for who is."""
    rows(tx, f"MATCH (l:{STATE} {{key: 'lock'}}) SET l.holder = $token", token=token)


def close_gate(tx: Transaction, *, closed: bool) -> None:
    """Close the gate or open it."""
    change = "SET b.closed = timestamp()" if closed else "REMOVE b.closed"
    rows(tx, f"MATCH (b:{STATE} {{key: 'gate'}}) {change}")


def set_kept(tx: Transaction, run: int, keys: list[str], status: str | None, at: int) -> int:
    """Set or forget the status of organizations; returns how many of them exist.

    It is written twice: on the organization for whoever looks at it, and apart so that it outlasts the node.
    """
    organization = NODES["Organization"]
    found = (
        f"UNWIND $keys AS key MATCH (o:`{organization.label}` {{run: $run, `{organization.key.name}`: key}})"
    )
    if status is None:
        change = (
            f"REMOVE o.status, o.status_at WITH o, key OPTIONAL MATCH (k:{KEPT} {{key: key}}) DELETE k "
            "RETURN count(DISTINCT o)"
        )
    else:
        moment = "datetime.fromEpoch($seconds, $nanoseconds)"
        change = (
            f"SET o.status = $status, o.status_at = {moment} MERGE (k:{KEPT} {{key: key}}) "
            f"SET k.status = $status, k.status_at = {moment} RETURN count(DISTINCT o)"
        )
    seconds, microseconds = divmod(at, 1_000_000)
    times = {"seconds": seconds, "nanoseconds": microseconds * 1000}
    return int(rows(tx, f"{found} {change}", run=run, keys=keys, status=status, **times)[0][0])


def restore_kept(tx: Transaction, run: int) -> None:
    """Give the organizations of a run the statuses that are kept."""
    organization = NODES["Organization"]
    rows(
        tx,
        f"MATCH (k:{KEPT}) MATCH (o:`{organization.label}` {{run: $run, `{organization.key.name}`: k.key}}) "
        "WHERE o.status IS NULL SET o.status = k.status, o.status_at = k.status_at",
        run=run,
    )
