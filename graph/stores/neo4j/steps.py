"""Changes of what is shown, step by step: each is some thousand rows of one label or type.

A step may be taken twice: what is removed already needs no removing, and what is there is put as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import pyarrow as pa

from graph.schema import NODES, RELATIONSHIPS, NodeType
from graph.store import GraphChanges
from graph.stores.neo4j.load import parts, unfit
from graph.stores.neo4j.schema import (
    Transaction,
    delete_nodes,
    delete_relationships,
    merge_nodes,
    merge_relationships,
    node_rows,
    number,
    relationship_rows,
    rows,
)

_KEY = "key"


class Phase(IntEnum):
    """What a step does. All steps of a phase come before those of the next, and in any order."""

    DROP_RELATIONSHIPS = 0
    DROP_NODES = 1
    PUT_NODES = 2
    PUT_RELATIONSHIPS = 3


@dataclass(frozen=True)
class Step:
    """Some rows of the label or type `name`."""

    phase: Phase
    name: str
    rows: pa.RecordBatch

    def take(self, tx: Transaction, run: int) -> None:
        """Change the run of a number.

        Raises RingfenceError when a relationship is to be put between nodes of which one is not there.
        """
        if self.phase is Phase.DROP_RELATIONSHIPS:
            gone = relationship_rows(self.rows)
            rows(tx, delete_relationships(RELATIONSHIPS[self.name]), rows=gone, run=run)
        elif self.phase is Phase.DROP_NODES:
            keys = [row[0] for row in relationship_rows(self.rows)]
            rows(tx, delete_nodes(NODES[self.name]), rows=keys, run=run)
        elif self.phase is Phase.PUT_NODES:
            node = NODES[self.name]
            rows(tx, merge_nodes(node), rows=node_rows(node, self.rows), run=run)
        else:
            rel, wanted = RELATIONSHIPS[self.name], relationship_rows(self.rows)
            if number(tx, merge_relationships(rel), rows=wanted, run=run) != len(wanted):
                raise unfit(rel)

    def encoded(self) -> bytes:
        """The rows as bytes."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self.rows.schema) as writer:
            writer.write_batch(self.rows)
        return bytes(sink.getvalue())

    @classmethod
    def decoded(cls, phase: int, name: str, stored: bytes) -> Step:
        """A step from what `encoded` gave."""
        with pa.ipc.open_stream(stored) as reader:
            return cls(Phase(phase), name, reader.read_next_batch())


def steps(changes: GraphChanges) -> Iterator[Step]:
    """The steps that make changes, by phase. Raises RingfenceError where batches are not as the schema says."""
    for rel in RELATIONSHIPS.values():
        for part in parts(changes.gone_relationships(rel.name)):
            yield Step(Phase.DROP_RELATIONSHIPS, rel.name, part)
    for node in NODES.values():
        for part in parts(_as_batches(changes.gone_nodes(node.label), node)):
            yield Step(Phase.DROP_NODES, node.label, part)
    for node in NODES.values():
        for part in parts(changes.nodes(node.label), node.arrow, node.label):
            yield Step(Phase.PUT_NODES, node.label, part)
    for rel in RELATIONSHIPS.values():
        for part in parts(changes.relationships(rel.name), rel.arrow, rel.name):
            yield Step(Phase.PUT_RELATIONSHIPS, rel.name, part)


def held_steps(changes: GraphChanges, most: int) -> list[Step] | None:
    """The steps in memory; None if they have more than `most` rows."""
    held: list[Step] = []
    size = 0
    for step in steps(changes):
        held.append(step)
        size += step.rows.num_rows
        if size > most:
            return None
    return held


def _as_batches(keys: Iterator[pa.Array], node: NodeType) -> Iterator[pa.RecordBatch]:
    for some in keys:
        yield pa.record_batch([some.cast(node.key.type.arrow)], names=[_KEY])
