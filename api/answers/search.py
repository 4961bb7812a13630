"""Find organizations, clusters and identifiers by what people can type or paste."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from graph.home import load_pepper
from graph.lookup import keys_of
from graph.schema import NODES
from graph.store import Found, GraphStore, NodeRef

SAMPLE = 3


@dataclass(frozen=True)
class Match:
    """One thing found: its kind, what people see of it, how it met the query, and whom it leads to.

    `count` is how many organizations use it (identifiers) or belong to it (clusters).
    """

    kind: str
    display: str
    match: str
    count: int | None
    organizations: list[str] = field(default_factory=list)
    cluster: str | None = None


@dataclass(frozen=True)
class Matches:
    """The first matches, the best first, and how many there are in all."""

    rows: list[Match]
    total: int


def search(store: GraphStore, text: str, limit: int = 20) -> Matches:
    """What is, is spelled like, looks like, or begins with `text`, in the graph of the current run.

    A secret (API key, card, phone) is found when it is typed whole: only its key is compared.
    """
    page = store.find(text, keys_of=keys_of(load_pepper(create=False)), limit=limit)
    organizations = [found.ref for found in page.items if found.ref.label == "Organization"]
    clusters = _clusters(store, organizations)
    return Matches([_match(store, found, clusters) for found in page.items], page.total)


def _match(store: GraphStore, found: Found, clusters: dict[NodeRef, str]) -> Match:
    node = NODES[found.ref.label]
    display = found.name or found.ref.key
    kind = (node.kind or node.label.lower()).replace("_", " ")
    if found.ref.label == "Organization":
        return Match(kind, display, found.match.value, None, [display], clusters.get(found.ref))
    if found.ref.label == "Cluster":
        return Match(kind, found.ref.key, found.match.value, found.degree, cluster=found.ref.key)
    if found.ref.label == "Run":
        return Match(kind, found.ref.key, found.match.value, None)
    return Match(kind, display, found.match.value, found.degree, _users(store, found.ref))


def _users(store: GraphStore, identifier: NodeRef) -> list[str]:
    """Some organizations that use an identifier."""
    found = store.expand([identifier], degree_cap=None, limit=SAMPLE)
    nodes = store.get_nodes([one.source for one in found.items])
    return [nodes[one.source].name or one.source.key for one in found.items if one.source in nodes]


def _clusters(store: GraphStore, organizations: Sequence[NodeRef]) -> dict[NodeRef, str]:
    """The cluster of each organization that is in one."""
    if not organizations:
        return {}
    found = store.expand(organizations, types=["MEMBER_OF"], degree_cap=None)
    return {one.source: one.target.key for one in found.items}
