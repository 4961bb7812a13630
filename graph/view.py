"""One run as a graph: from the files it wrote and the texts of the facts to sorted batches of the schema.

Large tables are read once for each range of keys, so that no more than a part is in memory and sorted at a
time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from graph.confusables import skeleton
from graph.errors import RingfenceError
from graph.keys import Keys, concat, starts, storage_of
from graph.schema import LINK_OF_KIND, NODES, RELATIONSHIPS, NodeType, RelationshipType
from graph.store import Progress, quiet
from graph.texts import Texts

PART_ROWS = 250_000
"""Rows that are sorted at a time."""

BATCH = 65_536
PROOFS = ("device_attested", "phone_verified")
"""Kinds of links that only say how well another kind's link is proven: the other kind has them all."""

_LINK_COLUMNS = ("kind", "key", "organization", "first_at", "last_at", "uses", "weight")


@dataclass(frozen=True)
class _Links:
    """Links of one kind in one range of keys, sorted by key and organization."""

    keys: Keys
    organizations: Keys
    table: pa.Table


class RunView:
    """A GraphView of the files in a run's folder.

    `values` are the value files of the facts. Raises RingfenceError while reading when a file is missing or
    is not what a run writes.
    """

    def __init__(
        self,
        folder: Path,
        run_id: str,
        as_of: datetime,
        values: Sequence[Path],
        progress: Progress = quiet,
    ) -> None:
        self._folder = folder
        self._run_id = run_id
        self._as_of = as_of
        self._values = values
        self._progress = progress

    @property
    def run_id(self) -> str:
        """See `GraphView.run_id`."""
        return self._run_id

    def nodes(self, label: str) -> Iterator[pa.RecordBatch]:
        """See `GraphView.nodes`."""
        node = NODES[label]
        if node.kind is not None and node.kind in LINK_OF_KIND:
            return self._identifiers(node)
        makers: dict[str, Callable[[NodeType], Iterator[pa.RecordBatch]]] = {
            "Organization": self._organizations,
            "Cluster": self._clusters,
            "Signal": self._signals,
            "Run": self._run,
        }
        return makers[label](node)

    def relationships(self, name: str) -> Iterator[pa.RecordBatch]:
        """See `GraphView.relationships`."""
        rel = RELATIONSHIPS[name]
        if rel.kind is not None:
            return self._uses(rel)
        makers: dict[str, Callable[[RelationshipType], Iterator[pa.RecordBatch]]] = {
            "MEMBER_OF": self._members,
            "SHOWS": self._shows,
            "REFERRED_BY": self._referrals,
            "IN_RUN": self._in_run,
        }
        return makers[name](rel)

    @cached_property
    def _counts(self) -> dict[str, int]:
        """Number of links by kind."""
        counts: dict[str, int] = {}
        for batch in self._scan("links", ["kind"]):
            for entry in pc.value_counts(batch.column(0).cast(pa.string())).to_pylist():
                counts[entry["values"]] = counts.get(entry["values"], 0) + entry["counts"]
        unknown = sorted(set(counts) - set(LINK_OF_KIND) - set(PROOFS))
        if unknown:
            raise RingfenceError(
                f"the run has links of the kind {unknown[0]!r}, which the graph does not know",
                "Declare it in graph/schema.py.",
            )
        return counts

    @cached_property
    def _texts(self) -> Texts:
        parts: list[Keys] = []
        for batch in self._scan("links", ["key"]):
            parts.append(Keys.of(batch.column(0)).distinct())
        return Texts(self._values, concat(parts), self._progress)

    def _identifiers(self, node: NodeType) -> Iterator[pa.RecordBatch]:
        for links in self._links(str(node.kind)):
            at = starts(links.keys)
            keys = links.keys[at]
            canonical, display, hidden = self._texts.of(keys)
            times = {
                name: pa.array(reduce.reduceat(_microseconds(links.table[name]), at))
                for name, reduce in (("first_at", np.minimum), ("last_at", np.maximum))
            }
            columns: dict[str, pa.Array] = {
                "key": keys.arrow(),
                "canonical": canonical,
                "display": display,
                "hidden": hidden,
                "degree": pa.array(np.diff(at, append=len(links.keys))),
                **times,
            }
            if node.look_alike:
                looks = [None if text is None else skeleton(text) for text in canonical.to_pylist()]
                columns[node.look_alike] = pa.array(looks, pa.string())
            yield _batch(columns, node.arrow)

    def _uses(self, rel: RelationshipType) -> Iterator[pa.RecordBatch]:
        for links in self._links(str(rel.kind)):
            columns = {name: links.table[name] for name in links.table.column_names}
            columns |= {"source": links.organizations.arrow(), "target": links.keys.arrow()}
            columns["evidence_class"] = pa.nulls(len(links.keys), pa.string())
            yield _batch(columns, rel.arrow)

    def _links(self, kind: str) -> Iterator[_Links]:
        count = self._counts.get(kind, 0)
        parts = -(-count // PART_ROWS)
        for part in range(parts):
            found = self._part("links", _LINK_COLUMNS, "key", part, parts, ds.field("kind") == kind)
            keys, organizations = Keys.of(found["key"]), Keys.of(found["organization"])
            order = np.lexsort((organizations.low, organizations.high, keys.low, keys.high))
            if len(order):
                properties = found.select(["first_at", "last_at", "uses", "weight"]).take(pa.array(order))
                yield _Links(keys[order], organizations[order], properties)

    def _organizations(self, node: NodeType) -> Iterator[pa.RecordBatch]:
        columns = ["organization", *(column.name for column in node.properties)]
        parts = -(-self._rows("organizations") // PART_ROWS)
        for part in range(parts):
            found = self._part("organizations", columns, "organization", part, parts)
            keys = Keys.of(found["organization"])
            order = np.lexsort((keys.low, keys.high))
            table = found.drop_columns("organization").take(pa.array(order))
            named = {name: table[name] for name in table.column_names}
            yield _batch({"key": keys[order].arrow(), **named}, node.arrow)

    def _clusters(self, node: NodeType) -> Iterator[pa.RecordBatch]:
        table = self._table("clusters", [column.name for column in node.columns]).sort_by("cluster_id")
        sizes = self._table("members", ["cluster_id"]).group_by("cluster_id").aggregate([([], "count_all")])
        at = pc.index_in(table["cluster_id"], value_set=sizes["cluster_id"].combine_chunks())
        counted = pc.fill_null(sizes["count_all"].take(at), 0)
        columns = {name: table[name] for name in table.column_names}
        yield _batch({**columns, "size": counted}, node.arrow)

    def _run(self, node: NodeType) -> Iterator[pa.RecordBatch]:
        values = {"run_id": self._run_id, "as_of": self._as_of, "clusters": self._rows("clusters")}
        yield pa.RecordBatch.from_pylist([values], schema=node.arrow)

    def _members(self, rel: RelationshipType) -> Iterator[pa.RecordBatch]:
        properties = [column.name for column in rel.properties]
        table = self._table("members", ["organization", "cluster_id", *properties])
        ids = table["cluster_id"].combine_chunks()
        clusters = pc.rank(ids, tiebreaker="dense").to_numpy() if len(ids) else np.empty(0, np.uint64)
        keys = Keys.of(table["organization"])
        order = np.lexsort((keys.low, keys.high, clusters))
        for start in range(0, len(order), BATCH):
            at = order[start : start + BATCH]
            taken = table.select(["cluster_id", *properties]).take(pa.array(at))
            columns = {"source": keys[at].arrow(), "target": taken["cluster_id"]}
            yield _batch(columns | {name: taken[name] for name in properties}, rel.arrow)

    def _signals(self, node: NodeType) -> Iterator[pa.RecordBatch]:
        found = self._points(["signal", "title", "group"]).group_by(["signal", "title", "group"])
        table = found.aggregate([([], "count_all")]).rename_columns({"count_all": "clusters"})
        ordered = table.sort_by("signal")
        yield _batch({name: ordered[name] for name in ordered.column_names}, node.arrow)

    def _shows(self, rel: RelationshipType) -> Iterator[pa.RecordBatch]:
        properties = [column.name for column in rel.properties]
        table = self._points(["signal", "cluster_id", *properties])
        ordered = table.sort_by([("signal", "ascending"), ("cluster_id", "ascending")])
        named = {name: ordered[name] for name in properties}
        yield _batch({"source": ordered["cluster_id"], "target": ordered["signal"], **named}, rel.arrow)

    def _points(self, columns: Sequence[str]) -> pa.Table:
        """The evidence that counts."""
        batches = list(self._scan("evidence", columns, ds.field("points") != 0))
        return pa.Table.from_batches(batches) if batches else self._table("evidence", columns).slice(0, 0)

    def _referrals(self, rel: RelationshipType) -> Iterator[pa.RecordBatch]:
        table = self._table("referrals", ["organization", "referrer", "code", "first_at"])
        sources, targets = Keys.of(table["organization"]), Keys.of(table["referrer"])
        order = pa.array(np.lexsort((sources.low, sources.high, targets.low, targets.high)))
        columns = {"source": sources.arrow(), "target": targets.arrow(), "code": storage_of(table["code"])}
        taken = pa.table(columns | {"first_at": table["first_at"]}).take(order)
        yield _batch({name: taken[name] for name in taken.column_names}, rel.arrow)

    def _in_run(self, rel: RelationshipType) -> Iterator[pa.RecordBatch]:
        ids = self._table("clusters", ["cluster_id"]).sort_by("cluster_id")["cluster_id"]
        yield _batch({"source": ids, "target": pa.array([self._run_id] * len(ids), pa.string())}, rel.arrow)

    def _part(
        self,
        name: str,
        columns: Sequence[str],
        key: str,
        part: int,
        parts: int,
        condition: ds.Expression | None = None,
    ) -> pa.Table:
        """Rows whose key lies in one of `parts` ranges."""
        chosen = []
        for batch in self._scan(name, columns, condition):
            inside = Keys.of(batch.column(key)).bucket(parts) == part
            chosen.append(batch if inside.all() else batch.filter(pa.array(inside)))
        return pa.Table.from_batches(chosen) if chosen else self._table(name, columns).slice(0, 0)

    def _scan(
        self, name: str, columns: Sequence[str], condition: ds.Expression | None = None
    ) -> Iterator[pa.RecordBatch]:
        with _explained(self._folder / f"{name}.parquet"):
            dataset = ds.dataset(self._folder / f"{name}.parquet")
            yield from dataset.to_batches(
                list(columns), filter=condition, batch_size=BATCH, batch_readahead=2
            )

    def _table(self, name: str, columns: Sequence[str]) -> pa.Table:
        with _explained(self._folder / f"{name}.parquet"):
            return pq.read_table(self._folder / f"{name}.parquet", columns=list(columns))

    def _rows(self, name: str) -> int:
        with _explained(self._folder / f"{name}.parquet"):
            return int(pq.read_metadata(self._folder / f"{name}.parquet").num_rows)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise RingfenceError(
            f"cannot read {path}: {error}", "Start the run again with `ringfence run`."
        ) from error


def _microseconds(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    moments: npt.NDArray[np.int64] = column.cast(pa.timestamp("us")).cast(pa.int64()).to_numpy()
    return moments


def _batch(columns: Mapping[str, pa.Array | pa.ChunkedArray], schema: pa.Schema) -> pa.RecordBatch:
    """One batch with exactly the columns of the schema."""
    arrays = []
    for field in schema:
        column = columns[field.name]
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        arrays.append(column if column.type == field.type else column.cast(field.type))
    return pa.record_batch(arrays, schema=schema)
