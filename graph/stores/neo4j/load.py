"""Writing a whole run under a number of its own, and removing one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, Protocol, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from graph.errors import RingfenceError
from graph.schema import NODES, RELATIONSHIPS, NodeType, RelationshipType
from graph.store import GraphChanges, GraphView, Progress
from graph.stores.neo4j.schema import (
    ROWS,
    Transaction,
    by_key,
    create_nodes,
    create_relationships,
    node_rows,
    number,
    quoted,
    relationship_rows,
    rows,
    slices,
)

STAGE = "publish graph"
T = TypeVar("T")
Read = Callable[[str], Iterator[pa.RecordBatch]]
Work = Callable[[Transaction], None]
Write = Callable[[Work], None]
"""Does some work in a transaction, exactly once."""


class Repeat(Protocol):
    """Does some work in a transaction, perhaps more than once, and returns what it did."""

    def __call__(self, work: Callable[[Transaction], T]) -> T:
        """Do it."""


@dataclass
class Held:
    """A view with all rows in memory: few enough for one transaction."""

    run_id: str
    size: int = 0
    put_nodes: dict[str, list[pa.RecordBatch]] = field(default_factory=dict)
    put_relationships: dict[str, list[pa.RecordBatch]] = field(default_factory=dict)

    def nodes(self, label: str) -> Iterator[pa.RecordBatch]:
        """See `GraphView.nodes`."""
        return iter(self.put_nodes.get(label, ()))

    def relationships(self, name: str) -> Iterator[pa.RecordBatch]:
        """See `GraphView.relationships`."""
        return iter(self.put_relationships.get(name, ()))

    def changes_since(self, run_id: str) -> GraphChanges | None:
        """See `GraphView.changes_since`: not known."""


def held_view(view: GraphView, most: int) -> Held | None:
    """A view in memory; None if it has more than `most` rows."""
    held = Held(view.run_id)
    nodes = _hold(held, held.put_nodes, NODES, view.nodes, most)
    return (
        held
        if nodes and _hold(held, held.put_relationships, RELATIONSHIPS, view.relationships, most)
        else None
    )


def _hold(
    held: Held, kept: dict[str, list[pa.RecordBatch]], names: Iterable[str], read: Read, most: int
) -> bool:
    for name in names:
        for batch in read(name):
            kept.setdefault(name, []).append(batch)
            held.size += len(batch)
            if held.size > most:
                return False
    return True


def load(view: GraphView, run: int, write: Write, progress: Progress) -> int:
    """Write a whole view under a number that has nothing yet; returns the number of rows.

    Raises RingfenceError when the view breaks its promises: unsorted keys, relationships to nowhere.
    """
    done = 0
    with ThreadPoolExecutor(1) as pool:  # while the server writes a batch the next one is made ready
        running: tuple[Future[None], int] | None = None
        for work, size in chain(_creations(view, run), [(None, 0)]):
            if running is not None:
                running[0].result()
                done += running[1]
                progress(STAGE, done, None)
            running = None if work is None else (pool.submit(write, work), size)
    return done


def _creations(view: GraphView, run: int) -> Iterator[tuple[Work, int]]:
    for node in NODES.values():
        for part in parts(_ascending(view.nodes(node.label), node), node.arrow, node.label):
            yield _simple(create_nodes(node), node_rows(node, part), run), part.num_rows
    for rel in RELATIONSHIPS.values():
        for part in parts(view.relationships(rel.name), rel.arrow, rel.name):
            yield _connection(rel, part, run, create_relationships(rel)), part.num_rows


def _simple(statement: str, values: list[Any], run: int) -> Work:
    def work(tx: Transaction) -> None:
        rows(tx, statement, rows=values, run=run)

    return work


def _connection(rel: RelationshipType, part: pa.RecordBatch, run: int, statement: str) -> Work:
    values = relationship_rows(part)

    def work(tx: Transaction) -> None:
        if number(tx, statement, rows=values, run=run) != len(values):
            raise unfit(rel)

    return work


def unfit(rel: RelationshipType) -> RingfenceError:
    """What to say of a relationship whose end is not in the graph."""
    return RingfenceError(
        f"a {rel.name} relationship names a {rel.source} or a {rel.target} that is not among the nodes",
        "The run's files do not fit together: start it again with `ringfence run`.",
    )


def parts(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema | None = None, name: str = ""
) -> Iterator[pa.RecordBatch]:
    """Batches of a schema in parts that are as large as a statement takes."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        if schema is not None:
            _check_schema(batch, schema, name)
        waiting.append(batch)
        if sum(one.num_rows for one in waiting) >= ROWS:
            yield from slices(pa.concat_batches(waiting))
            waiting = []
    if waiting:
        yield from slices(pa.concat_batches(waiting))


def clear(run: int, repeat: Repeat) -> None:
    """Remove all that has a number, some thousand rows at a time.

    Relationships go first, from their sources, so that no node has so many that its removal needs a transaction
    larger than any other.
    """
    for label in dict.fromkeys(rel.source for rel in RELATIONSHIPS.values()):
        after: str | None = ""
        while after is not None:
            after = repeat(partial(_forget_relationships, node=NODES[label], run=run, after=after))
    for node in NODES.values():
        while repeat(partial(_forget_nodes, node=node, run=run)):
            pass


def _forget_relationships(tx: Transaction, node: NodeType, run: int, after: str) -> str | None:
    """Remove what starts at the next nodes of a label; returns the key of the last of them."""
    key = f"n.{quoted(node.key.name)}"
    statement = (
        f"MATCH (n:{quoted(node.label)}) {by_key('n', node)} WHERE n.run = $run AND {key} > $after "
        f"WITH n ORDER BY n.run, {key} LIMIT {ROWS // 4} "
        f"CALL (n) {{ MATCH (n)-[r]->() DELETE r }} RETURN max({key})"
    )
    last: str | None = rows(tx, statement, run=run, after=after)[0][0]
    return last


def _forget_nodes(tx: Transaction, node: NodeType, run: int) -> int:
    """Remove the next nodes of a label; returns how many."""
    key = f"n.{quoted(node.key.name)}"
    statement = (
        f"MATCH (n:{quoted(node.label)}) {by_key('n', node)} WHERE n.run = $run AND {key} >= '' "
        f"WITH n LIMIT {ROWS} "
        "DETACH DELETE n RETURN count(n)"
    )
    return number(tx, statement, run=run)


def clear_at_once(tx: Transaction, run: int) -> None:
    """Remove a small graph."""
    labels = "|".join(quoted(label) for label in NODES)
    rows(tx, f"MATCH (n:{labels}) WHERE n.run = $run DETACH DELETE n", run=run)


def _check_schema(batch: pa.RecordBatch, schema: pa.Schema, name: str) -> None:
    if batch.schema != schema:
        raise RingfenceError(
            f"record batches of {name} do not have the schema of graph/schema.py",
            f"Expected:\n{schema}\nfound:\n{batch.schema}",
        )


def _ascending(batches: Iterable[pa.RecordBatch], node: NodeType) -> Iterator[pa.RecordBatch]:
    """The batches, as long as their keys ascend."""
    last = pa.array([], node.key.type.arrow)
    for batch in batches:
        _check_schema(batch, node.arrow, node.label)
        keys = pa.concat_arrays([last, batch.column(0)])
        if len(keys) > 1 and not pc.all(pc.less(keys[:-1], keys[1:])).as_py():
            raise RingfenceError(
                f"nodes of {node.label} do not come in ascending order of their unique {node.key.name}",
                "The run's files hold a node twice: start it again with `ringfence run`.",
            )
        last = keys[-1:]
        yield batch
