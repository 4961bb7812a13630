"""What a picture of a cluster shows, put together from the tables of a run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from api.answers.clusters import OpenedCluster
from api.answers.reading import Row, RunReader
from detection.cluster_graphs import LABELS, ORGANIZATION, ClusterGraphs
from detection.layout import lay_out_cluster
from graph.keys import Keys, KeySet, storage_of

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
NAMED = 600
"""Identifiers whose values are looked up: as many as a page may have labels for, and some more."""


@dataclass(frozen=True)
class Contents:
    """A cluster ready to be drawn.

    By node: `label`, `x`, `y`, `cell`, `degree` (links within the cluster), `risk` (organizations; else NaN), `name`
    (empty where it was not looked up). Edges: `source` and `target`, node numbers. `brought`: pairs of nodes, the
    organization and the one that brought it. By cell, the largest first: `centre`, `radius`, `members`, `share` (of
    members of high risk), `common` (the identifier that most of its organizations use: a node, -1 for none) and `users`
    (how many do).
    """

    cluster: Row
    evidence: list[Row]
    run_id: str
    as_of: datetime
    label: list[str]
    x: Floats
    y: Floats
    cell: Ints
    degree: Ints
    risk: Floats
    name: list[str]
    source: Ints
    target: Ints
    brought: Ints
    centre: Floats
    radius: Floats
    members: Ints
    share: Floats
    common: Ints
    users: Ints

    @property
    def is_organization(self) -> npt.NDArray[np.bool_]:
        """By node: whether it is an organization."""
        return ~np.isnan(self.risk)


def contents_of(reader: RunReader, found: OpenedCluster) -> Contents:
    """The cluster that was opened, with its graph and layout.

    The layout is the run's, or computed now for runs that have none.
    """
    cluster_id = found.cluster["cluster_id"]
    graph, layout = lay_out_cluster(reader.files.folder, cluster_id)
    nodes, cells = layout.nodes, layout.cells
    degree = np.bincount(np.concatenate([graph.source, graph.target]), minlength=len(graph.label))
    cell = nodes["cell"].to_numpy().astype(np.int64)
    common, users = _common(graph, cell, degree, cells.num_rows)
    return Contents(
        cluster=found.cluster,
        evidence=found.evidence,
        run_id=reader.run_id,
        as_of=reader.files.manifest.as_of,
        label=[LABELS[number] for number in graph.label.tolist()],
        x=nodes["x"].to_numpy().astype(np.float64),
        y=nodes["y"].to_numpy().astype(np.float64),
        cell=cell,
        degree=degree,
        risk=graph.risk,
        name=_names(reader, cluster_id, graph, degree, common),
        source=graph.source,
        target=graph.target,
        brought=_referrals(reader, graph),
        centre=np.stack([cells[axis].to_numpy() for axis in ("x", "y")], axis=1).astype(np.float64),
        radius=cells["radius"].to_numpy().astype(np.float64),
        members=cells["organizations"].to_numpy().astype(np.int64),
        share=cells["high_risk_share"].to_numpy().astype(np.float64),
        common=common,
        users=users,
    )


def _common(graph: ClusterGraphs, cell: Ints, degree: Ints, cells: int) -> tuple[Ints, Ints]:
    """By cell: the identifier that most of its organizations use, of equals the rarest, and by how many."""
    nodes = len(graph.label)
    pairs, users = np.unique(cell[graph.source] * nodes + graph.target, return_counts=True)
    home, node = pairs // nodes, pairs % nodes
    worst_first = np.lexsort((-node, -degree[node], users))
    common, most = np.full(cells, -1, dtype=np.int64), np.zeros(cells, dtype=np.int64)
    common[home[worst_first]], most[home[worst_first]] = node[worst_first], users[worst_first]
    return common, most


def _names(reader: RunReader, cluster_id: str, graph: ClusterGraphs, degree: Ints, common: Ints) -> list[str]:
    keys = storage_of(graph.keys.arrow()).to_pylist()
    members = reader.table("members", pc.field("cluster_id") == cluster_id, ["org_id", "organization"])
    ids = dict(
        zip(storage_of(members["organization"]).to_pylist(), members["org_id"].to_pylist(), strict=True)
    )
    identifiers = np.flatnonzero(graph.label != ORGANIZATION)
    top = identifiers[np.argsort(-degree[identifiers], kind="stable")][:NAMED]
    top = np.union1d(top, common[common >= 0])
    shown = reader.displays(keys[node] for node in top)
    names = [ids[key] if mine else "" for key, mine in zip(keys, graph.is_organization, strict=True)]
    for node in top:
        names[node] = shown.get(keys[node], keys[node].hex())
    return names


def _referrals(reader: RunReader, graph: ClusterGraphs) -> Ints:
    """Who was brought by whom among the members; none for runs that do not say."""
    if not reader.files.path("referrals").exists():
        return np.empty((0, 2), dtype=np.int64)
    nodes = np.flatnonzero(graph.is_organization)  # ascending by key, as a set of keys is
    known = KeySet(graph.keys[nodes])
    table = reader.table("referrals", None, ["organization", "referrer"])
    at, brought = known.locate(Keys.of(table["organization"]))
    chosen, bringer = known.locate(Keys.of(table["referrer"].take(pa.array(at))))
    pairs = np.stack([nodes[brought[chosen]], nodes[bringer]], axis=1)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    return np.asarray(np.unique(pairs, axis=0), dtype=np.int64)
