"""The normalising core of ingest: a batch of raw rows in, canonical facts out, nothing lost on the way.

First every field is validated, which decides about rows; then the identifiers of the rows that stay are spelled,
keyed and, where they are secrets, hashed. Deterministic: the same batch under the same pepper, source and settings
gives the same answer in any process.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graph.facts_schema import EVENTS, HIDDEN_FIELDS, KEY_COLUMNS, MOMENT
from graph.identifiers import FIELD_KINDS, SECRET_KINDS, Keyer, Kind
from graph.spelling import has_hidden
from ingest.batch import Normalised, RawBatch
from ingest.columns import Problems, where
from ingest.events import micros_of
from ingest.fields import MONEY_FIELDS
from ingest.fingerprints import content_of, derived_event_id, ids_of
from ingest.identify import Identifier, Keys, to_uuids
from ingest.reading import FieldReader, Fields
from ingest.redaction import Redactor
from ingest.settings import IngestSettings
from ingest.strings import U64, Bools, all_plain, combine
from ingest.values import value_rows


class Normaliser:
    """Turns raw batches of one source into facts; picklable, for worker processes.

    `arrived_at` is when the input came (aware): rows dated later than that plus `settings.future` are rejected, and
    rows without `ingested_at` get it. `timezone` (IANA) is the zone of times written without one, `epoch_unit` the
    unit of the file's epoch times once it is known.
    """

    def __init__(
        self,
        pepper: bytes,
        source: str,
        arrived_at: datetime,
        settings: IngestSettings | None = None,
        timezone: str | None = None,
        epoch_unit: str | None = None,
    ) -> None:
        self.source = source
        self.arrived_at = arrived_at
        self.settings = settings or IngestSettings()
        self.timezone = timezone
        self.epoch_unit = epoch_unit
        self._keyer = Keyer(pepper)
        self._identifier = Identifier(self._keyer, self.settings.phone_region)
        redactor = Redactor(pepper, region=self.settings.phone_region)
        window = (micros_of(self.settings.earliest), micros_of(arrived_at + self.settings.future))
        self._reader = FieldReader(self.settings, redactor, window, timezone)

    def normalise(self, batch: RawBatch) -> Normalised:
        """The batch's facts, and every row that cannot be one with its reason."""
        problems = Problems(batch.rows)
        for row, reason in batch.errors.items():
            problems.add((row,), reason, None)
        unit = self.epoch_unit or self._reader.decide_unit(batch)
        fields = self._reader.read(batch, unit, problems)
        kept = np.flatnonzero(problems.ok).astype(np.int64)
        fields.keep(problems.ok)
        rows = len(kept)
        self._fill_event_ids(batch, kept, fields)
        values = self._identify(fields, rows)
        self._flag_hidden(fields, rows)
        columns = fields.columns
        columns["requests"] = pc.fill_null(columns.get("requests", pa.nulls(rows, pa.int64())), 1)
        content = content_of(columns, rows)
        self._fill_defaults(columns, rows)
        ids = ids_of(columns["event_id"], self.source, self._keyer.pepper)
        return Normalised(_table(columns, rows), values, ids, content, kept, problems.rejected(), unit)

    # -- identifiers ----------------------------------------------------------------------------------------------

    def _identify(self, fields: Fields, rows: int) -> pa.Table:
        found: list[Keys] = []
        words: dict[str, tuple[U64, Bools]] = {}
        for field, kind in FIELD_KINDS.items():
            text = fields.texts.get(field)
            if text is None or text.null_count == rows:
                continue
            keys = self._column(kind, text)
            found.append(keys)
            words[_column_of(field, kind)] = keys.words()
            fields.hidden[field] = keys.hidden_rows()
            for name, derived in self._implied(kind, keys, fields).items():
                found.append(derived)
                words[name] = derived.words()
        self._entities(fields, rows, found, words)
        self._consumers(fields, rows, words)
        fields.columns.update({name: to_uuids(*pair) for name, pair in words.items()})
        nobody = (np.zeros((rows, 2), np.uint64), np.ones(rows, np.bool_))
        return value_rows(found, *words.get("organization", nobody))

    def _column(self, kind: Kind, text: pa.StringArray) -> Keys:
        if kind in SECRET_KINDS:
            return self._identifier.secrets(kind, text)
        return self._identifier.column(kind, text)

    def _implied(self, kind: Kind, keys: Keys, fields: Fields) -> dict[str, Keys]:
        columns = fields.columns
        if kind is Kind.IP:
            return {"ip_network": self._identifier.networks(keys)}
        if kind is Kind.MAILBOX:
            return {"email_domain": self._identifier.domains(keys)}
        if kind is Kind.PHONE:
            columns["phone_country"], columns["phone_type"] = keys.noted("country"), keys.noted("line_type")
        if kind is Kind.PAYMENT_METHOD and any(keys.notes.get("card_range", ())):
            derived = keys.noted("card_range").dictionary_decode()
            given = columns.get("payment_bin")
            either = derived if given is None else pc.coalesce(given.dictionary_decode(), derived)
            columns["payment_bin"] = either.dictionary_encode()
        return {}

    def _entities(
        self, fields: Fields, rows: int, found: list[Keys], words: dict[str, tuple[U64, Bools]]
    ) -> None:
        text = fields.texts.get("entity_key")
        named = fields.columns.get("entity_type")
        if text is None or named is None or text.null_count == rows:
            return
        total, missing = np.zeros((rows, 2), np.uint64), np.ones(rows, np.bool_)
        hidden = np.zeros(rows, np.bool_)
        for name in sorted(pc.unique(named.dictionary_decode()).drop_null().to_pylist()):
            chosen = pc.fill_null(pc.equal(named, name), False)
            keys = self._column(Kind(name), pc.if_else(chosen, text, None))
            found.append(keys)
            keyed, absent = keys.words()
            total[~absent], missing[~absent] = keyed[~absent], False
            hidden |= keys.hidden_rows()
        words["entity"] = (total, missing)
        fields.hidden["entity_key"] = hidden

    def _consumers(self, fields: Fields, rows: int, words: dict[str, tuple[U64, Bools]]) -> None:
        """Who sends: `consumer_id`, else for inference address, TLS fingerprint and user agent together.

        Without the address, or with nothing beside it, there is no telling consumers apart: the key stays null.
        """
        if "ip" not in words:
            return
        none = (np.zeros((rows, 2), np.uint64), np.ones(rows, np.bool_))
        given, absent = words.get("consumer", none)
        ip, no_ip = words["ip"]
        tls, no_tls = words.get("tls_fingerprint", none)
        agent, no_agent = words.get("user_agent", none)
        inference = pc.fill_null(pc.equal(fields.columns["event_type"], "inference"), False)
        mixed = absent & inference.to_numpy(zero_copy_only=False) & ~no_ip & ~(no_tls & no_agent)
        if not mixed.any():
            return
        together = np.column_stack(
            [combine(combine(ip[:, side], tls[:, side]), agent[:, side]) for side in (0, 1)]
        )
        words["consumer"] = (np.where(mixed[:, None], together, given), absent & ~mixed)

    # -- the rest of the record -----------------------------------------------------------------------------------

    def _fill_event_ids(self, batch: RawBatch, kept: np.ndarray, fields: Fields) -> None:
        ids = fields.texts.get("event_id", pa.nulls(len(kept), pa.string()))
        absent = where(ids.is_null())
        if absent:
            rows = kept[absent].tolist()
            ordinals = [0] * len(rows)
            if batch.ordinals is not None:
                ordinals = batch.ordinals.take(pa.array(rows, pa.int64())).to_pylist()
            texts = ids.to_pylist()
            for place, raw, ordinal in zip(absent, batch.row_texts(rows), ordinals, strict=True):
                texts[place] = derived_event_id(self.source, raw, ordinal)
            ids = pa.array(texts, pa.string())
        fields.columns["event_id"] = ids
        if not all_plain(ids):
            fields.hidden["event_id"] = np.array([has_hidden(text) for text in ids.to_pylist()], np.bool_)

    def _flag_hidden(self, fields: Fields, rows: int) -> None:
        mask = np.zeros(rows, np.int32)
        for bit, field in enumerate(HIDDEN_FIELDS):
            flagged = fields.hidden.get(field)
            if flagged is not None and flagged.any():
                mask |= flagged.astype(np.int32) << bit
        fields.columns["hidden"] = pa.array(mask)

    def _fill_defaults(self, columns: dict[str, pa.Array], rows: int) -> None:
        """What the home or the arrival supplies; not part of what the row says, so not of its fingerprint."""
        money = [columns[name].is_valid() for name, _ in MONEY_FIELDS.values() if name in columns]
        if money:
            some = money[0]
            for valid in money[1:]:
                some = pc.or_(some, valid)
            home = pc.if_else(some, self.settings.currency, None)
            given = columns.get("currency")
            filled = home if given is None else pc.coalesce(given.dictionary_decode(), home)
            columns["currency"] = filled.dictionary_encode()
        arrived = pa.scalar(micros_of(self.arrived_at), pa.int64()).cast(MOMENT)
        columns["ingested_at"] = pc.fill_null(columns.get("ingested_at", pa.nulls(rows, MOMENT)), arrived)
        codes = pa.array(np.zeros(rows, np.int32))
        columns["source"] = pa.DictionaryArray.from_arrays(codes, pa.array([self.source]))


def _column_of(field: str, kind: Kind) -> str:
    if field == "other_org_id":
        return "other_organization"
    if field == "referrer_org_id":
        return "referrer_organization"
    return kind.value


def _table(columns: dict[str, pa.Array], rows: int) -> pa.Table:
    """The columns in the order of EVENTS, absent ones as nulls."""
    arrays = []
    for entry in EVENTS:
        column = columns.get(entry.name)
        if column is None:
            column = pa.nulls(rows, entry.type.storage_type) if entry.name in KEY_COLUMNS else None
            if column is None:
                column = pa.nulls(rows, entry.type)
            else:
                column = pa.ExtensionArray.from_storage(entry.type, column)
        arrays.append(column if column.type == entry.type else column.cast(entry.type))
    return pa.Table.from_arrays(arrays, schema=EVENTS)
