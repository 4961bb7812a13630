"""What changed between two runs of one home, from the files that both wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graph.changes import (
    Changes,
    Difference,
    UnknownError,
    compare,
    differing,
    match,
)
from graph.errors import RingfenceError
from graph.keys import Keys, KeySet, concat, storage_of
from graph.link_rows import LINK_COLUMNS, PROOFS, Links, identifiers, uses, weighed
from graph.schema import LINK_OF_KIND, NODE_OF_KIND, NODES, RELATIONSHIPS
from graph.store import Progress
from graph.texts import Texts

if TYPE_CHECKING:
    from graph.view import RunView

MOST = 0.2
"""Above this share of changed rows a run is published whole."""

STAGE = "compare runs"
_SMALL = ("MEMBER_OF", "SHOWS", "REFERRED_BY")
_COUNTED = ("first_at", "last_at", "uses")
"""Columns of a link that its identifier's node depends on, or that tell of new values of it."""


def changes_between(old: RunView, new: RunView, values: Sequence[Path], progress: Progress) -> Changes | None:
    """What makes `new` out of `old`; None where too much changed, or where that cannot be told."""
    comparing = _Comparing(old, new, progress)
    try:
        comparing.organizations()
        links = comparing.links()
        comparing.small()
    except (UnknownError, RingfenceError):  # what is wrong with the newer one, publishing all of it will tell
        return None
    if comparing.changed > MOST * comparing.rows:
        return None
    links.finish(comparing, Texts(values, links.touched, progress))
    comparing.run(old.run_id)
    return Changes(new.run_id, comparing.nodes, comparing.relationships)


@dataclass
class _Comparing:
    old: RunView
    new: RunView
    progress: Progress
    nodes: dict[str, Difference] = field(default_factory=dict)
    relationships: dict[str, Difference] = field(default_factory=dict)
    changed: int = 0
    rows: int = 0

    def organizations(self) -> None:
        """Compare the organizations as they lie in the files; sort only what changed."""
        self.progress(STAGE, 0, 3)
        before, after = (view.organization_table() for view in (self.old, self.new))
        node = NODES["Organization"]
        found = compare(before, after, [node.key.name], given=node.search)
        self._count(found, after.num_rows)
        keys = Keys.of(found.put["key"])
        order = pa.array(np.lexsort((keys.low, keys.high)))
        self.nodes[node.label] = Difference(found.put.take(order).cast(node.arrow), found.gone)

    def links(self) -> _LinkChanges:
        """Compare the links."""
        self.progress(STAGE, 1, 3)
        before, after = (_links(view) for view in (self.old, self.new))
        found = _LinkChanges.between(before, after)
        self.changed += found.put.num_rows + found.gone.num_rows
        self.rows += after.num_rows
        return found

    def small(self) -> None:
        """Compare what fits into memory twice as the views make it."""
        self.progress(STAGE, 2, 3)
        for label in ("Cluster", "Signal"):
            node = NODES[label]
            before, after = (pa.Table.from_batches(one.nodes(label), node.arrow) for one in self._both)
            self.nodes[label] = compare(before, after, [node.key.name])
            self._count(self.nodes[label], after.num_rows)
        for name in _SMALL:
            schema = RELATIONSHIPS[name].arrow
            before, after = (pa.Table.from_batches(one.relationships(name), schema) for one in self._both)
            self.relationships[name] = compare(before, after, ["source", "target"])
            self._count(self.relationships[name], after.num_rows)

    def run(self, before: str) -> None:
        """One run in place of the other; that takes its relationships with it."""
        run, in_run = NODES["Run"], RELATIONSHIPS["IN_RUN"]
        gone = pa.table({run.key.name: pa.array([before])})
        self.nodes["Run"] = Difference(pa.Table.from_batches(self.new.nodes("Run"), run.arrow), gone)
        put = pa.Table.from_batches(self.new.relationships("IN_RUN"), in_run.arrow)
        self.relationships["IN_RUN"] = Difference(put, put.select(["source", "target"]).slice(0, 0))
        self.progress(STAGE, 3, 3)

    @property
    def _both(self) -> tuple[RunView, RunView]:
        return self.old, self.new

    def _count(self, found: Difference, rows: int) -> None:
        self.changed += found.rows
        self.rows += rows


@dataclass(frozen=True)
class _LinkChanges:
    """Links to put and gone ones, the keys of identifiers whose nodes may differ, and all links of those."""

    put: pa.Table
    gone: pa.Table
    touched: Keys
    around: pa.Table
    lost: pa.Table

    @classmethod
    def between(cls, old: pa.Table, new: pa.Table) -> _LinkChanges:
        """Compare two tables with `LINK_COLUMNS`."""
        ends = ["kind", "key", "organization"]
        rows = match(old, new, ends)
        counted = differing(old, new, rows, list(_COUNTED))
        changed = counted | differing(old, new, rows, ["weight", "evidence_class"])
        gone = old.take(pa.array(rows.gone))
        telling = new.take(pa.array(np.concatenate([rows.fresh, rows.new[counted]])))
        touched = KeySet(concat([Keys.of(telling["key"]), Keys.of(gone["key"])]))
        at, place = touched.locate(Keys.of(new["key"]))
        left = np.zeros(len(touched), dtype=np.bool_)
        left[place] = True
        lost_at, lost_place = touched.locate(Keys.of(gone["key"]))
        lost = gone.take(pa.array(lost_at[~left[lost_place]]))
        put = new.take(pa.array(np.concatenate([rows.fresh, rows.new[changed]])))
        return cls(put, gone, touched.keys[left], new.take(pa.array(at)), lost)

    def finish(self, comparing: _Comparing, texts: Texts) -> None:
        """Fill in the relationships of every kind, and the identifiers around them."""
        for kind, rel in LINK_OF_KIND.items():
            node = NODE_OF_KIND[kind]
            gone = _of_kind(self.gone, kind)
            ends = {"source": storage_of(gone["organization"]), "target": storage_of(gone["key"])}
            comparing.relationships[rel.name] = Difference(
                _batch_table(uses(rel, Links.sorted(_of_kind(self.put, kind)))), pa.table(ends)
            )
            around = _of_kind(self.around, kind)
            put = (
                _batch_table(identifiers(node, Links.sorted(around), texts))
                if around.num_rows
                else node.arrow.empty_table()
            )
            lost = Keys.of(_of_kind(self.lost, kind)["key"]).distinct().arrow()
            comparing.nodes[node.label] = Difference(put, pa.table({node.key.name: lost}))


def _links(view: RunView) -> pa.Table:
    found = weighed(view.tables.table("links", LINK_COLUMNS, coded=["kind"]))
    proofs = pc.is_in(found["kind"].cast(pa.string()), pa.array(PROOFS))
    return found.filter(pc.invert(proofs)) if pc.any(proofs).as_py() else found


def _of_kind(table: pa.Table, kind: str) -> pa.Table:
    return table.filter(pc.equal(table["kind"].cast(pa.string()), kind))


def _batch_table(batch: pa.RecordBatch) -> pa.Table:
    return pa.Table.from_batches([batch])
