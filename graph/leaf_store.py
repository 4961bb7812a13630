"""A graph store that also shows what one organization alone has: reads answer from the run's index too.

Leaves are shown, and are no way to anywhere else: a search for connections does without them (`shared_only`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from graph.layouts import drawn
from graph.run_index import Leaf, LeafIndex, key_bytes
from graph.schema import EVIDENCE, LINK_OF_KIND, NODE_OF_KIND, NODES
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
    GraphStore,
    GraphView,
    KeysOf,
    Match,
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

_RANK = {match: rank for rank, match in enumerate(Match)}
_IDENTIFIERS = frozenset(rel.target for rel in LINK_OF_KIND.values())
_EVIDENCE = frozenset(EVIDENCE)
_ORGANIZATIONS = frozenset(rel.source for rel in LINK_OF_KIND.values())


def shared_only(store: GraphStore) -> GraphStore:
    """The store without leaves."""
    return store.store if isinstance(store, WithLeaves) else store


class WithLeaves:
    """A GraphStore that decorates another one with the leaves, and the layout, of the run that it shows.

    `run` is the run's folder.
    """

    def __init__(self, store: GraphStore, leaves: LeafIndex, run: Path | None = None) -> None:
        self.store = store
        self._leaves = leaves
        self._run = run

    def get_node(self, label: str, key: str) -> Node | None:
        """See `GraphStore.get_node`."""
        ref = NodeRef(label, key)
        return self.get_nodes([ref]).get(ref)

    def get_nodes(self, refs: Sequence[NodeRef]) -> dict[NodeRef, Node]:
        """See `GraphStore.get_nodes`."""
        known = self.store.get_nodes(refs)
        missing = [ref for ref in refs if ref not in known and ref.label in _IDENTIFIERS]
        return known | self._leaves.nodes(self._find(missing)) if missing else known

    def find(
        self,
        text: str,
        *,
        keys_of: KeysOf | None = None,
        labels: Collection[str] | None = None,
        limit: int = PAGE,
    ) -> Page[Found]:
        """See `GraphStore.find`. Leaves are found by all that has their key: not by look-alikes or prefixes.

        They come after the store's own nodes with the same match.
        """
        page = self.store.find(text, keys_of=keys_of, labels=labels, limit=limit)
        refs = [ref for ref in _candidates(text, keys_of) if labels is None or ref.label in labels]
        known = self.store.get_nodes(refs)
        nodes = self._leaves.nodes(self._find([ref for ref in refs if ref not in known]))
        leaves = [_found(nodes[ref], text) for ref in sorted(nodes)]
        items = sorted([*page.items, *leaves], key=lambda item: _RANK[item.match])
        return Page(tuple(items[:limit]), page.total + len(leaves))

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
        found = self.store.expand(frontier, types=types, degree_cap=degree_cap, limit=limit, follow=follow)
        if types is not None and not _EVIDENCE.intersection(types):
            return found
        sources, targets = follow is not Follow.IN, follow is not Follow.OUT
        organizations = {ref.key for ref in frontier if ref.label in _ORGANIZATIONS and sources}
        identifiers = [ref for ref in frontier if ref.label in _IDENTIFIERS and targets]
        leaves = {*self._leaves.of(organizations), *self._find(identifiers)}
        wanted = [rel for rel in (leaf.relationship for leaf in leaves) if types is None or rel.type in types]
        if degree_cap is not None and degree_cap < 1:
            return Expansion(found.items, found.total, found.left_out | {rel.target for rel in wanted})
        items = sorted([*found.items, *wanted], key=lambda rel: (rel.type, rel.target.key, rel.source.key))
        return Expansion(tuple(items[:limit]), found.total + len(wanted), found.left_out)

    def _find(self, refs: Sequence[NodeRef]) -> list[Leaf]:
        asked = set(refs)
        found = self._leaves.find({ref.key for ref in refs}) if refs else []
        return [leaf for leaf in found if leaf.ref in asked]

    @property
    def language(self) -> str:
        """See `GraphStore.language`."""
        return self.store.language

    def close(self) -> None:
        """See `GraphStore.close`."""
        self.store.close()

    def migrate(self) -> None:
        """See `GraphStore.migrate`."""
        self.store.migrate()

    def run_id(self) -> str | None:
        """See `GraphStore.run_id`."""
        return self.store.run_id()

    def publish(self, view: GraphView, progress: Progress = quiet) -> None:
        """See `GraphStore.publish`. The leaves stay those of the run that this was made for."""
        self.store.publish(view, progress)

    def apply(self, changes: GraphChanges, progress: Progress = quiet) -> None:
        """See `GraphStore.apply`."""
        self.store.apply(changes, progress)

    def set_status(self, organizations: Collection[NodeRef], status: str | None, at: datetime) -> int:
        """See `GraphStore.set_status`."""
        return self.store.set_status(organizations, status, at)

    def statuses(self) -> pa.Table:
        """See `GraphStore.statuses`."""
        return self.store.statuses()

    def clusters(
        self,
        where: ClusterFilter = EVERY_CLUSTER,
        *,
        order: ClusterOrder = ClusterOrder.RISK,
        after: str | None = None,
        limit: int = PAGE,
    ) -> ClusterPage:
        """See `GraphStore.clusters`."""
        return self.store.clusters(where, order=order, after=after, limit=limit)

    def cluster_subgraph(
        self, cluster_id: str, *, min_members: int = 2, limit: int = 100_000
    ) -> Subgraph | None:
        """See `GraphStore.cluster_subgraph`. Leaves are not in it: nobody shares them."""
        found = self.store.cluster_subgraph(cluster_id, min_members=min_members, limit=limit)
        return found if found is None or self._run is None else drawn(found, self._run)

    def shared_identifiers(self, a: NodeRef, b: NodeRef, *, limit: int = PAGE) -> Page[SharedIdentifier]:
        """See `GraphStore.shared_identifiers`."""
        return self.store.shared_identifiers(a, b, limit=limit)

    def query(
        self, text: str, parameters: Mapping[str, Value], *, limit: int = 1_000, timeout_s: float = 30
    ) -> Rows:
        """See `GraphStore.query`."""
        return self.store.query(text, parameters, limit=limit, timeout_s=timeout_s)

    def scan(self, name: str) -> pa.RecordBatchReader:
        """See `GraphStore.scan`."""
        return self.store.scan(name)


def _candidates(text: str, keys_of: KeysOf | None) -> Iterator[NodeRef]:
    """The identifiers that a text may be: by its spelling, or as a key itself."""
    for kind, key in keys_of(text) if keys_of is not None else ():
        if kind in LINK_OF_KIND:
            yield NodeRef(NODE_OF_KIND[kind].label, key.hex())
    key_itself = key_bytes(text)
    if key_itself is not None:
        for label in sorted(_IDENTIFIERS):
            yield NodeRef(label, key_itself.hex())


def _found(node: Node, text: str) -> Found:
    label = NODES[node.ref.label]
    same = [node.properties[column] for column in label.search]
    exact = text in same or key_bytes(text) == bytes.fromhex(node.ref.key)
    return Found(node.ref, node.name, Match.EXACT if exact else Match.SPELLING, 1)
