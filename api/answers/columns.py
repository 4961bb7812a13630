"""A cluster by column, as plain values: what a picture of it is made from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graph.keys import storage_of
from graph.store import Subgraph

Shown = Callable[[str, str | None], str | None]
"""What people see of a node's display: its label and value to a text."""


def columns(found: Subgraph, shown: Shown) -> dict[str, Any]:
    """The tables of a subgraph as lists by column. Keys are hex text, times RFC 3339, figures short."""
    identifiers = _lists(found.identifiers)
    labels = identifiers["label"]
    identifiers["display"] = [
        shown(label, value) for label, value in zip(labels, identifiers["display"], strict=True)
    ]
    return {
        "organizations": _lists(found.organizations),
        "identifiers": identifiers,
        "relationships": _lists(found.relationships),
        "cells": None if found.cells is None else _lists(found.cells),
        "total": found.total,
        "cut": found.cut,
    }


def _lists(table: pa.Table) -> dict[str, list[Any]]:
    return {name: _list(table[name]) for name in table.column_names}


def _list(column: pa.ChunkedArray) -> list[Any]:
    kind = column.type
    if pa.types.is_timestamp(kind):
        column = pc.strftime(column, "%Y-%m-%dT%H:%M:%SZ") if column.null_count < len(column) else column
        return [None if each is None else f"{each[:19]}Z" for each in column.to_pylist()]
    if pa.types.is_float32(kind) and column.null_count == 0:
        return np.round(column.to_numpy().astype(np.float64), 3).tolist()  # type: ignore[no-any-return]
    if pa.types.is_fixed_size_binary(kind) or isinstance(kind, pa.BaseExtensionType):
        return [None if each is None else each.hex() for each in storage_of(column).to_pylist()]
    found: list[Any] = column.to_pylist()
    return found
