"""Graph views written by hand or drawn by hypothesis, and the same graph in networkx."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import networkx as nx
import pyarrow as pa

from graph.confusables import skeleton
from graph.identifiers import SECRET_KINDS, Keyer, Kind
from graph.lookup import organization_ref
from graph.schema import EVIDENCE, LINK_OF_KIND, NODE_OF_KIND, NODES, RELATIONSHIPS
from graph.store import NodeRef

PEPPER = b"p" * 32
KEYER = Keyer(PEPPER)
START = datetime(2025, 10, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


NASTY = (
    "o'brien",
    'say "hello"',
    "two\nlines\r\n",
    "back`tick",
    "\u202eevil\u202c",
    '\'; DROP TABLE "Organization"; --',
    "MATCH (n) DETACH DELETE n",
    "%_[a-z]*?",
    "org" + "x" * 10_000,
    "org" + "x" * 9_999 + "y",
    " spaced ",
    "-1",
    "1e5",
    "ünï\U0001f600",
    "\U0010ffff",
    "nul\x00inside",
    "nul\x00within",
)
"""Ids that are stored and found, and never interpreted."""
SHORT = tuple(each for each in NASTY if len(each) < 1_000)
"""Those that are no longer than ids of our own making could be."""


class Edge(NamedTuple):
    """A relationship without its properties."""

    type: str
    target: NodeRef
    source: NodeRef
    degree: int


def org_ref(name: str) -> NodeRef:
    """The node of an organization."""
    return organization_ref(name, PEPPER)


def ref(kind: str, text: str) -> NodeRef:
    """The node of an identifier."""
    key = KEYER.identify(Kind(kind), text)
    assert key is not None
    return NodeRef(NODE_OF_KIND[kind].label, key.hex())


@dataclass
class HandView:
    """Who uses what, as (kind, canonical text, org_id), the members of clusters, and who brought whom.

    `shows` are the points of each cluster by signal; `before` is the view that `changes_since` compares with.
    `created` and `last` say when organizations were created (None: unknown) and last active, `seen` when a use
    began and ended, where that is not START and an hour later.
    """

    organizations: Sequence[str]
    uses: Sequence[tuple[str, str, str]] = ()
    clusters: dict[str, Sequence[str]] = field(default_factory=dict)
    run_id: str = "run_one"
    referrals: Sequence[tuple[str, str]] = ()
    shows: dict[str, dict[str, float]] = field(default_factory=dict)
    risks: dict[str, float] = field(default_factory=dict)
    before: HandView | None = None
    created: dict[str, datetime | None] = field(default_factory=dict)
    last: dict[str, datetime] = field(default_factory=dict)
    seen: dict[tuple[str, str, str], tuple[datetime, datetime]] = field(default_factory=dict)

    def nodes(self, label: str) -> Iterator[pa.RecordBatch]:
        node = NODES[label]
        yield from _batches(self.node_rows(label), node.arrow)

    def relationships(self, name: str) -> Iterator[pa.RecordBatch]:
        yield from _batches(self.relationship_rows(name), RELATIONSHIPS[name].arrow)

    def changes_since(self, run_id: str) -> HandChanges | None:
        return HandChanges(self.before, self) if self.before and self.before.run_id == run_id else None

    def node_rows(self, label: str) -> list[dict[str, Any]]:
        node = NODES[label]
        rows = {
            "Organization": self._organization_rows,
            "Cluster": self._cluster_rows,
            "Signal": self._signal_rows,
            "Run": self._run_rows,
        }.get(label, lambda: self._identifier_rows(str(node.kind)))()
        return sorted(rows, key=lambda row: row[node.key.name])

    def relationship_rows(self, name: str) -> list[dict[str, Any]]:
        return sorted(self._relationship_rows(name), key=lambda row: (row["target"], row["source"]))

    def edges(self, types: Collection[str] | None = None) -> list[Edge]:
        """All relationships, ascending by type, target and source."""
        found = []
        for name, rel in RELATIONSHIPS.items():
            rows = self._relationship_rows(name) if types is None or name in types else []
            degree = Counter(row["target"] for row in rows)
            found += [
                Edge(
                    name,
                    _ref(rel.target, row["target"]),
                    _ref(rel.source, row["source"]),
                    degree[row["target"]],
                )
                for row in rows
            ]
        return sorted(found)

    def oracle(self, types: Collection[str] | None = None, cap: int | None = None) -> nx.Graph:
        """The same graph without directions; relationships at a target above `cap` left out."""
        graph = nx.Graph()
        graph.add_nodes_from(org_ref(org) for org in self.organizations)
        for edge in self.edges(types):
            if cap is None or edge.degree <= cap:
                graph.add_edge(edge.source, edge.target, edge=edge)
        return graph

    def sharing(self, cluster: str) -> nx.Graph:
        """The members of a cluster and the identifiers that two or more of them use."""
        members = {org_ref(org) for org in self.clusters[cluster]}
        inside = [edge for edge in self.edges(EVIDENCE) if edge.source in members]
        users = Counter(edge.target for edge in inside)
        graph = nx.Graph()
        graph.add_nodes_from(members)
        graph.add_edges_from((edge.source, edge.target) for edge in inside if users[edge.target] > 1)
        return graph

    def _organization_rows(self) -> list[dict[str, Any]]:
        brought = Counter(referrer for _, referrer in self.referrals)
        return [
            {
                "key": _key(org),
                "org_id": org,
                "events": 1,
                "created_at": self.created.get(org, START),
                "first_at": START,
                "last_at": self.last.get(org, START + HOUR),
                "referred": brought[org],
            }
            for org in self.organizations
        ]

    def _signal_rows(self) -> list[dict[str, Any]]:
        clusters = Counter(signal for points in self.shows.values() for signal in points)
        return [
            {"signal": signal, "title": signal.title(), "group": "common", "clusters": count}
            for signal, count in clusters.items()
        ]

    def _identifier_rows(self, kind: str) -> list[dict[str, Any]]:
        texts: dict[str, set[str]] = {}
        for found, text, org in self.uses:
            if found == kind:
                texts.setdefault(text, set()).add(org)
        return [_identifier(kind, text, len(orgs)) for text, orgs in texts.items()]

    def _cluster_rows(self) -> list[dict[str, Any]]:
        return [
            {
                "cluster_id": name,
                "name": f"Ring {name}",
                "size": len(orgs),
                "risk": self.risks.get(name, 50.0),
                "pattern": "mixed" if len(orgs) % 2 else "trial_farm",
                "cost": 1.5 * len(orgs),
                "actionable": len(orgs) // 3,
                "new_24h": len(orgs) // 2,
            }
            for name, orgs in self.clusters.items()
        ]

    def _run_rows(self) -> list[dict[str, Any]]:
        return [{"run_id": self.run_id, "as_of": START, "clusters": len(self.clusters)}]

    def _relationship_rows(self, name: str) -> list[dict[str, Any]]:
        if name == "MEMBER_OF":
            return [
                {"source": _key(org), "target": cluster, "member_risk": 40.0}
                for cluster, orgs in self.clusters.items()
                for org in orgs
            ]
        if name == "SHOWS":
            return [
                {"source": cluster, "target": signal, "points": points, "fact": "So it is."}
                for cluster, found in self.shows.items()
                for signal, points in found.items()
            ]
        if name == "REFERRED_BY":
            return [
                {"source": _key(org), "target": _key(referrer), "first_at": START}
                for org, referrer in self.referrals
            ]
        if name == "IN_RUN":
            return [{"source": cluster, "target": self.run_id} for cluster in self.clusters]
        return [self._use_row(*use) for use in dict.fromkeys(self.uses) if LINK_OF_KIND[use[0]].name == name]

    def _use_row(self, kind: str, text: str, org: str) -> dict[str, Any]:
        first, last = self.seen.get((kind, text, org), (START, START + HOUR))
        ends = {"source": _key(org), "target": _identifier_key(kind, text)}
        return ends | {"first_at": first, "last_at": last, "uses": 2, "weight": 0.5}


@dataclass
class HandChanges:
    """What turns one view into another."""

    before: HandView
    after: HandView

    @property
    def run_id(self) -> str:
        return self.after.run_id

    def nodes(self, label: str) -> Iterator[pa.RecordBatch]:
        known = self.before.node_rows(label)
        rows = [row for row in self.after.node_rows(label) if row not in known]
        yield from _batches(rows, NODES[label].arrow)

    def gone_nodes(self, label: str) -> Iterator[pa.Array]:
        key = NODES[label].key
        left = {row[key.name] for row in self.after.node_rows(label)}
        gone = [row[key.name] for row in self.before.node_rows(label) if row[key.name] not in left]
        yield pa.array(gone, key.type.arrow)

    def relationships(self, name: str) -> Iterator[pa.RecordBatch]:
        known = self.before.relationship_rows(name)
        rows = [row for row in self.after.relationship_rows(name) if row not in known]
        yield from _batches(rows, RELATIONSHIPS[name].arrow)

    def gone_relationships(self, name: str) -> Iterator[pa.RecordBatch]:
        left = {(row["source"], row["target"]) for row in self.after.relationship_rows(name)}
        known = self.before.relationship_rows(name)
        rows = [row for row in known if (row["source"], row["target"]) not in left]
        schema = RELATIONSHIPS[name].arrow
        yield from _batches(rows, pa.schema([schema.field("source"), schema.field("target")]))


def _identifier(kind: str, text: str, degree: int) -> dict[str, Any]:
    secret = kind in SECRET_KINDS
    return {
        "key": _identifier_key(kind, text),
        "canonical": None if secret else text,
        "display": f"…{text[-4:]}" if secret else text,
        "skeleton": None if secret else skeleton(text),
        "hidden": False,
        "degree": degree,
        "first_at": START,
        "last_at": START + HOUR,
    }


def _identifier_key(kind: str, text: str) -> bytes:
    return bytes.fromhex(ref(kind, text).key)


def _key(org: str) -> bytes:
    return KEYER.key(Kind.ORGANIZATION, org)


def _ref(label: str, key: bytes | str) -> NodeRef:
    return NodeRef(label, key.hex() if isinstance(key, bytes) else key)


def _batches(rows: list[dict[str, Any]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(rows), 3):  # several batches, so that their seams are tested
        yield _batch(rows[start : start + 3], schema)


def _batch(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
    columns = [pa.array([row.get(column.name) for row in rows], column.type) for column in schema]
    return pa.record_batch(columns, schema=schema)
