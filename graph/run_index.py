"""Identifiers that one organization alone has: a per-run index of sorted files, and a graph store that shows them.

They tie nobody, and there are several times as many of them as of all others, so the graph does without them. A run
writes two files: `leaves.parquet` (organization, kind, key, first_at, last_at, uses), sorted by organization, and
`leaf_keys.parquet` (key, organization), sorted by key. A look-up reads the few row groups that may hold the key.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from graph.confusables import skeleton
from graph.errors import RingfenceError
from graph.keys import storage_of
from graph.schema import KEY_BYTES, LINK_OF_KIND, NODE_OF_KIND
from graph.store import Node, NodeRef, Relationship, Value

LEAVES = "leaves"
LEAF_KEYS = "leaf_keys"
ROW_GROUP = 8_192
"""Rows of a row group for which one look-up costs least; larger ones work, and take longer."""

MOST_SEEN = 100_000
"""Leaves, and texts, that are remembered."""

_TEXTS = ["key", "canonical", "display", "hidden"]
_UNKNOWN = (None, None, False)

Text = tuple[str | None, str | None, bool]


@dataclass(frozen=True)
class Leaf:
    """An identifier and its one organization. Keys are hex text."""

    kind: str
    key: str
    organization: str
    first_at: datetime
    last_at: datetime
    uses: int

    @property
    def ref(self) -> NodeRef:
        """Its node."""
        return NodeRef(NODE_OF_KIND[self.kind].label, self.key)

    @property
    def relationship(self) -> Relationship:
        """Its one relationship."""
        rel = LINK_OF_KIND[self.kind]
        properties: dict[str, Value] = {column.name: None for column in rel.properties}
        properties |= {"first_at": self.first_at, "last_at": self.last_at, "uses": self.uses}
        return Relationship(rel.name, NodeRef(rel.source, self.organization), self.ref, 1, properties)


class LeafIndex:
    """The leaves of one run. `values` are the value files of the facts, which hold their texts.

    A run without the files has no leaves. Raises RingfenceError when a file cannot be read.
    """

    def __init__(self, run: Path, values: Sequence[Path] = ()) -> None:
        self._run, self._values = run, values
        self._known: dict[bytes, Text] = {}
        self._seen: dict[str, Leaf] = {}

    def of(self, organizations: Collection[str]) -> list[Leaf]:
        """The leaves of organizations, by organization, kind and key."""
        table = self._leaves.rows(_keys(organizations))
        found = list(_leaves(table)) if table is not None else []
        if len(self._seen) > MOST_SEEN:
            self._seen = {}
        self._seen |= {leaf.key: leaf for leaf in found}
        return sorted(found, key=lambda leaf: (leaf.organization, leaf.kind, leaf.key))

    def find(self, keys: Collection[str]) -> list[Leaf]:
        """Those of the keys that are leaves; what was read just before is not read again."""
        seen = [self._seen[key] for key in keys if key in self._seen]
        left = {key for key in keys if key not in self._seen}
        table = self._leaf_keys.rows(_keys(left))
        owners = _hex(table["organization"]) if table is not None else []
        return seen + [leaf for leaf in self.of(set(owners)) if leaf.key in left]

    def nodes(self, leaves: Sequence[Leaf]) -> dict[NodeRef, Node]:
        """The nodes of leaves, with their texts."""
        texts = self._texts([bytes.fromhex(leaf.key) for leaf in leaves])
        return {leaf.ref: _node(leaf, texts[bytes.fromhex(leaf.key)]) for leaf in leaves}

    @cached_property
    def _leaves(self) -> _Sorted:
        return _Sorted(self._run / f"{LEAVES}.parquet", "organization")

    @cached_property
    def _leaf_keys(self) -> _Sorted:
        return _Sorted(self._run / f"{LEAF_KEYS}.parquet", "key")

    def _texts(self, keys: Sequence[bytes]) -> Mapping[bytes, Text]:
        """Of several rows for one key the first counts; it is hidden if any is."""
        missing = [key for key in keys if key not in self._known]
        if missing:
            found: dict[bytes, Text] = {}
            for file in self._values:
                for key, (canonical, display, hidden) in _value_rows(file, missing):
                    first = found.get(key, (canonical, display, False))
                    found[key] = (first[0], first[1], first[2] or hidden)
            if len(self._known) > MOST_SEEN:
                self._known = {key: self._known[key] for key in keys if key in self._known}
            self._known |= {key: found.get(key, _UNKNOWN) for key in missing}
        return self._known


def forget_leaves(runs: Path, *, keep: str) -> None:
    """Remove the leaves of all runs but one: they are large, and only those of the run that is shown are asked for."""
    for name in (LEAVES, LEAF_KEYS):
        for path in runs.glob(f"run_*/{name}.parquet"):
            if path.parent.name != keep:
                path.unlink(missing_ok=True)


class _Sorted:
    """A Parquet file sorted by a key column: rows by key, from the row groups whose statistics admit it."""

    def __init__(self, path: Path, column: str) -> None:
        self._path, self._column = path, column
        self._file: pq.ParquetFile | None = None
        self._first: list[bytes] = []
        self._last: list[bytes] = []
        if path.exists():
            with _explained(path):
                self._file = pq.ParquetFile(path)
                self._first, self._last = _bounds(self._file, column)

    def rows(self, keys: Sequence[bytes]) -> pa.Table | None:
        """The rows with one of the keys; None where there can be none."""
        groups = sorted({group for key in keys for group in self._groups(key)})
        if self._file is None or not groups:
            return None
        with _explained(self._path):
            table = self._file.read_row_groups(groups, use_threads=False)
        wanted = pa.array(keys, pa.binary(KEY_BYTES))
        return table.filter(pc.is_in(storage_of(table[self._column]), value_set=wanted))

    def _groups(self, key: bytes) -> Iterator[int]:
        group = bisect_left(self._last, key)
        while group < len(self._first) and self._first[group] <= key:
            yield group
            group += 1


def _bounds(file: pq.ParquetFile, column: str) -> tuple[list[bytes], list[bytes]]:
    """The first and the last key of each row group."""
    at = file.schema_arrow.get_field_index(column)
    first: list[bytes] = []
    last: list[bytes] = []
    for group in range(file.metadata.num_row_groups):
        if file.metadata.row_group(group).num_rows == 0:
            continue
        known = file.metadata.row_group(group).column(at).statistics
        if known is not None and known.has_min_max:
            first.append(known.min)
            last.append(known.max)
        else:  # a writer that keeps no statistics: the group has to be looked at
            keys = storage_of(file.read_row_group(group, columns=[column])[column])
            first.append(keys[0].as_py())
            last.append(keys[-1].as_py())
    return first, last


def _value_rows(file: Path, keys: Sequence[bytes]) -> Iterator[tuple[bytes, Text]]:
    """The rows of a value file with one of the keys; texts are read only from groups that have one."""
    wanted = pa.array(keys, pa.binary(KEY_BYTES))
    with _explained(file), pq.ParquetFile(file) as values:
        for group in range(values.metadata.num_row_groups):
            here = pc.is_in(
                storage_of(values.read_row_group(group, columns=["key"])["key"]), value_set=wanted
            )
            if pc.any(here).as_py():
                table = values.read_row_group(group, columns=_TEXTS).filter(here)
                found: list[bytes] = storage_of(table["key"]).to_pylist()
                for key, row in zip(found, table.drop_columns("key").to_pylist(), strict=True):
                    yield key, (row["canonical"], row["display"], bool(row["hidden"]))


def _leaves(table: pa.Table) -> Iterator[Leaf]:
    plain = table.select(["kind", "first_at", "last_at", "uses"]).to_pylist()
    owners, keys = _hex(table["organization"]), _hex(table["key"])
    for owner, key, row in zip(owners, keys, plain, strict=True):
        if row["kind"] in LINK_OF_KIND:
            yield Leaf(organization=owner, key=key, **row)


def _node(leaf: Leaf, text: Text) -> Node:
    node = NODE_OF_KIND[leaf.kind]
    canonical, display, hidden = text
    properties: dict[str, Value] = {
        "key": leaf.key,
        "canonical": canonical,
        "display": display,
        "hidden": hidden,
        "degree": 1,
        "first_at": leaf.first_at,
        "last_at": leaf.last_at,
    }
    if node.look_alike:
        properties[node.look_alike] = None if canonical is None else skeleton(canonical)
    return Node(leaf.ref, display, 1, properties)


def _keys(texts: Collection[str]) -> list[bytes]:
    """Keys from hex text; what is none is no key of anything."""
    return sorted({key for text in texts if (key := key_bytes(text)) is not None})


def key_bytes(text: str) -> bytes | None:
    """The key that a text of 32 hex digits is."""
    try:
        key = bytes.fromhex(text) if len(text) == 2 * KEY_BYTES else b""
    except ValueError:
        return None
    return key if len(key) == KEY_BYTES else None


def _hex(column: pa.ChunkedArray) -> list[str]:
    return [key.hex() for key in storage_of(column).to_pylist()]


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException, KeyError) as error:
        raise RingfenceError(
            f"cannot read {path}: {error}", "Start the run again with `ringfence run`."
        ) from error
