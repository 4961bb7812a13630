"""Applies a mapping's rule to batches: by column, never row by row."""

from __future__ import annotations

from collections.abc import Mapping as Columns
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.batch import RawBatch
from ingest.fields import SECRET_FIELDS
from ingest.mapping import EPOCH_UNITS, EventRule, InputRule, When

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class MappedBatch:
    """One event of some rows: the batch in the columns of an event, and which input rows it came from.

    `position` is the event's place among the events that its row may become.
    """

    batch: RawBatch
    rows: I64
    position: int


def secret_columns(rule: InputRule) -> dict[str, str]:
    """The input's own columns that become secret fields in some event, and which."""
    parts = (rule, *rule.events)
    pairs = ((origin, to) for part in parts for to, origin in part.columns.items())
    return {origin: to for origin, to in pairs if to in (*SECRET_FIELDS, "entity_key")}


def take_rows(batch: RawBatch, rows: I64) -> RawBatch:
    """Some rows of a batch, in the order given; errors of the source are left behind."""
    if len(rows) == batch.rows and not batch.errors and bool((rows == np.arange(batch.rows)).all()):
        return batch
    at = pa.array(rows)
    raw = batch.raw
    if raw is not None:
        raw = raw.take(at) if isinstance(raw, pa.Array) else [raw[row] for row in rows.tolist()]
    return replace(
        batch,
        columns={name: column.take(at) for name, column in batch.columns.items()},
        rows=len(rows),
        lines=batch.lines.take(at),
        raw=raw,
        errors={},
        ordinals=None if batch.ordinals is None else batch.ordinals.take(at),
        extra=None if batch.extra is None else batch.extra.take(at),
    )


def apply_rule(rule: InputRule, batch: RawBatch) -> list[MappedBatch]:
    """The events that a batch's rows become; rows of which no event's conditions hold are in none of them."""
    if not rule.events:
        return [MappedBatch(_rename(rule, None, batch, 0), np.arange(batch.rows), 0)]
    mapped = []
    for position, event in enumerate(rule.events):
        rows = _holds(event.when, batch)
        if len(rows):
            renamed = _rename(rule, event, take_rows(batch, rows), position)
            mapped.append(MappedBatch(renamed, rows, position))
    return mapped


def _holds(conditions: tuple[When, ...], batch: RawBatch) -> I64:
    mask = np.ones(batch.rows, dtype=np.bool_)
    for condition in conditions:
        text = as_text(batch.columns.get(condition.column), batch.rows)
        mask &= pc.fill_null(_test(condition, text), False).to_numpy(zero_copy_only=False)
    return np.flatnonzero(mask)


def _test(condition: When, text: pa.Array) -> pa.Array:
    present = pc.and_kleene(text.is_valid(), pc.not_equal(text, ""))
    if condition.present is not None:
        there = pc.fill_null(present, False)
        return there if condition.present else pc.invert(there)
    if condition.equals is not None:
        return pc.is_in(text, pa.array(_listed(condition.equals), pa.string()))
    assert condition.not_equals is not None  # noqa: S101 - When holds exactly one of the three
    return pc.and_(present, pc.invert(pc.is_in(text, pa.array(_listed(condition.not_equals), pa.string()))))


def _listed(value: tuple[str, ...] | str) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def as_text(column: pa.Array | None, rows: int) -> pa.Array:
    """A column as `pa.string()`; all null where there is none, or where it holds lists or objects."""
    if column is None or pa.types.is_nested(column.type):
        return pa.nulls(rows, pa.string())
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column if pa.types.is_string(column.type) else column.cast(pa.string(), safe=False)


def _rename(rule: InputRule, event: EventRule | None, batch: RawBatch, position: int) -> RawBatch:
    places = {**rule.columns, **(event.columns if event else {})}
    constants = {**rule.constants, **(event.constants if event else {})}
    stands = {**rule.values, **(event.values if event else {})}
    if event is not None:
        constants["event_type"] = event.event_type
    moved = {*places.values(), *secret_columns(rule)}
    columns = {name: column for name, column in batch.columns.items() if name not in moved}
    columns.update((to, batch.columns[origin]) for to, origin in places.items() if origin in batch.columns)
    for name, words in stands.items():
        if name in columns:
            columns[name] = _replaced(as_text(columns[name], batch.rows), words)
    if "occurred_at" in columns and rule.time_format is not None and rule.time_format not in EPOCH_UNITS:
        columns["occurred_at"] = _times(columns["occurred_at"], rule.time_format)
    columns.update((name, pa.repeat(pa.scalar(text), batch.rows)) for name, text in constants.items())
    if position and "event_id" in columns:
        # One id for two events would make the second a conflicting duplicate of the first.
        ids = as_text(columns["event_id"], batch.rows)
        columns["event_id"] = pc.binary_join_element_wise(ids, str(position), "#")
    return replace(batch, columns=columns)


def _replaced(text: pa.Array, words: Columns[str, str | None]) -> pa.Array:
    encoded = text.dictionary_encode()
    meant = pa.array([words.get(one, one) for one in encoded.dictionary.to_pylist()], pa.string())
    return meant.take(encoded.indices)


def _times(column: pa.Array, layout: str) -> pa.Array:
    """Times in a layout of strptime as RFC 3339; what does not fit stays as it is, to be refused later."""
    if pa.types.is_temporal(column.type):
        return column
    encoded = as_text(column, len(column)).dictionary_encode()
    meant = pa.array([_time(one, layout) for one in encoded.dictionary.to_pylist()], pa.string())
    return meant.take(encoded.indices)


def _time(text: str, layout: str) -> str:
    try:
        moment = datetime.strptime(text.strip(), layout)
    except ValueError:
        return f"{text} (not {layout})"
    return (moment if moment.tzinfo is None else moment.astimezone(UTC)).isoformat()
