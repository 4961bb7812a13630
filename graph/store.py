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

    def __hash__(self) -> int:
        return hash(self.key)  # few keys are of two labels, and searches look up very many


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
    """What `expand` found, and the nodes that it left out because too many share them."""

    left_out: frozenset[NodeRef] = frozenset()

    @property
    def hubs(self) -> int:
        """How many nodes were left out."""
        return len(self.left_out)


class Follow(StrEnum):
    """Which relationships at a frontier are followed: those that start there, those that end there, or both."""

    BOTH = "both"
    OUT = "out"
    IN = "in"


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


class ClusterOrder(StrEnum):
    """What clusters are sorted by, largest first; the cluster's id decides between equals."""

    RISK = "risk"
    SIZE = "size"
    COST = "cost"
    NEW = "new_24h"


@dataclass(frozen=True)
class ClusterFilter:
    """Which clusters are asked for: all conditions hold. `text` begins the id or the name."""

    min_risk: float = 0
    max_risk: float = 100
    min_size: int = 0
    pattern: str | None = None
    text: str | None = None


EVERY_CLUSTER = ClusterFilter()


@dataclass(frozen=True)
class ClusterPage(Page[Node]):
    """Some clusters in order, how many there are in all, and the cursor of the next page if there is one."""

    after: str | None = None


@dataclass(frozen=True)
class Subgraph:
    """A cluster by column: its members, the identifiers that they share, and who uses which.

    `organizations`: the columns of Organization with its kept ones, and those of MEMBER_OF, ascending by key.
    `identifiers`: label, key (32 hex digits), display, hidden, degree (organizations that use it, of all), and
    members (those of them in this cluster), ascending by label and key.
    `relationships`: type, source and target (row numbers, int32, into the two others), first_at, last_at, uses,
    weight, evidence_class, ascending by target and source.
    `cells` are the circles in which it is drawn (`graph.layouts`); the nodes then have x, y and cell, too. None where
    the run has no layout.
    `total` counts the identifiers that there are; the table has those that most members share first of all.
    """

    cluster: Node
    organizations: pa.Table
    identifiers: pa.Table
    relationships: pa.Table
    total: int
    cells: pa.Table | None = None

    @property
    def cut(self) -> bool:
        """Whether identifiers were left out."""
        return self.total > int(self.identifiers.num_rows)


@dataclass(frozen=True)
class Rows:
    """The answer of a query by row; keys are hex text, times aware UTC datetimes. `cut` says that there are more."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    cut: bool


class GraphChanges(Protocol):
    """What makes one run out of another: rows to put in or replace, and what is there no more.

    Nodes come before the relationships that need them. Batches have the schema that `graph.schema` declares.
    """

    @property
    def run_id(self) -> str:
        """The run that is shown once these are applied."""

    def nodes(self, label: str) -> Iterator[pa.RecordBatch]:
        """New and changed nodes of a label, ascending by key."""

    def gone_nodes(self, label: str) -> Iterator[pa.Array]:
        """Keys of nodes that are to be removed."""

    def relationships(self, name: str) -> Iterator[pa.RecordBatch]:
        """New and changed relationships of a type, ascending by target and source."""

    def gone_relationships(self, name: str) -> Iterator[pa.RecordBatch]:
        """Source and target of relationships that are to be removed."""


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

    def changes_since(self, run_id: str) -> GraphChanges | None:
        """How it differs from another run; None where that is not known, or would be no less work."""


class GraphStore(Protocol):
    """A home of the graph."""

    @property
    def language(self) -> str:
        """What `query` understands: `cypher`, or `sql` over the tables that SQLite has for the schema."""

    def close(self) -> None:
        """Give back what the store holds; it opens again when it is next asked."""

    def migrate(self) -> None:
        """Make the store ready for this version's schema. Raises RingfenceError if it is of a newer one."""

    def run_id(self) -> str | None:
        """The run that is shown, or None before the first publication."""

    def publish(self, view: GraphView, progress: Progress = quiet) -> None:
        """Show another run from now on: all of it or, on failure, still the one before.

        Where the view knows its changes since the run that is shown, only those are written.
        """

    def apply(self, changes: GraphChanges, progress: Progress = quiet) -> None:
        """Put in, replace and remove nodes and relationships, in one step that readers see whole or not at all.

        A removed node takes its relationships with it. The caller keeps degrees right.
        """

    def set_status(self, organizations: Collection[NodeRef], status: str | None, at: datetime) -> int:
        """Record what was done about organizations (None: nothing any more); returns how many of them exist.

        Statuses outlive publications.
        """

    def statuses(self) -> pa.Table:
        """Every organization with a status: key, status, status_at, ascending by key."""

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
        follow: Follow = Follow.BOTH,
    ) -> Expansion:
        """All relationships at the nodes of `frontier`: the one traversal primitive.

        Relationships whose target has more than `degree_cap` of them are left out (None: none are).
        Ordered by type, target key and source key.
        """

    def clusters(
        self,
        where: ClusterFilter = EVERY_CLUSTER,
        *,
        order: ClusterOrder = ClusterOrder.RISK,
        after: str | None = None,
        limit: int = PAGE,
    ) -> ClusterPage:
        """A page of clusters; `after` is the cursor that the page before gave.

        Raises RingfenceError (exit 2) for a cursor that is none, or of another order.
        """

    def cluster_subgraph(
        self, cluster_id: str, *, min_members: int = 2, limit: int = 100_000
    ) -> Subgraph | None:
        """A cluster with the identifiers that at least `min_members` of its members use; None if there is none.

        Of more than `limit` identifiers those that most members use are kept, then those that fewest
        organizations use, then the first by label and key.
        """

    def shared_identifiers(self, a: NodeRef, b: NodeRef, *, limit: int = PAGE) -> Page[SharedIdentifier]:
        """Identifiers that both organizations use, rarest first, then by type and key."""

    def query(
        self, text: str, parameters: Mapping[str, Value], *, limit: int = 1_000, timeout_s: float = 30
    ) -> Rows:
        """The rows of a query in the store's language, read only: what would write is refused.

        Raises RingfenceError for a query that fails, writes, or takes longer than `timeout_s`.
        """

    def scan(self, name: str) -> pa.RecordBatchReader:
        """All nodes of a label or all relationships of a type as Arrow, in the order of `GraphView`."""
