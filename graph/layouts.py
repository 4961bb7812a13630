"""Where a run keeps the coordinates of its clusters, and how one cluster's are read.

Two tables beside the run's others. `layout`: one row a node, ascending by cluster_id, label and key. `cells`: one row
a cell, ascending by cluster_id and cell. Row groups are small, so that one cluster is read without the rest.
The unit is the least distance between two nodes of a cell; y grows downwards, as on screens and paper.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from graph.durable import sync
from graph.errors import RingfenceError
from graph.schema import KEY_BYTES
from graph.store import Subgraph

LAYOUT, CELLS = "layout", "cells"
LAYOUT_TABLES = (LAYOUT, CELLS)
HIGH_RISK = 60.0
"""Member risk from which a member counts as one of high risk: the two upper bands of the published colours."""

NODE_COLUMNS = pa.schema(
    {
        "cluster_id": pa.string(),
        "label": pa.dictionary(pa.int8(), pa.string()),
        "key": pa.binary(KEY_BYTES),  # as in bulk everywhere: 32 hex digits of it are the key at the edge
        "x": pa.float32(),
        "y": pa.float32(),
        "cell": pa.int32(),
    }
)
CELL_COLUMNS = pa.schema(
    {
        "cluster_id": pa.string(),
        "cell": pa.int32(),
        "x": pa.float32(),
        "y": pa.float32(),
        "radius": pa.float32(),
        "organizations": pa.int32(),
        "high_risk_share": pa.float32(),
        "digest": pa.binary(16),  # of the members and links that the cluster was laid out with
    }
)
_ROW_GROUP = 4_096
_PLACE = ("x", "y", "cell")
_ORGANIZATION = "Organization"


@dataclass(frozen=True)
class Layout:
    """Where the nodes of clusters are (NODE_COLUMNS), and their cells (CELL_COLUMNS).

    A cell is a circle that holds all its nodes; cells of a cluster do not overlap. Numbered by organizations, most
    first.
    """

    nodes: pa.Table
    cells: pa.Table


def write_layout(folder: Path, layout: Layout) -> None:
    """Write both tables into the folder of a run, each whole or not at all. Raises OSError where that fails."""
    for name, table in ((LAYOUT, layout.nodes), (CELLS, layout.cells)):
        scratch = folder / f".{name}.partial"
        pq.write_table(
            table,
            scratch,
            row_group_size=_ROW_GROUP,
            compression="zstd",
            use_dictionary=["cluster_id", "label"],
            write_statistics=["cluster_id"],
        )
        sync(scratch)
        scratch.replace(folder / f"{name}.parquet")


def has_layout(folder: Path) -> bool:
    """Whether the run has both tables: runs of earlier versions have none."""
    return all((folder / f"{name}.parquet").exists() for name in LAYOUT_TABLES)


def read_layout(folder: Path, cluster_id: str | None = None) -> Layout:
    """The layout of one cluster (no rows if there is none of that id), or of all.

    Raises RingfenceError when the files are missing or damaged.
    """
    return Layout(_read(folder, LAYOUT, cluster_id), _read(folder, CELLS, cluster_id))


def drawn(subgraph: Subgraph, folder: Path) -> Subgraph:
    """A cluster of the run in `folder` with its coordinates: x, y and cell of each node, and the cells.

    As it is, where the run has no layout. Identifiers that were not laid out have nulls.
    """
    if not has_layout(folder):
        return subgraph
    layout = read_layout(folder, subgraph.cluster.ref.key)
    labels = pc.fill_null(layout.nodes["label"].cast(pa.string()), "")
    places = layout.nodes.set_column(1, "label", labels).select(["label", "key", *_PLACE])
    organizations = subgraph.organizations.append_column(
        "label", pa.array([_ORGANIZATION] * subgraph.organizations.num_rows, pa.string())
    )
    return replace(
        subgraph,
        organizations=_placed(organizations, places).drop_columns("label"),
        identifiers=_placed(subgraph.identifiers, places),
        cells=layout.cells.drop_columns(["cluster_id", "digest"]),
    )


def _placed(nodes: pa.Table, places: pa.Table) -> pa.Table:
    """Nodes, in their order, with where they are."""
    named = [
        f"{label} {key}" for label, key in zip(places["label"].to_pylist(), _hex(places["key"]), strict=True)
    ]
    asked = [
        f"{label} {key}" for label, key in zip(nodes["label"].to_pylist(), _hex(nodes["key"]), strict=True)
    ]
    at = pc.index_in(pa.array(asked, pa.string()), value_set=pa.array(named, pa.string()))
    for name in _PLACE:
        nodes = nodes.append_column(name, places[name].take(at))
    return nodes


def _hex(column: pa.ChunkedArray) -> list[str]:
    """Keys as hex digits, whether they come so or as bytes."""
    return [key.hex() if isinstance(key, bytes) else key for key in column.to_pylist()]


def _read(folder: Path, name: str, cluster_id: str | None) -> pa.Table:
    path = folder / f"{name}.parquet"
    schema = NODE_COLUMNS if name == LAYOUT else CELL_COLUMNS
    try:
        with pq.ParquetFile(path) as file:
            if cluster_id is None:
                return file.read().cast(schema)
            table = file.read_row_groups(_groups_of(file, cluster_id)).cast(schema)
    except (OSError, pa.ArrowException) as error:
        raise RingfenceError(f"cannot read {path}: {error}", "Run again: ringfence run") from error
    return table.filter(pc.equal(table["cluster_id"], cluster_id))


def _groups_of(file: pq.ParquetFile, cluster_id: str) -> Sequence[int]:
    """The row groups in which the rows of a cluster may be; the file is sorted by cluster."""
    parts = [file.metadata.row_group(place).column(0).statistics for place in range(file.num_row_groups)]
    first = bisect_left([part.max for part in parts], cluster_id)
    last = bisect_right([part.min for part in parts], cluster_id)
    return range(first, last)
