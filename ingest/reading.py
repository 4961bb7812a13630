"""Reading a batch's fields: every known column as typed values, and every row that cannot be an event noted."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from graph.facts_schema import MOMENT
from graph.identifiers import FIELD_KINDS, is_stop_exact
from ingest.batch import RawBatch
from ingest.columns import Problems, read_booleans, read_integers, read_money, read_text, read_words, where
from ingest.extras import read_extra
from ingest.fields import CHOICES, FOLDED_TEXT, FREE_TEXT, INTEGER_FIELDS, MONEY_FIELDS
from ingest.moments import Moments, decide_unit, epoch_moments, text_moments, typed_moments
from ingest.redaction import Redactor
from ingest.settings import IngestSettings
from ingest.strings import Bools

_WORD_FIELDS = ("country", "currency", *FOLDED_TEXT, *FREE_TEXT, *CHOICES)
_TEXT_FIELDS = ("event_id", *FIELD_KINDS, "entity_key")


@dataclass
class Fields:
    """The valid fields of a batch: text of identifiers, facts columns, and rows that hide characters by field."""

    texts: dict[str, pa.StringArray]
    columns: dict[str, pa.Array]
    hidden: dict[str, Bools]

    def keep(self, ok: Bools) -> None:
        """Drop the rows that were rejected."""
        if ok.all():
            return
        mask = pa.array(ok)
        self.texts = {name: column.filter(mask) for name, column in self.texts.items()}
        self.columns = {name: column.filter(mask) for name, column in self.columns.items()}
        self.hidden = {name: rows[ok] for name, rows in self.hidden.items()}


class FieldReader:
    """Reads the fields of batches of one source: see `ingest.normalise.Normaliser` for what it is given.

    `window` is the first and the last accepted time, in microseconds since 1970.
    """

    def __init__(
        self, settings: IngestSettings, redactor: Redactor, window: tuple[int, int], timezone: str | None
    ) -> None:
        self.settings = settings
        self.timezone = timezone
        self._redactor = redactor
        self._earliest, self._latest = window

    def decide_unit(self, batch: RawBatch) -> str | None:
        """The epoch unit that the batch's first epoch times are in; None where it has none."""
        for field in ("occurred_at", "ingested_at"):
            column = batch.columns.get(field)
            if column is None or not (pa.types.is_string(column.type) or _is_number(column.type)):
                continue
            unit = decide_unit(column, self._earliest, self._latest)
            if unit is not None:
                return unit
        return None

    def read(self, batch: RawBatch, unit: str | None, problems: Problems) -> Fields:
        """All fields of the batch; rows with problems hold nulls or nonsense, and are to be dropped."""
        fields = Fields({}, {}, {})
        self._read_event_type(batch, fields, problems)
        self._read_moment(batch, "occurred_at", unit, fields, problems)
        if "ingested_at" in batch.columns:
            self._read_moment(batch, "ingested_at", unit, fields, problems)
        for field in _TEXT_FIELDS:
            if field in batch.columns:
                fields.texts[field] = read_text(batch.columns[field], field, self.settings, problems)
        self._require_organization(batch.rows, fields, problems)
        for field in ("entity_type", *_WORD_FIELDS):
            self._read_word(batch, field, fields, problems)
        self._require_entity_type(fields, problems)
        self._read_numbers(batch, fields, problems)
        fields.columns["extra"] = read_extra(batch, self._redactor, problems)
        return fields

    def _read_event_type(self, batch: RawBatch, fields: Fields, problems: Problems) -> None:
        column = batch.columns.get("event_type")
        if column is None:
            problems.add(range(batch.rows), "missing_event_type", "event_type")
            column = pa.nulls(batch.rows, pa.string())
        text = read_text(column, "event_type", self.settings, problems)
        problems.add(where(text.is_null()), "missing_event_type", "event_type")
        fields.columns["event_type"], fields.hidden["event_type"] = read_words(text, "event_type", problems)

    def _read_word(self, batch: RawBatch, field: str, fields: Fields, problems: Problems) -> None:
        column = batch.columns.get(field)
        if column is None:
            return
        text = read_text(column, field, self.settings, problems)
        fields.columns[field], fields.hidden[field] = read_words(text, field, problems)

    def _read_moment(
        self, batch: RawBatch, field: str, unit: str | None, fields: Fields, problems: Problems
    ) -> None:
        column = batch.columns.get(field, pa.nulls(batch.rows, pa.string()))
        moments, present = self._moments(column, field, unit, problems)
        if field == "occurred_at":
            problems.add(where(~present), "missing_occurred_at", field)
        problems.add_each(moments.failed, field)
        problems.add(where(moments.found & (moments.micros < self._earliest)), "timestamp_too_old", field)
        problems.add(where(moments.found & (moments.micros > self._latest)), "timestamp_in_future", field)
        fields.columns[field] = pa.array(moments.micros, pa.int64(), mask=~moments.found).cast(MOMENT)

    def _moments(
        self, column: pa.Array, field: str, unit: str | None, problems: Problems
    ) -> tuple[Moments, Bools]:
        kind = column.type
        present = column.is_valid().to_numpy(zero_copy_only=False)
        if pa.types.is_timestamp(kind):
            return typed_moments(column, self.timezone, (self._earliest, self._latest)), present
        if pa.types.is_integer(kind) and not pa.types.is_uint64(kind):
            numbers = pc.fill_null(column, 0).cast(pa.int64()).to_numpy(zero_copy_only=False)
            return epoch_moments(numbers, present, unit), present
        text = read_text(column, field, self.settings, problems)
        present = text.is_valid().to_numpy(zero_copy_only=False)
        return text_moments(text, self.timezone, unit), present

    def _require_organization(self, rows: int, fields: Fields, problems: Problems) -> None:
        text = fields.texts.setdefault("org_id", pa.nulls(rows, pa.string()))
        distinct = pc.unique(text).drop_null()
        stops = [value for value in distinct.filter(_may_stop(distinct)).to_pylist() if is_stop_exact(value)]
        missing = text.is_null()
        if stops:
            missing = pc.or_(missing, pc.fill_null(pc.is_in(text, pa.array(stops)), False))
        if pc.any(missing).as_py():
            labelled = pc.fill_null(pc.equal(fields.columns["event_type"], "entity_labelled"), False)
            problems.add(where(pc.and_(missing, pc.invert(labelled))), "missing_org_id", "org_id")

    def _require_entity_type(self, fields: Fields, problems: Problems) -> None:
        if "entity_key" not in fields.texts:
            return
        text = fields.texts["entity_key"]
        named = fields.columns.get("entity_type")
        untyped = text.is_valid() if named is None else pc.and_(text.is_valid(), named.is_null())
        problems.add(where(untyped), "missing_entity_type", "entity_key")

    def _read_numbers(self, batch: RawBatch, fields: Fields, problems: Problems) -> None:
        for field, (column, _) in MONEY_FIELDS.items():
            if field in batch.columns:
                fields.columns[column] = read_money(batch.columns[field], field, self.settings, problems)
        for field in INTEGER_FIELDS:
            if field in batch.columns:
                fields.columns[field] = read_integers(batch.columns[field], field, self.settings, problems)
        if "attested" in batch.columns:
            fields.columns["attested"] = read_booleans(
                batch.columns["attested"], "attested", self.settings, problems
            )


def _may_stop(distinct: pa.StringArray) -> pa.BooleanArray:
    """Only short ids can be placeholders: the rest need no look."""
    return pc.less_equal(pc.utf8_length(pc.utf8_trim_whitespace(distinct)), 16)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
