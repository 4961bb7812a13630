"""Links as the graph has them: relationships, and the identifiers that they point at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graph.confusables import skeleton
from graph.keys import Keys, starts
from graph.run_tables import as_batch
from graph.schema import NodeType, RelationshipType
from graph.texts import Texts

PROOFS = ("device_attested", "phone_verified")
"""Kinds of links that only say how well another kind's link is proven: the other kind has them all."""

LINK_COLUMNS = ("kind", "key", "organization", "first_at", "last_at", "uses", "weight", "evidence_class")
WEIGHT_DIGITS = 3
"""Finer, each weight would change with every organization that the population gains."""

_PROPERTIES = ["first_at", "last_at", "uses", "weight", "evidence_class"]


@dataclass(frozen=True)
class Links:
    """Links of one kind, sorted by key and organization; all those of each key, and at least one."""

    keys: Keys
    organizations: Keys
    table: pa.Table

    @classmethod
    def sorted(cls, found: pa.Table) -> Links:
        """Links from rows with `LINK_COLUMNS` in any order."""
        keys, organizations = Keys.of(found["key"]), Keys.of(found["organization"])
        order = np.lexsort((organizations.low, organizations.high, keys.low, keys.high))
        return cls(keys[order], organizations[order], found.select(_PROPERTIES).take(pa.array(order)))


def weighed(found: pa.Table) -> pa.Table:
    """Rows with `LINK_COLUMNS`, their weights as exact as the graph shows them."""
    at = found.column_names.index("weight")
    return found.set_column(at, "weight", pc.round(found["weight"], WEIGHT_DIGITS))


def identifiers(node: NodeType, links: Links, texts: Texts) -> pa.RecordBatch:
    """The identifiers that links point at, ascending by key."""
    at = starts(links.keys)
    keys = links.keys[at]
    canonical, display, hidden = texts.of(keys)
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
    return as_batch(columns, node.arrow)


def uses(rel: RelationshipType, links: Links) -> pa.RecordBatch:
    """Links as relationships, ascending by target and source."""
    columns = {name: links.table[name] for name in links.table.column_names}
    columns |= {"source": links.organizations.arrow(), "target": links.keys.arrow()}
    return as_batch(columns, rel.arrow)


def _microseconds(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    moments: npt.NDArray[np.int64] = column.cast(pa.timestamp("us")).cast(pa.int64()).to_numpy()
    return moments
