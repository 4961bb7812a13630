"""What every home of the graph can do, in plain values.

A store shows one published run. Answers are ordered by a unique key and say when they were cut, so that the
same question gets the same answer from every backend.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

import pyarrow as pa

Value = str | int | float | bool | datetime | None
Progress = Callable[[str, int, int | None], None]
KeysOf = Callable[[str], Iterable[tuple[str, bytes]]]
T = TypeVar("T")

DEGREE_CAP = 200
PAGE = 50


def quiet(stage: str, done: int, total: int | None) -> None:
    """A progress callback that shows nothing."""


@dataclass(frozen=True, order=True)
class NodeRef:
    """Which node: its label, and its key as text (32 lower hex digits for identifiers, else the id)."""

    label: str
    key: str


@dataclass(frozen=True)
class Node:
    """A node with its properties; times are aware UTC datetimes."""

    ref: NodeRef
    name: str | None
    degree: int | None
    properties: Mapping[str, Value]


@dataclass(frozen=True)
class Relationship:
    """A relationship with its properties; `degree` counts the relationships of its type at the target."""

    type: str
    source: NodeRef
    target: NodeRef
    degree: int
    properties: Mapping[str, Value]


@dataclass(frozen=True)
class Page(Generic[T]):
    """The first items of an answer, and how many there are in all."""

    items: tuple[T, ...]
    total: int

    @property
    def cut(self) -> bool:
        """Whether there is more than what is shown."""
        return self.total > len(self.items)

    @property
    def note(self) -> str:
        """`50 of 3,214` when cut, else the number alone."""
        return f"{len(self.items):,} of {self.total:,}" if self.cut else f"{self.total:,}"


@dataclass(frozen=True)
class Expansion(Page[Relationship]):
    """What `expand` found, and how many nodes it left out because too many share them."""

    hubs: int = 0


class Match(StrEnum):
    """How a query met a node, best first."""

    EXACT = "exact"
    SPELLING = "other spelling"
    LOOK_ALIKE = "look-alike"
    PREFIX = "prefix"


@dataclass(frozen=True)
class Found:
    """A node that answers a search."""

    ref: NodeRef
    name: str | None
    match: Match
    degree: int | None


@dataclass(frozen=True)
class SharedIdentifier:
    """An identifier that two organizations share, with how each of them used it."""

    type: str
    identifier: NodeRef
    name: str | None
    degree: int
    a: Mapping[str, Value] = field(default_factory=dict)
    b: Mapping[str, Value] = field(default_factory=dict)


class GraphView(Protocol):
    """One run, ready to be published: record batches by label and by relationship type.

    Batches have the schema that `graph.schema` declares. Nodes of a label come in ascending order of their
    unique key; a degree property equals the number of relationships that point at the node. Relationships
    come in ascending order of target and source where speed matters, each pair once.
    """

    @property
    def run_id(self) -> str:
        """The run it shows."""

    def nodes(self, label: str) -> Iterator[pa.RecordBatch]:
        """All nodes of a label."""

    def relationships(self, name: str) -> Iterator[pa.RecordBatch]:
        """All relationships of a type."""


class GraphStore(Protocol):
    """A home of the graph."""

    def close(self) -> None:
        """Give back what the store holds; it opens again when it is next asked."""

    def migrate(self) -> None:
        """Make the store ready for this version's schema. Raises RingfenceError if it is of a newer one."""

    def run_id(self) -> str | None:
        """The run that is shown, or None before the first publication."""

    def publish(self, view: GraphView, progress: Progress = quiet) -> None:
        """Show another run from now on: all of it or, on failure, still the one before."""

    def get_node(self, label: str, key: str) -> Node | None:
        """One node."""

    def get_nodes(self, refs: Sequence[NodeRef]) -> dict[NodeRef, Node]:
        """Those of the nodes that exist."""

    def find(
        self,
        text: str,
        *,
        keys_of: KeysOf | None = None,
        labels: Collection[str] | None = None,
        limit: int = PAGE,
    ) -> Page[Found]:
        """Nodes whose id or value is `text`, is spelled otherwise, looks like it, or begins with it.

        `keys_of` tells the (kind, key) that `text` would have as each kind of identifier (see
        `graph.lookup`); without it secrets, which are kept as keys only, are not found.
        Ordered by match, text, label and key.
        """

    def expand(
        self,
        frontier: Collection[NodeRef],
        *,
        types: Collection[str] | None = None,
        degree_cap: int | None = DEGREE_CAP,
        limit: int = 10_000,
    ) -> Expansion:
        """All relationships at the nodes of `frontier`, in either direction: the one traversal primitive.

        Relationships whose target has more than `degree_cap` of them are left out (None: none are).
        Ordered by type, target key and source key.
        """

    def shared_identifiers(self, a: NodeRef, b: NodeRef, *, limit: int = PAGE) -> Page[SharedIdentifier]:
        """Identifiers that both organizations use, rarest first, then by type and key."""

    def scan(self, name: str) -> pa.RecordBatchReader:
        """All nodes of a label or all relationships of a type as Arrow, in the order of `GraphView`."""
