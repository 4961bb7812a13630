"""What passes between a source, the normaliser and the facts writer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa


@dataclass(frozen=True)
class RawBatch:
    """Rows as a source read them, by column; picklable.

    `columns` are all `rows` long: `pa.string()` holding the text form of scalars (CSV cells, JSON numbers exactly
    as written), or typed when the source is. Unknown columns may be among them. `extra`, if given, holds a JSON
    object (text) of further unknown columns or null a row, for sources that know their types. `lines` are 1-based
    line or row numbers in `file`. `raw` is the raw text of each row; None for typed sources, where `row_text`
    writes it as JSON. `errors` are rows that the source itself rejects: row to reason code. `ordinals` are each
    row's 0-based position among identical rows of the file (None: all 0), used where `event_id` is absent.
    """

    columns: Mapping[str, pa.Array]
    rows: int
    file: str
    lines: pa.Array
    raw: Sequence[str] | pa.Array | None = None
    errors: Mapping[int, str] = field(default_factory=dict)
    ordinals: pa.Array | None = None
    extra: pa.Array | None = None

    def row_texts(self, rows: Sequence[int]) -> list[str]:
        """The raw text of these rows; for typed sources a JSON object of what the row holds, by column name.

        It is unredacted: see `ingest.redaction` before keeping it anywhere.
        """
        if self.raw is not None:
            if isinstance(self.raw, pa.Array):
                return [text or "" for text in self.raw.take(pa.array(rows, pa.int64())).to_pylist()]
            return [self.raw[row] for row in rows]
        found: list[dict[str, Any]] = [{} for _ in rows]
        for name, column in self.columns.items():
            if column.null_count == len(column):
                continue
            for record, value in zip(found, _values(column, rows), strict=True):
                if value is not None:
                    record[name] = value
        return [orjson.dumps(record, default=plain_value, option=JSON).decode() for record in found]


JSON = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS
"""How rows and `extra` are written: keys sorted, so that equal content is equal text."""


def plain_value(value: object) -> str:
    """What JSON has no type for (decimals, bytes, huge integers), as text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def plain_values(column: pa.Array) -> list[Any]:
    """A column's values as Python's own, the same in every installation; see `plain_value` for text of the rest."""
    column = _of_microseconds(column)
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:  # text that is no UTF-8: shown with replacement characters
        return [None if raw is None else plain_value(raw) for raw in column.cast(pa.binary()).to_pylist()]
    except (OverflowError, ValueError):  # times beyond the calendar
        return [_within_calendar(one) for one in column]


def _of_microseconds(column: pa.Array) -> pa.Array:
    """Nanoseconds, for which Python has no type, cut off to microseconds."""
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return column.cast(pa.timestamp("us", kind.tz), safe=False)
    if pa.types.is_duration(kind) and kind.unit == "ns":
        return column.cast(pa.duration("us"), safe=False)
    if pa.types.is_time64(kind) and kind.unit == "ns":
        return column.cast(pa.time64("us"), safe=False)
    return column


def _within_calendar(value: pa.Scalar) -> Any:
    try:
        return value.as_py()
    except (OverflowError, ValueError):
        return str(value.value) if hasattr(value, "value") else "a time beyond the calendar"


def _values(column: pa.Array, rows: Sequence[int]) -> list[Any]:
    if pa.types.is_string_view(column.type) or pa.types.is_binary_view(column.type):
        column = column.cast(pa.binary() if pa.types.is_binary_view(column.type) else pa.string())
    return plain_values(column if len(rows) == len(column) else column.take(pa.array(rows, pa.int64())))


@dataclass(frozen=True)
class Rejected:
    """A row that cannot be stored: its index in the batch, a stable reason code, the field at fault, and words.

    `detail` says what was wrong and what would be right; it never holds the value of a secret.
    """

    row: int
    reason: str
    field: str | None = None
    detail: str = ""


@dataclass(frozen=True)
class Normalised:
    """A batch's accepted rows in the facts' form, and the rest with reasons.

    `events` (facts_schema.EVENTS) and `rows`, `ids`, `content` have one entry an accepted row, in the batch's order:
    `rows` its index in the batch, `ids` a keyed 64-bit fingerprint of source and event id, `content` one of what
    the row says (without `ingested_at`), so that the same id with other content is noticed. `values` is
    facts_schema.VALUES. Accepted and rejected rows add up to the batch. `epoch_unit` is the unit of epoch
    timestamps seen (given or decided here), None when there were none.
    """

    events: pa.Table
    values: pa.Table
    ids: npt.NDArray[np.uint64]
    content: npt.NDArray[np.uint64]
    rows: npt.NDArray[np.int64]
    rejected: list[Rejected]
    epoch_unit: str | None = None
