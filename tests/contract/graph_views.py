"""Graph views written by hand or drawn by hypothesis, and the same graph in networkx."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import networkx as nx
import pyarrow as pa

from graph.confusables import skeleton
from graph.identifiers import SECRET_KINDS, Keyer, Kind
from graph.schema import LINK_OF_KIND, NODE_OF_KIND, NODES, RELATIONSHIPS
from graph.store import NodeRef

PEPPER = b"p" * 32
KEYER = Keyer(PEPPER)
START = datetime(2025, 10, 1, tzinfo=UTC)


def ref(kind: str, text: str) -> NodeRef:
    """The node of an identifier."""
    key = KEYER.identify(Kind(kind), text)
    assert key is not None
    return NodeRef(NODE_OF_KIND[kind].label, key.hex())


@dataclass
class HandView:
    """Who uses what, as (kind, canonical text, org_id), and the members of clusters."""

    organizations: Sequence[str]
    uses: Sequence[tuple[str, str, str]] = ()
    clusters: dict[str, Sequence[str]] = field(default_factory=dict)
    run_id: str = "run_one"

    def nodes(self, label: str) -> Iterator[pa.RecordBatch]:
        node = NODES[label]
        rows = {
            "Organization": self._organization_rows,
            "Cluster": self._cluster_rows,
            "Run": self._run_rows,
        }.get(label, lambda: self._identifier_rows(str(node.kind)))()
        rows.sort(key=lambda row: row[node.key.name])
        for start in range(0, len(rows), 3):  # several batches, so that their seams are tested
            yield _batch(rows[start : start + 3], node.arrow)

    def relationships(self, name: str) -> Iterator[pa.RecordBatch]:
        rows = self._relationship_rows(name)
        rows.sort(key=lambda row: (row["target"], row["source"]))
        for start in range(0, len(rows), 4):
            yield _batch(rows[start : start + 4], RELATIONSHIPS[name].arrow)

    def oracle(self, cap: int | None = None) -> nx.MultiGraph:
        """The same graph; relationships at a target above `cap` left out."""
        graph = nx.MultiGraph()
        graph.add_nodes_from(_ref("Organization", _key(org)) for org in self.organizations)
        for name in RELATIONSHIPS:
            rows = self._relationship_rows(name)
            degree: dict[Any, int] = {}
            for row in rows:
                degree[row["target"]] = degree.get(row["target"], 0) + 1
            for row in rows:
                if cap is None or degree[row["target"]] <= cap:
                    ends = (
                        _ref(RELATIONSHIPS[name].source, row["source"]),
                        _ref(RELATIONSHIPS[name].target, row["target"]),
                    )
                    graph.add_edge(*ends, key=name, ends=ends, degree=degree[row["target"]])
        return graph

    def _organization_rows(self) -> list[dict[str, Any]]:
        return [{"key": _key(org), "org_id": org, "events": 1} for org in self.organizations]

    def _identifier_rows(self, kind: str) -> list[dict[str, Any]]:
        texts: dict[str, set[str]] = {}
        for found, text, org in self.uses:
            if found == kind:
                texts.setdefault(text, set()).add(org)
        return [_identifier(kind, text, len(orgs)) for text, orgs in texts.items()]

    def _cluster_rows(self) -> list[dict[str, Any]]:
        return [
            {"cluster_id": name, "name": f"Ring {name}", "size": len(orgs), "risk": 50.0}
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
        if name == "IN_RUN":
            return [{"source": cluster, "target": self.run_id} for cluster in self.clusters]
        times = {"first_at": START, "last_at": START + timedelta(hours=1), "uses": 2}
        return [
            {"source": _key(org), "target": _identifier_key(kind, text), **times}
            for kind, text, org in dict.fromkeys(self.uses)
            if LINK_OF_KIND[kind].name == name
        ]


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
        "last_at": START + timedelta(hours=1),
    }


def _identifier_key(kind: str, text: str) -> bytes:
    return bytes.fromhex(ref(kind, text).key)


def _key(org: str) -> bytes:
    return KEYER.key(Kind.ORGANIZATION, org)


def _ref(label: str, key: bytes | str) -> NodeRef:
    return NodeRef(label, key.hex() if isinstance(key, bytes) else key)


def _batch(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
    columns = [pa.array([row.get(column.name) for row in rows], column.type) for column in schema]
    return pa.record_batch(columns, schema=schema)
