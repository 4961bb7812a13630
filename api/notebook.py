"""Ringfence from a notebook: runs as pandas DataFrames, clusters and neighbourhoods as networkx graphs.

    from api.notebook import open_home

    home = open_home("path/to/home")
    home.clusters(min_risk=90)

Nothing is read until it is asked for. Tables that may be large come with a choice of columns and of a cluster, or
piece by piece (`batches`). pandas and networkx come with the extra: pip install 'ringfence[notebook]'.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from api.answers.queries import arrow_table, describe, run_cypher, run_named
from api.answers.reading import RunReader, require, storage
from detection.runs import TABLES, Runs
from graph.errors import RingfenceError
from graph.home import Home
from graph.store import DEGREE_CAP, Match, NodeRef

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd

    from graph.store import GraphStore, Subgraph, Value
    from graph.walks import Neighbourhood
    from queries.named import NamedQuery

ROWS = 100_000
"""Rows of a DataFrame of `Notebook.batches`, unless another number is asked for."""

WEIGHT_UNIT = 1_000_000
"""Runs keep the weights of ties in millionths."""

_REMEDY = "home.clusters() lists the clusters of the run."


def open_home(
    path: str | Path | None = None, *, run: str | None = None, store: str | None = None
) -> Notebook:
    """A home to ask: a folder, else `RINGFENCE_HOME`, else the user's.

    `run` is one of `Notebook.runs()`, by default the current one. `store` is where the graph is: `sqlite` or `neo4j`,
    by default `RINGFENCE_STORE`, else `sqlite`.
    """
    return Notebook(Home.resolve(None if path is None else Path(path)), run, store)


class Notebook:
    """One home, and one of its runs, which stays the same however many are made meanwhile.

    Errors are RingfenceError: what is wrong, and what to do next.
    """

    def __init__(self, home: Home, run: str | None = None, store: str | None = None) -> None:
        self._home = home
        self._run = run
        self._store = store

    def __repr__(self) -> str:
        run = self._reader.run_id if "_reader" in vars(self) else self._run or "current run"
        return f"<Ringfence home {self._home.path}, {run}>"

    def __enter__(self) -> Notebook:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the graph; it opens again when it is next asked."""
        if "_graph" in vars(self):
            self._graph.close()

    @property
    def run_id(self) -> str:
        """The run that is looked at."""
        return self._reader.run_id

    def at(self, run: str) -> Notebook:
        """The same home at another run, to compare."""
        return Notebook(self._home, run, self._store)

    def runs(self) -> pd.DataFrame:
        """Every run, the newest first: when, as of when, what came out, and which one is `current`."""
        runs = Runs(self._home)
        current = runs.current()
        rows = [
            {
                "run_id": one.run_id,
                "current": one.run_id == current,
                "as_of": one.as_of,
                "created_at": one.created_at,
                **one.counts,
            }
            for one in reversed(runs.list())
        ]
        return _pandas().DataFrame(rows)

    def clusters(self, *, min_risk: float = 0, pattern: str | None = None) -> pd.DataFrame:
        """Clusters of at least a risk (and of one pattern), the riskiest first."""
        where = pc.field("risk") >= min_risk
        if pattern is not None:
            where = where & (pc.field("pattern") == pattern)
        table = self._reader.table("clusters", where)
        return _frame(table.sort_by([("risk", "descending"), ("cluster_id", "ascending")]))

    def members(
        self, cluster_id: str | None = None, *, min_risk: float = 0, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Members of a cluster, or of all of at least a risk: by cluster, the riskiest member first."""
        where = (pc.field("cluster_risk") >= min_risk) & self._of(cluster_id)
        keys = ("cluster_id", "member_risk", "org_id")
        wanted = None if columns is None else list(dict.fromkeys([*columns, *keys]))
        table = self._reader.table("members", where, wanted)
        order = [("cluster_id", "ascending"), ("member_risk", "descending"), ("org_id", "ascending")]
        table = table.sort_by(order)
        return _frame(table if columns is None else table.select(list(columns)))

    def evidence(self, cluster_id: str) -> pd.DataFrame:
        """Why a cluster has its risk: signals with their points and facts, most points first."""
        table = self._reader.table("evidence", self._of(cluster_id))
        return _frame(table.sort_by([("points", "descending"), ("signal", "ascending")]))

    def ties(self, cluster_id: str) -> pd.DataFrame:
        """Ties between members of a cluster, the strongest first; a fresh private card weighs 1."""
        table = self._reader.table("ties", self._of(cluster_id))
        weight = pc.divide(table["weight"].cast(pa.float64()), WEIGHT_UNIT)
        table = table.set_column(table.column_names.index("weight"), "weight", weight)
        return _frame(table.sort_by([("weight", "descending"), ("a", "ascending"), ("b", "ascending")]))

    def batches(
        self, table: str, columns: Sequence[str] | None = None, *, rows: int = ROWS
    ) -> Iterator[pd.DataFrame]:
        """A whole table of the run, however large, in DataFrames of at most so many rows.

        Tables are those of a run: members, clusters, evidence, ties, reasons, links, organizations, and so on.
        Keys are hexadecimal text; weights of ties and reasons are in millionths.
        """
        if table not in TABLES:
            raise RingfenceError(
                f"a run has no table {table!r}", f"It has: {', '.join(TABLES)}.", exit_code=2
            )
        data = ds.dataset(self._reader.files.path(table))
        unknown = sorted(set(columns or ()) - set(data.schema.names))
        if unknown:
            raise RingfenceError(
                f"{table} has no column {unknown[0]!r}",
                f"It has: {', '.join(data.schema.names)}.",
                exit_code=2,
            )
        return _frames(data, columns, rows)

    def query(self, name: str, **parameters: object) -> pd.DataFrame:
        """The rows of a named query: `home.query("left_behind", cluster_id="cl_…", limit=500)`.

        Times may be datetimes or text. `df.attrs["cut"]` says whether there are more rows than the limit.
        """
        self._same_run()
        found = run_named(self._graph, name, parameters)
        frame = _frame(arrow_table(found, describe(name)))
        frame.attrs["cut"] = found.cut
        return frame

    def cypher(self, text: str, *, limit: int = 10_000, **parameters: Value) -> pd.DataFrame:
        """The rows of Cypher of your own, on a Neo4j store; begin at nodes `{run: $run}`."""
        self._same_run()
        found = run_cypher(self._graph, text, parameters, limit=limit)
        frame = _frame(arrow_table(found))
        frame.attrs["cut"] = found.cut
        return frame

    def queries(self) -> list[NamedQuery]:
        """The named queries with their titles, parameters and columns."""
        from queries.named import catalogue

        return catalogue()

    def cluster_graph(self, cluster_id: str, *, min_members: int = 2) -> nx.DiGraph:
        """A cluster as a graph: from its organizations to the identifiers that some of them share.

        Nodes are called `LABEL:KEY`, as in exports, and have `label`, `name` and what the graph knows of them;
        edges have `type`, `first_at`, `last_at`, `uses` and `weight`. `graph.graph["cut"]` says whether identifiers
        were left out.
        """
        self._same_run()
        networkx = _networkx()
        found = self._graph.cluster_subgraph(cluster_id, min_members=min_members)
        if found is None:
            raise RingfenceError(f"cluster {cluster_id} is not in this run", _REMEDY)
        return _cluster_graph(networkx, found)

    def neighbourhood(
        self, org: str, depth: int = 2, *, degree_cap: int | None = DEGREE_CAP, limit: int = 1_000
    ) -> nx.DiGraph:
        """What lies within `depth` steps of an organization, as a graph like that of `cluster_graph`.

        Identifiers above `degree_cap` are left out (None: none are). `graph.graph["note"]` says what was cut.
        """
        from graph.walks import neighbourhood

        self._same_run()
        networkx = _networkx()
        found = self._graph.find(org, labels=["Organization"], limit=1)
        if not found.items or found.items[0].match is not Match.EXACT:
            raise RingfenceError(
                f"organization {org} is not in this run", "Ids are exact, capitals included."
            )
        ref = found.items[0].ref
        around = neighbourhood(self._graph, ref, depth=depth, degree_cap=degree_cap, limit=limit)
        return _neighbourhood_graph(networkx, around)

    @cached_property
    def _reader(self) -> RunReader:
        return RunReader.open(self._home, self._run)

    @cached_property
    def _graph(self) -> GraphStore:
        from api.stores import open_store

        return open_store(self._home, self._store)

    def _same_run(self) -> None:
        """Raises RingfenceError where the graph shows another run than the one that is looked at."""
        shown = self._graph.run_id()
        if shown != self.run_id:
            raise RingfenceError(
                f"the graph shows {shown}, not {self.run_id}",
                "The tables of every run can be read; of the graph, open the home anew to ask the current run.",
            )

    def _of(self, cluster_id: str | None) -> pc.Expression:
        """The rows of one cluster, which has to be there, or all."""
        if cluster_id is None:
            return pc.scalar(True)
        row = self._reader.one("clusters", "cluster_id", cluster_id)
        require(row, f"cluster {cluster_id}", _REMEDY)
        return pc.field("cluster_id") == cluster_id


def _frame(table: pa.Table) -> pd.DataFrame:
    """A table as a DataFrame; keys as hexadecimal text."""
    _pandas()
    for place, field in enumerate(table.schema):
        if isinstance(field.type, pa.BaseExtensionType) or pa.types.is_fixed_size_binary(field.type):
            keys = [None if key is None else key.hex() for key in storage(table.column(place)).to_pylist()]
            table = table.set_column(place, field.name, pa.array(keys, pa.string()))
    return table.to_pandas()


def _frames(data: ds.Dataset, columns: Sequence[str] | None, rows: int) -> Iterator[pd.DataFrame]:
    wanted = None if columns is None else list(columns)
    for batch in data.to_batches(columns=wanted, batch_size=rows, batch_readahead=1, fragment_readahead=1):
        if batch.num_rows:
            yield _frame(pa.Table.from_batches([batch]))


def _cluster_graph(networkx: ModuleType, found: Subgraph) -> nx.DiGraph:
    graph = networkx.DiGraph(cluster=found.cluster.ref.key, cut=found.cut, **found.cluster.properties)
    organizations = [_named("Organization", "org_id", row) for row in found.organizations.to_pylist()]
    identifiers = [_named(row["label"], "display", row) for row in found.identifiers.to_pylist()]
    graph.add_nodes_from(organizations)
    graph.add_nodes_from(identifiers)
    for row in found.relationships.to_pylist():
        source, target = row.pop("source"), row.pop("target")
        graph.add_edge(organizations[source][0], identifiers[target][0], **row)
    return graph


def _named(label: str, name: str, row: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A row as a networkx node: what it is called, and its attributes."""
    key = row["key"] if isinstance(row["key"], str) else row["key"].hex()
    return f"{label}:{key}", {**row, "key": key, "label": label, "name": row[name] or key}


def _neighbourhood_graph(networkx: ModuleType, around: Neighbourhood) -> nx.DiGraph:
    graph = networkx.DiGraph(cut=around.cut, note=around.note)
    for node in around.nodes:
        own = {"label": node.ref.label, "name": node.name or node.ref.key, "key": node.ref.key}
        graph.add_node(_id(node.ref), **{**node.properties, **own})
    for rel in around.relationships:
        graph.add_edge(_id(rel.source), _id(rel.target), type=rel.type, **rel.properties)
    return graph


def _id(ref: NodeRef) -> str:
    return f"{ref.label}:{ref.key}"


def _pandas() -> ModuleType:
    return _extra("pandas")


def _networkx() -> ModuleType:
    return _extra("networkx")


def _extra(name: str) -> ModuleType:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise RingfenceError(
            f"{name} is not installed", "Install it with: pip install 'ringfence[notebook]'"
        ) from error
