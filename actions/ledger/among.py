"""Many values in one parameter: the statement's text stays the same, and both databases look each value up by index."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Text, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY

if TYPE_CHECKING:
    from actions.ledger.ledger import Reading


def among(reading: Reading, column: ColumnElement[Any], values: Sequence[Any]) -> ColumnElement[bool]:
    """Whether the column is one of the values (numbers or text)."""
    if reading.conn.dialect.name == "postgresql":
        return column.in_(select(func.unnest(literal(list(values), ARRAY(column.type)))))
    listed = func.json_each(literal(json.dumps(list(values)), Text)).table_valued("value")
    return column.in_(select(listed.c.value))
