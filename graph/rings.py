"""What holds a cluster together and how it came about: answers from its subgraph, the same on every backend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from graph.components import Ints, articulations
from graph.errors import RingfenceError
from graph.frontiers import require
from graph.schema import LINK_OF_KIND
from graph.store import DEGREE_CAP, PAGE, GraphStore, Node, NodeRef, Page, Relationship, Subgraph

CLOSE = timedelta(minutes=1)
MAX_BUCKETS = 20_000
USED_ADDRESS = LINK_OF_KIND["ip"].name
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONDAY = timedelta(days=4)  # the epoch was a Thursday
_READ = 100_000


@dataclass(frozen=True)
class CoCreated:
    """An organization created about when another one was; `apart` is later less earlier, from the other's view."""

    organization: NodeRef
    org_id: str | None
    created_at: datetime
    apart: timedelta
    addresses: tuple[NodeRef, ...]


@dataclass(frozen=True)
class CoCreation(Page[CoCreated]):
    """Who was created with an organization; `hubs` counts its addresses that too many others use."""

    hubs: int = 0


def co_creation(
    store: GraphStore,
    organization: NodeRef,
    *,
    within: timedelta = CLOSE,
    degree_cap: int | None = DEGREE_CAP,
    limit: int = PAGE,
) -> CoCreation:
    """The organizations created within a time of this one, on one address: used by both when they were created.

    An address counts for an organization whose use of it, first to last, is no further than `within` from its
    creation. The closest come first, then by key. None where it is not known when the organization was created.
    Raises RingfenceError when the organization is not in the graph.
    """
    created = _created(require(store, [organization])[organization])
    if created is None:
        return CoCreation((), 0)
    own = store.expand([organization], types=[USED_ADDRESS], degree_cap=degree_cap, limit=_READ)
    addresses = [rel.target for rel in own.items if _in_use(rel, created, within)]
    users = store.expand(addresses, types=[USED_ADDRESS], degree_cap=degree_cap, limit=_READ)
    uses: dict[NodeRef, list[Relationship]] = {}
    for rel in users.items:
        if rel.source != organization:
            uses.setdefault(rel.source, []).append(rel)
    nodes = store.get_nodes(sorted(uses))
    found = [
        one
        for ref, node in nodes.items()
        if (one := _co_created(node, uses[ref], created, within)) is not None
    ]
    found.sort(key=lambda one: (abs(one.apart), one.organization))
    return CoCreation(tuple(found[:limit]), len(found), own.hubs)


def _co_created(
    node: Node, uses: Sequence[Relationship], created: datetime, within: timedelta
) -> CoCreated | None:
    when = _created(node)
    if when is None or abs(when - created) > within:
        return None
    addresses = tuple(sorted(rel.target for rel in uses if _in_use(rel, when, within)))
    return CoCreated(node.ref, node.name, when, when - created, addresses) if addresses else None


def _created(node: Node) -> datetime | None:
    created = node.properties.get("created_at")
    return created if isinstance(created, datetime) else None


def _in_use(rel: Relationship, at: datetime, within: timedelta) -> bool:
    first, last = rel.properties["first_at"], rel.properties["last_at"]
    if not isinstance(first, datetime) or not isinstance(last, datetime):
        return False
    return first - within <= at <= last + within


@dataclass(frozen=True)
class TopIdentifier:
    """An identifier that members of a cluster share: by how many of them, and by how many of all."""

    identifier: NodeRef
    display: str | None
    hidden: bool
    members: int
    degree: int


def top_identifiers(store: GraphStore, cluster_id: str, *, limit: int = PAGE) -> Page[TopIdentifier]:
    """What most members of a cluster share, then what fewest organizations use, then by label and key.

    Raises RingfenceError when there is no such cluster.
    """
    graph = _subgraph(store, cluster_id, limit=limit)
    found = [
        TopIdentifier(
            NodeRef(row["label"], row["key"]),
            row["display"],
            bool(row["hidden"]),
            row["members"],
            row["degree"],
        )
        for row in graph.identifiers.to_pylist()
    ]
    found.sort(key=lambda one: (-one.members, one.degree, one.identifier))
    return Page(tuple(found[:limit]), graph.total)


@dataclass(frozen=True)
class Bridge:
    """A member or an identifier without which part of a cluster comes off.

    `organizations` counts the members that then no longer hang together with the most of those that did before.
    """

    node: NodeRef
    name: str | None
    organizations: int


@dataclass(frozen=True)
class Bridges(Page[Bridge]):
    """The bridges of a cluster; `partial` says that it has more identifiers than were looked at."""

    partial: bool = False


def bridges(
    store: GraphStore, cluster_id: str, *, limit: int = PAGE, max_identifiers: int = _READ
) -> Bridges:
    """The members and shared identifiers that hold a cluster together: its articulation points.

    What most members hang on comes first, then by label and key. Ties that are no shared identifiers, such as
    referrals, hold nothing here. Raises RingfenceError when there is no such cluster.
    """
    graph = _subgraph(store, cluster_id, limit=max_identifiers)
    members = graph.organizations.num_rows
    weight = np.zeros(members + graph.identifiers.num_rows, dtype=np.int64)
    weight[:members] = 1
    sources, targets = (_numbers(graph.relationships[name]) for name in ("source", "target"))
    at, off = articulations(sources, targets + members, weight)
    found = [(-int(count), _ref(graph, int(row))) for row, count in zip(at, off, strict=True)]
    found.sort()
    names = store.get_nodes([ref for _, ref in found[:limit]])
    items = [Bridge(ref, names[ref].name if ref in names else None, -count) for count, ref in found[:limit]]
    return Bridges(tuple(items), len(found), graph.cut)


def _ref(graph: Subgraph, row: int) -> NodeRef:
    members = graph.organizations.num_rows
    if row < members:
        key = graph.organizations["key"][row].as_py()
        return NodeRef("Organization", key.hex() if isinstance(key, bytes) else key)
    label, key = (graph.identifiers[name][row - members].as_py() for name in ("label", "key"))
    return NodeRef(label, key)


class Bucket(StrEnum):
    """How long the steps of a timeline are; weeks begin on Monday, all in UTC."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"

    @property
    def length(self) -> timedelta:
        """Its duration."""
        return _LENGTHS[self]


_LENGTHS = {
    Bucket.HOUR: timedelta(hours=1),
    Bucket.DAY: timedelta(days=1),
    Bucket.WEEK: timedelta(weeks=1),
}


@dataclass(frozen=True)
class Timeline:
    """By bucket, from the first sign-up or activity to the last, gaps included: when members signed up, and went
    quiet.

    `starts` are the beginnings of the buckets, ascending; `signups` counts the members created in each, `last_active`
    those whose last event is in it. `undated` counts members that were created before the facts begin.
    """

    bucket: Bucket
    starts: tuple[datetime, ...]
    signups: tuple[int, ...]
    last_active: tuple[int, ...]
    undated: int


def timeline(store: GraphStore, cluster_id: str, bucket: Bucket | str = Bucket.DAY) -> Timeline:
    """When the members of a cluster signed up and were last active.

    Raises RingfenceError when there is no such cluster or bucket, or the buckets would be too many.
    """
    size = _bucket(bucket)
    graph = _subgraph(store, cluster_id, limit=0)
    created, last = (_buckets(graph.organizations[name], size) for name in ("created_at", "last_at"))
    every = np.concatenate([created, last])
    if not len(every):
        return Timeline(size, (), (), (), graph.organizations.num_rows)
    first, count = int(every.min()), int(every.max() - every.min()) + 1
    if count > MAX_BUCKETS:
        raise RingfenceError(
            f"{count:,} buckets of one {size} are too many to show", "Choose day or week.", exit_code=2
        )
    origin = _EPOCH + (_MONDAY if size is Bucket.WEEK else timedelta())
    return Timeline(
        bucket=size,
        starts=tuple(origin + (first + step) * size.length for step in range(count)),
        signups=tuple(np.bincount(created - first, minlength=count).tolist()),
        last_active=tuple(np.bincount(last - first, minlength=count).tolist()),
        undated=graph.organizations.num_rows - len(created),
    )


def _bucket(bucket: Bucket | str) -> Bucket:
    try:
        return Bucket(bucket)
    except ValueError as error:
        raise RingfenceError(
            f"a timeline has no bucket {bucket!r}", f"Choose from: {', '.join(Bucket)}.", exit_code=2
        ) from error


def _buckets(moments: pa.ChunkedArray, size: Bucket) -> Ints:
    """The number of the bucket of each moment that is known, counted from 1970."""
    microseconds = _numbers(moments.drop_null().cast(pa.timestamp("us")).cast(pa.int64()))
    origin = _MONDAY if size is Bucket.WEEK else timedelta()
    return (microseconds - origin // timedelta(microseconds=1)) // (size.length // timedelta(microseconds=1))


def _numbers(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    return np.asarray(column.to_numpy(), dtype=np.int64)


def _subgraph(store: GraphStore, cluster_id: str, *, limit: int) -> Subgraph:
    found = store.cluster_subgraph(cluster_id, limit=limit)
    if found is None:
        raise RingfenceError(
            f"the graph has no cluster {cluster_id}", "List the clusters: ringfence clusters", exit_code=2
        )
    return found
