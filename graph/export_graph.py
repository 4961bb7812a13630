"""Clusters as a graph for other tools: organizations, the identifiers that they share, who uses what.

Nodes are organizations of the chosen clusters and identifiers that at least two of them use; `organizations`
says how many use an identifier altogether. Formats: `graphml` (opens in Gephi, loads with networkx), `json`
(networkx's node-link form), `csv` and `parquet` (relationships, and nodes beside them: `FILE.nodes.csv`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from graph.errors import RingfenceError
from graph.export import Exported, check_format, json_array, read, selection, whole, write_lines, write_table
from graph.graphml import graphml
from graph.keys import Index, Keys, KeySet, storage_of
from graph.schema import LINK_OF_KIND
from graph.texts import Texts

GRAPH_FORMATS = ("csv", "parquet", "json", "graphml")
_LINK_COLUMNS = ("kind", "key", "organization", "first_at", "last_at", "uses", "orgs")
NODE_COLUMNS = pa.schema(
    {
        "id": pa.string(),
        "type": pa.string(),
        "label": pa.string(),
        "cluster_id": pa.string(),
        "cluster_risk": pa.float64(),
        "risk": pa.float64(),
        "organizations": pa.int64(),
    }
)
EDGE_COLUMNS = pa.schema(
    {
        "source": pa.string(),
        "target": pa.string(),
        "type": pa.string(),
        "first_at": pa.timestamp("us", tz="UTC"),
        "last_at": pa.timestamp("us", tz="UTC"),
        "uses": pa.int64(),
    }
)


def export_graph(
    folder: Path,
    values: Sequence[Path],
    out: Path,
    form: str,
    *,
    cluster_id: str | None = None,
    min_risk: float = 0.0,
) -> Exported:
    """Write one cluster, or all of at least a risk, as a graph.

    `folder` is the run's, `values` are the value files of the facts, which hold what identifiers stand for.
    Raises RingfenceError for an unknown format or cluster, or a place that cannot be written.
    """
    check_format("a graph", form, GRAPH_FORMATS)
    nodes, edges = graph_tables(folder, values, cluster_id=cluster_id, min_risk=min_risk)
    counts = {"nodes": nodes.num_rows, "relationships": edges.num_rows}
    if form in ("csv", "parquet"):
        beside = out.with_name(f"{out.stem}.nodes{out.suffix}")
        write_table(nodes, beside, form)
        write_table(edges, out, form)
        return Exported((out, beside), counts)
    lines = graphml(nodes, edges) if form == "graphml" else _node_link(nodes, edges)
    with whole(out) as scratch:
        write_lines(scratch, lines)
    return Exported((out,), counts)


def graph_tables(
    folder: Path, values: Sequence[Path], *, cluster_id: str | None = None, min_risk: float = 0.0
) -> tuple[pa.Table, pa.Table]:
    """Nodes (NODE_COLUMNS) and relationships (EDGE_COLUMNS), both in the order of type and key."""
    members = read(folder, "members", None, selection("cluster_risk", cluster_id, min_risk))
    if cluster_id is not None and not members.num_rows:
        raise RingfenceError(
            f"this run has no cluster {cluster_id} of that risk", "List the clusters: ringfence clusters"
        )
    organizations = Keys.of(members["organization"])
    order = np.lexsort((organizations.low, organizations.high))
    members, organizations = members.take(pa.array(order)), organizations[order]
    ids = _ids(["Organization"] * len(organizations), organizations)
    links = _shared(_links(folder, KeySet(organizations)))
    edges = _edges(links)
    return pa.concat_tables([_organizations(members, ids), _identifiers(links, values)]), edges


def _links(folder: Path, organizations: KeySet) -> pa.Table:
    """What these organizations use, by kind, key and organization."""
    table = read(folder, "links", _LINK_COLUMNS, pc.field("kind").isin(list(LINK_OF_KIND)))
    at, _ = organizations.locate(Keys.of(table["organization"]))
    table = table.take(pa.array(at))
    kinds = _kind_ranks(table)
    keys, users = Keys.of(table["key"]), Keys.of(table["organization"])
    return table.take(pa.array(np.lexsort((users.low, users.high, keys.low, keys.high, kinds))))


def _shared(links: pa.Table) -> pa.Table:
    """Links of identifiers that at least two of the organizations use."""
    at = _first_uses(links)
    users = np.diff(at, append=links.num_rows)
    return links.filter(pa.array(np.repeat(users > 1, users)))


def _first_uses(links: pa.Table) -> Index:
    """Where each identifier begins in links that are sorted by kind and key."""
    if not links.num_rows:
        return np.empty(0, dtype=np.intp)
    keys, kinds = Keys.of(links["key"]), _kind_ranks(links)
    new = (keys.high[1:] != keys.high[:-1]) | (keys.low[1:] != keys.low[:-1]) | (kinds[1:] != kinds[:-1])
    return np.concatenate([[0], np.flatnonzero(new) + 1]).astype(np.intp)


def _kind_ranks(links: pa.Table) -> Index:
    known = pa.array(sorted(LINK_OF_KIND, key=lambda kind: LINK_OF_KIND[kind].target))
    ranks = pc.index_in(links["kind"].cast(pa.string()), value_set=known)
    return np.asarray(ranks.to_numpy(), dtype=np.intp)


def _organizations(members: pa.Table, ids: pa.Array) -> pa.Table:
    count = members.num_rows
    columns = {
        "id": ids,
        "type": pa.array(["Organization"] * count, pa.string()),
        "label": members["org_id"],
        "cluster_id": members["cluster_id"],
        "cluster_risk": members["cluster_risk"],
        "risk": members["member_risk"],
        "organizations": pa.nulls(count, pa.int64()),
    }
    return pa.table(columns).cast(NODE_COLUMNS)


def _identifiers(links: pa.Table, values: Sequence[Path]) -> pa.Table:
    found = links.take(pa.array(_first_uses(links)))
    keys, count = Keys.of(found["key"]), found.num_rows
    labels = [LINK_OF_KIND[kind].target for kind in found["kind"].to_pylist()]
    ids = _ids(labels, keys)
    _, display, _ = Texts(values, keys).of(keys)
    columns = {
        "id": ids,
        "type": pa.array(labels, pa.string()),
        "label": pc.coalesce(display, ids),
        "cluster_id": pa.nulls(count, pa.string()),
        "cluster_risk": pa.nulls(count, pa.float64()),
        "risk": pa.nulls(count, pa.float64()),
        "organizations": found["orgs"],
    }
    return pa.table(columns).cast(NODE_COLUMNS)


def _edges(links: pa.Table) -> pa.Table:
    kinds = links["kind"].to_pylist()
    columns = {
        "source": _ids(["Organization"] * links.num_rows, Keys.of(links["organization"])),
        "target": _ids([LINK_OF_KIND[kind].target for kind in kinds], Keys.of(links["key"])),
        "type": pa.array([LINK_OF_KIND[kind].name for kind in kinds], pa.string()),
        "first_at": links["first_at"],
        "last_at": links["last_at"],
        "uses": links["uses"],
    }
    return pa.table(columns).cast(EDGE_COLUMNS)


def _ids(labels: Sequence[str], keys: Keys) -> pa.Array:
    """`Label:key` for each node: unique across labels, and legal in every format."""
    hexes = (key.hex() for key in storage_of(keys.arrow()).to_pylist())
    return pa.array([f"{label}:{key}" for label, key in zip(labels, hexes, strict=True)], pa.string())


def _node_link(nodes: pa.Table, edges: pa.Table) -> Iterator[bytes]:
    head = {"directed": False, "multigraph": False, "graph": {}}
    yield orjson.dumps(head)[:-1] + b',"nodes":'
    yield from json_array(nodes)
    yield b',"edges":'
    yield from json_array(edges)
    yield b"}\n"
