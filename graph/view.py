"""One run as a graph: from the files it wrote and the texts of the facts to sorted batches of the schema.

Large tables are read once for each range of keys, so that no more than a part is in memory and sorted at a
time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from graph.errors import RingfenceError
from graph.keys import Keys, concat, storage_of
from graph.link_rows import LINK_COLUMNS, PROOFS, Links, identifiers, uses, weighed
from graph.run_changes import changes_between
from graph.run_tables import BATCH, RunTables, as_batch
from graph.schema import LINK_OF_KIND, NODES, RELATIONSHIPS, NodeType, RelationshipType
from graph.store import GraphChanges, Progress, quiet
from graph.texts import Texts

PART_ROWS = 250_000
"""Rows that are sorted at a time."""

RISK_DIGITS = 3
"""Finer, each member's risk would change with every run."""
_EVIDENCE_DIGITS = {"value": 3, "baseline": 4}


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
        self.tables = RunTables(folder)
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

    def changes_since(self, run_id: str) -> GraphChanges | None:
        """See `GraphView.changes_since`: known while the other run's folder lies beside this one's."""
        folder = self.tables.folder.parent / run_id
        if run_id == self._run_id or folder.name != run_id or not folder.is_dir():
            return None
        before = RunView(folder, run_id, self._as_of, self._values, self._progress)
        return changes_between(before, self, self._values, self._progress)

    def organization_table(self) -> pa.Table:
        """All organizations in the order of the file, with the columns of the schema; short texts by dictionary."""
        node = NODES["Organization"]
        found = self.tables.table("organizations", _organization_columns(node), coded=["country", "plan"])
        columns = [storage_of(found["organization"]), *found.columns[1:]]
        return pa.table(columns, names=node.arrow.names)

    @cached_property
    def _counts(self) -> dict[str, int]:
        """Number of links by kind."""
        counts: dict[str, int] = {}
        for batch in self.tables.scan("links", ["kind"]):
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
        for batch in self.tables.scan("links", ["key"]):
            parts.append(Keys.of(batch.column(0)).distinct())
        return Texts(self._values, concat(parts), self._progress)

    def _identifiers(self, node: NodeType) -> Iterator[pa.RecordBatch]:
        for links in self._links(str(node.kind)):
            yield identifiers(node, links, self._texts)

    def _uses(self, rel: RelationshipType) -> Iterator[pa.RecordBatch]:
        for links in self._links(str(rel.kind)):
            yield uses(rel, links)

    def _links(self, kind: str) -> Iterator[Links]:
        count = self._counts.get(kind, 0)
        parts = -(-count // PART_ROWS)
        for part in range(parts):
            found = self.tables.part("links", LINK_COLUMNS, "key", part, parts, ds.field("kind") == kind)
            if found.num_rows:
                yield Links.sorted(weighed(found))

    def _organizations(self, node: NodeType) -> Iterator[pa.RecordBatch]:
        columns = _organization_columns(node)
        parts = -(-self.tables.rows("organizations") // PART_ROWS)
        for part in range(parts):
            found = self.tables.part("organizations", columns, "organization", part, parts)
            keys = Keys.of(found["organization"])
            order = np.lexsort((keys.low, keys.high))
            table = found.drop_columns("organization").take(pa.array(order))
            named = {name: table[name] for name in table.column_names}
            yield as_batch({"key": keys[order].arrow(), **named}, node.arrow)

    def _clusters(self, node: NodeType) -> Iterator[pa.RecordBatch]:
        table = self.tables.table("clusters", [column.name for column in node.columns]).sort_by("cluster_id")
        sizes = (
            self.tables.table("members", ["cluster_id"]).group_by("cluster_id").aggregate([([], "count_all")])
        )
        at = pc.index_in(table["cluster_id"], value_set=sizes["cluster_id"].combine_chunks())
        counted = pc.fill_null(sizes["count_all"].take(at), 0)
        columns = {name: table[name] for name in table.column_names}
        yield as_batch({**columns, "size": counted}, node.arrow)

    def _run(self, node: NodeType) -> Iterator[pa.RecordBatch]:
        values = {"run_id": self._run_id, "as_of": self._as_of, "clusters": self.tables.rows("clusters")}
        yield pa.RecordBatch.from_pylist([values], schema=node.arrow)

    def _members(self, rel: RelationshipType) -> Iterator[pa.RecordBatch]:
        properties = [column.name for column in rel.properties]
        table = self.tables.table("members", ["organization", "cluster_id", *properties])
        at = table.column_names.index("member_risk")
        table = table.set_column(at, "member_risk", pc.round(table["member_risk"], RISK_DIGITS))
        ids = table["cluster_id"].combine_chunks()
        clusters = pc.rank(ids, tiebreaker="dense").to_numpy() if len(ids) else np.empty(0, np.uint64)
        keys = Keys.of(table["organization"])
        order = np.lexsort((keys.low, keys.high, clusters))
        for start in range(0, len(order), BATCH):
            at = order[start : start + BATCH]
            taken = table.select(["cluster_id", *properties]).take(pa.array(at))
            columns = {"source": keys[at].arrow(), "target": taken["cluster_id"]}
            yield as_batch(columns | {name: taken[name] for name in properties}, rel.arrow)

    @cached_property
    def _evidence(self) -> pa.Table:
        """The evidence that counts, as exact as people read it: baselines move a little with every run."""
        texts = ["signal", "title", "group", "cluster_id", "fact"]
        properties = [column.name for column in RELATIONSHIPS["SHOWS"].properties]
        columns = [*texts[:-1], *properties]
        found = self.tables.table("evidence", columns, coded=texts)
        counting = found.filter(pc.not_equal(found["points"], 0))
        for name, digits in _EVIDENCE_DIGITS.items():
            at = counting.column_names.index(name)
            counting = counting.set_column(at, name, pc.round(counting[name], digits))
        plain = [pa.field(one.name, pa.string()) if one.name in texts else one for one in counting.schema]
        return counting.cast(pa.schema(plain))

    def _signals(self, node: NodeType) -> Iterator[pa.RecordBatch]:
        found = self._evidence.group_by(["signal", "title", "group"])
        table = found.aggregate([([], "count_all")]).rename_columns({"count_all": "clusters"})
        ordered = table.sort_by("signal")
        yield as_batch({name: ordered[name] for name in ordered.column_names}, node.arrow)

    def _shows(self, rel: RelationshipType) -> Iterator[pa.RecordBatch]:
        properties = [column.name for column in rel.properties]
        ordered = self._evidence.sort_by([("signal", "ascending"), ("cluster_id", "ascending")])
        named = {name: ordered[name] for name in properties}
        yield as_batch({"source": ordered["cluster_id"], "target": ordered["signal"], **named}, rel.arrow)

    def _referrals(self, rel: RelationshipType) -> Iterator[pa.RecordBatch]:
        table = self.tables.table("referrals", ["organization", "referrer", "code", "first_at"])
        sources, targets = Keys.of(table["organization"]), Keys.of(table["referrer"])
        order = pa.array(np.lexsort((sources.low, sources.high, targets.low, targets.high)))
        columns = {"source": sources.arrow(), "target": targets.arrow(), "code": storage_of(table["code"])}
        taken = pa.table(columns | {"first_at": table["first_at"]}).take(order)
        yield as_batch({name: taken[name] for name in taken.column_names}, rel.arrow)

    def _in_run(self, rel: RelationshipType) -> Iterator[pa.RecordBatch]:
        ids = self.tables.table("clusters", ["cluster_id"]).sort_by("cluster_id")["cluster_id"]
        yield as_batch({"source": ids, "target": pa.array([self._run_id] * len(ids), pa.string())}, rel.arrow)


def _organization_columns(node: NodeType) -> list[str]:
    return ["organization", *(column.name for column in node.properties)]
