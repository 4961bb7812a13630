"""Coordinates of every cluster of a run, computed once: sub-communities in circles that do not overlap.

A cluster is the graph of its organizations and of the identifiers that two of them or more use. It is cut into cells
(Leiden by modularity), nodes are placed inside each cell and cells among each other by Fruchterman and Reingold's
springs, and the circles of the cells are packed. The same cluster always gets the same coordinates.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import igraph
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from detection import placing
from detection.cells import cells_of, numbered
from detection.cluster_graphs import LABELS, ClusterGraphs, Floats, Ints, graph_of_subgraph, graphs_of_run
from detection.links import Progress
from graph.errors import RingfenceError
from graph.layouts import CELL_COLUMNS, HIGH_RISK, NODE_COLUMNS, Layout, has_layout, read_layout, write_layout
from graph.store import Subgraph, quiet

VERSION = b"layout 1"
"""Part of what makes coordinates: a change of the method changes it, and nothing of before is kept."""

SEED = 20_251_003
WHOLE = 40
"""Nodes up to which a cluster is one cell."""
DENSE = 110
"""Nodes up to which a cell is placed in batches of numpy; larger ones by igraph."""
PAIRS = 65_536
"""Pairs of nodes of a batch: what fits a core's cache."""
MARGIN = 1.0
"""From the outermost node's middle to the edge of its cell."""
CAPTIONED, CAPTIONED_GAP, GAP = 12, 2.4, 1.2
"""Cells up to so many get room for captions between them."""
STEPS_LARGE = 150
ITERATIONS = 3
RESOLUTION = 0.7
"""Below the usual 1: fewer cells, and fewer links between them."""
STAGE = "layout"


def lay_out(folder: Path, previous: Path | None = None, progress: Progress = quiet) -> Layout:
    """Lay out every cluster of the run in `folder` and write the tables `layout` and `cells` there.

    Clusters with the members and links that they had in the run of the folder `previous` keep its coordinates.
    Raises RingfenceError when a table of the run cannot be read, OSError when one cannot be written.
    """
    graphs = graphs_of_run(folder)
    digests = pa.array(graphs.digests(VERSION), pa.binary(16))
    kept = _kept(graphs.ids, digests, previous)
    known = np.zeros(len(graphs), dtype=np.bool_)
    if kept is not None:
        known = pc.is_in(graphs.ids, value_set=kept.cells["cluster_id"].combine_chunks()).to_numpy(False)
    fresh = _laid_out(graphs.chosen(~known), digests.filter(pa.array(~known)), progress)
    layout = fresh if kept is None else _joined(fresh, kept, graphs)
    write_layout(folder, layout)
    return layout


def lay_out_cluster(folder: Path, cluster_id: str) -> tuple[ClusterGraphs, Layout]:
    """One cluster of a run and where its nodes, in the same order, are.

    Read where the run has its layout, else computed now; nothing is written.
    """
    graphs = graphs_of_run(folder, cluster_id)
    digests = pa.array(graphs.digests(VERSION), pa.binary(16))
    if has_layout(folder):
        kept = read_layout(folder, cluster_id)
        if kept.cells.num_rows and kept.cells["digest"][0].as_py() == digests[0].as_py():
            return graphs, kept
    return graphs, _laid_out(graphs, digests, quiet)


def lay_out_subgraph(subgraph: Subgraph) -> Layout:
    """The layout of one cluster as a store gives it: the same coordinates that `lay_out` writes.

    Where the store left identifiers out (`Subgraph.cut`), it is the layout of what is there.
    """
    graphs = graph_of_subgraph(subgraph)
    return _laid_out(graphs, pa.array(graphs.digests(VERSION), pa.binary(16)), quiet)


def _kept(ids: pa.Array, digests: pa.Array, previous: Path | None) -> Layout | None:
    """What the run before has of clusters that did not change; nothing where it cannot be read."""
    if previous is None or not has_layout(previous):
        return None
    try:
        before = read_layout(previous)
    except RingfenceError:
        return None  # it only spares work: all of it can be computed again
    place = pc.index_in(before.cells["cluster_id"].combine_chunks(), value_set=ids)
    same = pc.equal(before.cells["digest"].combine_chunks(), digests.take(place)).fill_null(False)
    cells = before.cells.filter(same)
    of_them = pc.is_in(before.nodes["cluster_id"].combine_chunks(), value_set=pc.unique(cells["cluster_id"]))
    return Layout(before.nodes.filter(of_them), cells)


def _joined(fresh: Layout, kept: Layout, graphs: ClusterGraphs) -> Layout:
    """Both, in order; risks are those of this run, coordinates stay."""
    nodes = pa.concat_tables([fresh.nodes, kept.nodes.cast(NODE_COLUMNS)])
    cluster = pc.index_in(nodes["cluster_id"].combine_chunks(), value_set=graphs.ids).to_numpy()
    nodes = nodes.take(pa.array(np.argsort(cluster, kind="stable")))  # each part is in order already
    cells = pa.concat_tables([fresh.cells, kept.cells])
    cells = cells.sort_by([("cluster_id", "ascending"), ("cell", "ascending")])
    share = pa.array(_shares(graphs, _global_cells(nodes["cell"].to_numpy(), graphs, cells)), pa.float32())
    place = cells.schema.get_field_index("high_risk_share")
    return Layout(nodes, cells.set_column(place, CELL_COLUMNS.field(place), share))


def _global_cells(cell: npt.NDArray[np.int32], graphs: ClusterGraphs, cells: pa.Table) -> Ints:
    """By node: the row of its cell."""
    cluster = pc.index_in(cells["cluster_id"].combine_chunks(), value_set=graphs.ids).to_numpy()
    return np.searchsorted(cluster, np.arange(len(graphs)))[graphs.cluster] + cell


def _laid_out(graphs: ClusterGraphs, digests: pa.Array, progress: Progress) -> Layout:
    cell = numbered(graphs, cells_of(graphs, WHOLE, _split))
    at, radius = _inside(graphs, cell, progress)
    of_cell = np.zeros(len(radius), dtype=np.int64)
    of_cell[cell] = graphs.cluster
    centre = _between(graphs, cell, of_cell, radius)
    at = _faced(graphs, cell, at, centre) + centre[cell]
    first = np.searchsorted(of_cell, np.arange(len(graphs) + 1))
    members = np.bincount(cell[graphs.is_organization], minlength=len(radius))
    cells = {
        "cluster_id": graphs.ids.take(pa.array(of_cell)),
        "cell": np.arange(len(radius)) - first[of_cell],
        "x": centre[:, 0],
        "y": centre[:, 1],
        "radius": radius,
        "organizations": members,
        "high_risk_share": _shares(graphs, cell),
        "digest": digests.take(pa.array(of_cell)),
    }
    nodes = {
        "cluster_id": graphs.ids.take(pa.array(graphs.cluster)),
        "label": pa.DictionaryArray.from_arrays(pa.array(graphs.label, pa.int8()), pa.array(LABELS)),
        "key": graphs.keys.arrow(),
        "x": at[:, 0],
        "y": at[:, 1],
        "cell": cell - first[graphs.cluster],
    }
    return Layout(
        pa.table(nodes).cast(NODE_COLUMNS, safe=False), pa.table(cells).cast(CELL_COLUMNS, safe=False)
    )


def _shares(graphs: ClusterGraphs, cell: Ints) -> Floats:
    """By cell: the share of members of high risk among its organizations; 0 where it has none."""
    mine, count = graphs.is_organization, int(cell.max(initial=-1)) + 1
    members = np.bincount(cell[mine], minlength=count)
    risky = np.bincount(cell[mine], graphs.risk[mine] >= HIGH_RISK, minlength=count)
    return np.asarray(risky / np.maximum(members, 1), dtype=np.float64)


def _inside(graphs: ClusterGraphs, cell: Ints, progress: Progress) -> tuple[Floats, Floats]:
    """Positions of nodes around the middle of their cell, and the radii of cells."""
    order = np.argsort(cell, kind="stable")
    sizes = np.bincount(cell)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    local = np.empty(len(order), dtype=np.int64)
    local[order] = np.arange(len(order)) - starts[cell[order]]
    edges = np.flatnonzero(cell[graphs.source] == cell[graphs.target])
    edges = edges[np.argsort(cell[graphs.source[edges]], kind="stable")]
    edge_cell = cell[graphs.source[edges]]
    ends = np.stack([local[graphs.source[edges]], local[graphs.target[edges]]], axis=1)
    at, radius = np.zeros((len(order), 2)), np.zeros(len(sizes))

    def place(cells: Ints) -> None:
        low, high = np.searchsorted(edge_cell, cells), np.searchsorted(edge_cell, cells, side="right")
        found = placed([ends[a:b] for a, b in zip(low, high, strict=True)], int(sizes[cells[0]]))
        radius[cells] = np.sqrt((found**2).sum(axis=-1).max(axis=-1)) + MARGIN
        at[order[starts[cells][:, None] + np.arange(sizes[cells[0]])]] = found

    with ThreadPoolExecutor(2) as threads:  # numpy lets go of the interpreter; igraph's cells come one by one
        for done, _ in enumerate(threads.map(place, _batches(sizes, below=DENSE))):
            progress(STAGE, done, None)
    for one in np.flatnonzero(sizes > DENSE):
        place(np.array([one]))
    return at, radius


def _batches(sizes: Ints, below: int) -> Iterator[Ints]:
    """Cells of equal size, as many as are worked at once."""
    for size in range(1, below + 1):
        cells = np.flatnonzero(sizes == size)
        many = max(1, PAIRS // size**2)
        for first in range(0, len(cells), many):
            yield cells[first : first + many]


def placed(ends: list[Ints], n: int) -> Floats:
    """Positions (B, n, 2) of graphs of n nodes each around their middle, no two nodes nearer than 1.

    `ends`: by graph, the two node numbers of each edge.
    """
    if n > DENSE:
        at = np.stack(
            [placing.spread_one(placing.evened(_by_igraph(each, n, None)[None])[0]) for each in ends]
        )
    else:
        weights = np.zeros((len(ends), n, n), dtype=np.float32)
        for number, each in enumerate(ends):
            weights[number, each[:, 0], each[:, 1]] = weights[number, each[:, 1], each[:, 0]] = 1
        at = placing.spread(placing.evened(placing.springs(weights, SEED)))
    return placing.level(at).astype(np.float64)


def _by_igraph(ends: Ints, n: int, weights: Floats | None) -> placing.Reals:
    """Positions (n, 2) of one graph by igraph's springs."""
    igraph.set_random_number_generator(random.Random(SEED))
    graph = igraph.Graph(n=n, edges=ends)
    at = graph.layout_fruchterman_reingold(
        weights=None if weights is None else weights.tolist(),
        niter=STEPS_LARGE,
        seed=placing.start(n, SEED).tolist(),
    )
    return np.array(at.coords, dtype=np.float32)


def _split(n: int, ends: Ints, weights: Floats) -> Ints:
    """Parts of one graph by modularity, with the Leiden algorithm."""
    igraph.set_random_number_generator(random.Random(SEED))
    found = igraph.Graph(n=n, edges=ends).community_leiden(
        objective_function="modularity",
        weights=weights.tolist(),
        resolution=RESOLUTION,
        n_iterations=ITERATIONS,
    )
    return np.asarray(found.membership, dtype=np.int64)


def _between(graphs: ClusterGraphs, cell: Ints, of_cell: Ints, radius: Floats) -> Floats:
    """The middle of each cell (rows as `radius`); that of a cluster's only cell is the origin."""
    centre = np.zeros((len(radius), 2))
    counts = np.bincount(of_cell, minlength=len(graphs))
    firsts = np.concatenate([[0], np.cumsum(counts)])
    one, other = cell[graphs.source], cell[graphs.target]
    across = np.flatnonzero(one != other)
    ends = np.searchsorted(of_cell[one[across]], np.arange(len(graphs) + 1))
    for cluster in np.flatnonzero(counts > 1):
        low, high = firsts[cluster], firsts[cluster + 1]
        mine = across[ends[cluster] : ends[cluster + 1]]
        centre[low:high] = _arranged(one[mine] - low, other[mine] - low, radius[low:high])
    return centre


def _arranged(one: Ints, other: Ints, radius: Floats) -> Floats:
    """The middles of the cells of one cluster; `one` and `other` are the cells of links between cells."""
    n = len(radius)
    pair, count = np.unique(np.minimum(one, other) * n + np.maximum(one, other), return_counts=True)
    ends, weights = np.stack([pair // n, pair % n], axis=1), np.sqrt(count)
    if n > DENSE:
        at = _by_igraph(ends, n, weights)
    else:
        dense = np.zeros((1, n, n), dtype=np.float32)
        dense[0, ends[:, 0], ends[:, 1]] = dense[0, ends[:, 1], ends[:, 0]] = weights
        at = placing.springs(dense, SEED)[0]
    gap = (CAPTIONED_GAP if n <= CAPTIONED else GAP) + 0.1 * float(radius.mean())
    return placing.arrange(at.astype(np.float64), radius + gap / 2)


def _faced(graphs: ClusterGraphs, cell: Ints, at: Floats, centre: Floats) -> Floats:
    """Positions with each cell turned so that nodes with links to other cells look there."""
    one, other = cell[graphs.source], cell[graphs.target]
    across = one != other
    sine, cosine = np.zeros(len(centre)), np.zeros(len(centre))
    for node, mine, far in (
        (graphs.source[across], one[across], other[across]),
        (graphs.target[across], other[across], one[across]),
    ):
        to = centre[far] - centre[mine]
        to /= np.maximum(np.sqrt((to**2).sum(axis=1)), 1e-9)[:, None]
        from_ = at[node]
        sine += np.bincount(mine, from_[:, 0] * to[:, 1] - from_[:, 1] * to[:, 0], len(centre))
        cosine += np.bincount(mine, (from_ * to).sum(axis=1), len(centre))
    angle = np.where((sine == 0) & (cosine == 0), 0.0, np.arctan2(sine, cosine))[cell]
    x, y = at[:, 0], at[:, 1]
    return np.stack([x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)], axis=1)
