"""What actions set on nodes: a second file beside the graph, because each publication replaces the first.

It is a database with a write-ahead log, written durably by any process; readers attach it.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime
from typing import Any

import pyarrow as pa

from graph.schema import NODES
from graph.store import NodeRef
from graph.stores.sqlite.schema import Connection, kept_table, key_match, quoted, to_arrow, to_stored

_ORGANIZATION = NODES["Organization"]
_KEY = quoted(_ORGANIZATION.key.name)


def known(connection: Connection, organizations: Collection[NodeRef]) -> list[bytes]:
    """Keys of those organizations that are in the graph."""
    keys = sorted({ref.key for ref in organizations if ref.label == _ORGANIZATION.label})
    query = (
        f"SELECT n.{_KEY} FROM json_each(?) f CROSS JOIN {quoted(_ORGANIZATION.label)} n "
        f"ON n.{_KEY} = {key_match(_ORGANIZATION, 'f.value')}"
    )
    return [key for (key,) in connection.execute(query, [json.dumps(keys)])]


def write(connection: Connection, keys: Collection[bytes], status: str | None, at: datetime) -> None:
    """Set or forget the status of organizations, in one transaction."""
    table = kept_table(_ORGANIZATION)
    connection.execute("BEGIN IMMEDIATE")
    if status is None:
        connection.executemany(f"DELETE FROM {table} WHERE {_KEY} = ?", ((key,) for key in keys))
    else:
        moment = to_stored(at)
        connection.executemany(
            f"INSERT OR REPLACE INTO {table} ({_KEY}, status, status_at) VALUES (?, ?, ?)",
            ((key, status, moment) for key in keys),
        )
    connection.execute("COMMIT")


def statuses(connection: Connection) -> pa.Table:
    """See `GraphStore.statuses`."""
    columns = (_ORGANIZATION.key, *_ORGANIZATION.kept)
    query = (
        f"SELECT k.{_KEY}, k.status, k.status_at FROM {kept_table(_ORGANIZATION)} k "
        f"CROSS JOIN {quoted(_ORGANIZATION.label)} n ON n.{_KEY} = k.{_KEY} ORDER BY k.{_KEY}"
    )
    rows: list[tuple[Any, ...]] = list(connection.execute(query))
    stored = zip(*rows, strict=True) if rows else [()] * len(columns)
    return pa.table(
        {column.name: to_arrow(values, column) for values, column in zip(stored, columns, strict=True)}
    )
