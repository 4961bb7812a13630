"""How a detector gets the views and nothing else: each as a sealed file without a name, in memory where that exists."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa

from detection.engines.duckdb import Engine
from detection.lifecycle.views import VIEWS
from graph.identifiers import Kind


class Handover:
    """Views as open files that several processes in turn may read and none can change.

    `tables` are the views with their names; `members` (cluster, org) is always among them. `kinds` are the kinds of
    identifiers that a detector may name. Close it, or use it as a context.
    """

    def __init__(self, tables: Iterable[tuple[str, pa.Table]]) -> None:
        self._files: dict[str, int] = {}
        self.kinds = frozenset(kind.value for kind in Kind)
        try:
            for name, table in tables:  # one at a time: they may be large
                self._files[name] = _written(table)
                if name == "members":
                    self.members = table
                if name == "member_links":
                    self.kinds |= frozenset(table["kind"].unique().to_pylist())
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def descriptors(self, names: Iterable[str]) -> dict[str, int]:
        """The open file of each view."""
        return {name: self._files[name] for name in names}

    def close(self) -> None:
        """Let the files go."""
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files = {}


def collect(engine: Engine, views: Iterable[str], seed: int) -> Iterator[tuple[str, pa.Table]]:
    """The rows of views of a run, sorted, under other numbers of groups; leaves `group_numbers` (cluster, number).

    Random groups and found ones are numbered through each other, so that no detector can tell which is which.
    """
    clusters = engine.fetch("SELECT DISTINCT cluster FROM members ORDER BY cluster")["cluster"]
    numbers = np.random.default_rng(seed).permutation(len(clusters))
    engine.register("group_numbers", pa.table({"cluster": clusters, "number": pa.array(numbers, pa.int64())}))
    for name in dict.fromkeys(["members", *views]):
        yield name, _ordinary(engine.fetch(VIEWS[name].select()))


def _ordinary(table: pa.Table) -> pa.Table:
    """Truth values as Arrow's own, not as the bytes that DuckDB sends."""
    for place, field in enumerate(table.schema):
        if isinstance(field.type, pa.Bool8Type):
            chunks = [chunk.storage.cast(pa.bool_()) for chunk in table.column(place).chunks]
            table = table.set_column(place, field.name, pa.chunked_array(chunks, pa.bool_()))
    return table


def sealed(content: bytes) -> int:
    """A descriptor of a file that has no name and holds `content`; in memory and unchangeable on Linux."""
    descriptor = _nameless()
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(content)
    return _seal(descriptor)


def _written(table: pa.Table) -> int:
    """The same of a table, as a stream of Arrow batches."""
    descriptor = _nameless()
    with (
        os.fdopen(os.dup(descriptor), "wb") as file,
        pa.ipc.new_stream(file, table.schema) as writer,
    ):
        writer.write_table(table.combine_chunks())
    return _seal(descriptor)


def _nameless() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("ringfence", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _seal(descriptor: int) -> int:
    if hasattr(os, "memfd_create"):
        import fcntl

        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return descriptor
