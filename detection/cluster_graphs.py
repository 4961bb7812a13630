"""The graphs of all clusters of a run in columns: organizations, and the identifiers that two members or more use."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from graph.errors import RingfenceError
from graph.keys import Keys, KeySet, concat
from graph.schema import LINK_OF_KIND, NODES
from graph.store import Subgraph

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
LABELS = tuple(sorted(NODES))
"""Labels by their number, in alphabetical order."""
ORGANIZATION = LABELS.index("Organization")


@dataclass(frozen=True)
class ClusterGraphs:
    """Graphs one after the other.

    `ids`: clusters, ascending. Nodes ascend by cluster, label and key: `cluster` and `label` (numbers of both),
    `keys`, `risk` (0 to 100; NaN for an identifier). `starts`: where each cluster's nodes begin, and the end.
    Edges go from the node number `source` (an organization) to `target` (an identifier), ascending by target and
    source.
    """

    ids: pa.Array
    cluster: Ints
    label: Ints
    keys: Keys
    risk: Floats
    starts: Ints
    source: Ints
    target: Ints

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def is_organization(self) -> npt.NDArray[np.bool_]:
        """By node: whether it is an organization."""
        return np.asarray(self.label == ORGANIZATION, dtype=np.bool_)

    def chosen(self, which: npt.NDArray[np.bool_]) -> ClusterGraphs:
        """Some of the clusters: those of `which`."""
        nodes = which[self.cluster]
        edges = nodes[self.source]
        number, cluster = np.cumsum(nodes) - 1, np.cumsum(which) - 1
        sizes = np.diff(self.starts)[which]
        return ClusterGraphs(
            self.ids.filter(pa.array(which)),
            cluster[self.cluster[nodes]],
            self.label[nodes],
            self.keys[nodes],
            self.risk[nodes],
            np.concatenate([[0], np.cumsum(sizes)]),
            number[self.source[edges]],
            number[self.target[edges]],
        )

    def digests(self, salt: bytes) -> list[bytes]:
        """By cluster: a digest of its nodes and edges, and of `salt`."""
        nodes = np.empty(len(self.label), dtype=[("label", "u1"), ("high", ">u8"), ("low", ">u8")])
        nodes["label"], nodes["high"], nodes["low"] = self.label, self.keys.high, self.keys.low
        local = np.stack([self.source, self.target], axis=1) - self.starts[self.cluster[self.source], None]
        ends = np.searchsorted(self.cluster[self.source], np.arange(len(self) + 1)) * 8
        node_bytes, edge_bytes = memoryview(nodes.tobytes()), memoryview(local.astype("<u4").tobytes())
        at = self.starts * nodes.itemsize
        found = []
        for a, b, c, d in zip(at[:-1], at[1:], ends[:-1], ends[1:], strict=True):
            digest = hashlib.blake2b(node_bytes[a:b], digest_size=16, key=salt)
            digest.update(edge_bytes[c:d])
            found.append(digest.digest())
        return found


def graphs_of_run(folder: Path, cluster_id: str | None = None) -> ClusterGraphs:
    """The graphs of a run's clusters, or of one of them, from its tables `members` and `links`.

    Raises RingfenceError when a table is missing or damaged.
    """
    one = None if cluster_id is None else pc.field("cluster_id") == cluster_id
    members = _table(folder, "members", ["organization", "cluster_id", "member_risk"], one)
    links = _table(folder, "links", ["organization", "kind", "key"], None)
    ids = pc.unique(members["cluster_id"]).sort()
    cluster = pc.index_in(members["cluster_id"], value_set=ids).to_numpy().astype(np.int64)
    organizations = Keys.of(members["organization"])
    order = np.lexsort((organizations.low, organizations.high))
    at, place = KeySet(organizations).locate(Keys.of(links["organization"]))
    known = pa.array(list(LINK_OF_KIND))
    label_of = np.array([LABELS.index(rel.target) for rel in LINK_OF_KIND.values()] + [-1])
    kind = pc.index_in(links["kind"].cast(pa.string()), value_set=known).fill_null(-1).to_numpy()
    label = label_of[kind[at]]
    kept = label >= 0  # others only say how well a link is proven, and that link is there too
    at, member, label = at[kept], order[place[kept]], label[kept]
    risk = members["member_risk"].to_numpy().astype(np.float64)
    return _graphs(ids, cluster, organizations, risk, member, label, Keys.of(links["key"])[at])


def graph_of_subgraph(subgraph: Subgraph) -> ClusterGraphs:
    """The graph of one cluster as a store gives it; identifiers that one member uses are left out."""
    organizations, identifiers = subgraph.organizations, subgraph.identifiers
    keys, used = (_edge_keys(table["key"]) for table in (organizations, identifiers))
    labels = pc.index_in(identifiers["label"], value_set=pa.array(LABELS)).to_numpy().astype(np.int64)
    source, target = (subgraph.relationships[end].to_numpy() for end in ("source", "target"))
    return _graphs(
        pa.array([subgraph.cluster.ref.key]),
        np.zeros(len(keys), dtype=np.int64),
        keys,
        organizations["member_risk"].to_numpy().astype(np.float64),
        source.astype(np.int64),
        labels[target],
        used[target],
    )


def _graphs(
    ids: pa.Array, cluster: Ints, organizations: Keys, risk: Floats, member: Ints, label: Ints, keys: Keys
) -> ClusterGraphs:
    """Graphs of members (`cluster`, `organizations`, `risk`) and of who uses what (`member`, `label`, `keys`)."""
    order = np.lexsort((keys.low, keys.high, label, cluster[member]))
    member, label, keys = member[order], label[order], keys[order]
    first = _first_rows(cluster[member], label, keys)
    users = np.diff(first, append=len(member))
    shared = np.repeat(users > 1, users)
    identifier = np.repeat(np.cumsum(users > 1) - 1, users)[shared]  # its number among those that are shared
    first = first[users > 1]
    all_cluster = np.concatenate([cluster, cluster[member[first]]])
    all_label = np.concatenate([np.full(len(cluster), ORGANIZATION), label[first]])
    all_keys = concat([organizations, keys[first]])
    order = np.lexsort((all_keys.low, all_keys.high, all_label, all_cluster))
    number = np.empty(len(order), dtype=np.int64)
    number[order] = np.arange(len(order))
    source, target = number[member[shared]], number[len(cluster) + identifier]
    edges = np.lexsort((source, target))
    return ClusterGraphs(
        ids,
        all_cluster[order],
        all_label[order],
        all_keys[order],
        np.concatenate([risk, np.full(len(first), np.nan)])[order],
        np.searchsorted(all_cluster[order], np.arange(len(ids) + 1)),
        source[edges],
        target[edges],
    )


def _first_rows(cluster: Ints, label: Ints, keys: Keys) -> Ints:
    """Where each identifier of each cluster begins in sorted rows."""
    if not len(label):
        return np.empty(0, dtype=np.int64)
    new = np.zeros(len(label) - 1, dtype=np.bool_)
    for column in (cluster, label, keys.high, keys.low):
        new |= column[1:] != column[:-1]
    return np.concatenate([[0], np.flatnonzero(new) + 1])


def _edge_keys(column: pa.ChunkedArray) -> Keys:
    """Keys of a column of 32 hex digits."""
    raw = [bytes.fromhex(text) for text in column.to_pylist()]
    return Keys.of(pa.array(raw, pa.binary(16)))


def _table(folder: Path, name: str, columns: list[str], where: pc.Expression | None) -> pa.Table:
    path = folder / f"{name}.parquet"
    try:
        return pq.read_table(path, columns=columns, filters=where)
    except (OSError, pa.ArrowException) as error:
        raise RingfenceError(f"cannot read {path}: {error}", "Run again: ringfence run") from error
