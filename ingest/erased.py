"""Rows about erased organizations: they are neither stored nor kept in quarantine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from graph.identifiers import Keyer, Kind
from ingest.mapped import I64, MappedBatch, as_text, take_rows
from ingest.refused import RefusedRow
from ingest.strings import Bools

MENTIONS = ("other_org_id", "referrer_org_id")
"""Fields in which a row of one organization names another: there an erased one's id is left out."""
_WORDS = re.compile(r"[^\s,;|\t\"'{}\[\]()=]+")


class Tombstones:
    """Tells what is about erased organizations, by their keys."""

    def __init__(self, keys: frozenset[bytes], pepper: bytes) -> None:
        self._keys = keys
        self._keyer = Keyer(pepper)

    def living(self, part: MappedBatch) -> tuple[MappedBatch, I64]:
        """The rows of others, without mentions of erased ones; and the input's rows that were about these."""
        batch = part.batch
        gone = self._among(batch.columns.get("org_id"), batch.rows)
        rows = part.rows[gone]
        if len(rows):
            kept = np.flatnonzero(~gone)
            part = replace(part, batch=take_rows(batch, kept), rows=part.rows[kept])
        return self._without_mentions(part), rows

    def _without_mentions(self, part: MappedBatch) -> MappedBatch:
        columns = dict(part.batch.columns)
        for name in MENTIONS:
            named = self._among(columns.get(name), part.batch.rows)
            if named.any():
                texts = as_text(columns[name], part.batch.rows)
                columns[name] = pc.if_else(pa.array(named), None, texts)
        return replace(part, batch=replace(part.batch, columns=columns))

    def _among(self, column: pa.Array | None, rows: int) -> Bools:
        """Rows whose organization was erased."""
        if column is None or not rows:
            return np.zeros(rows, np.bool_)
        coded = as_text(column, rows).dictionary_encode()
        known = [text for text in coded.dictionary.to_pylist() if self._is(text)]
        found: Bools = (
            pc.fill_null(pc.is_in(coded.dictionary_decode(), value_set=pa.array(known, pa.string())), False)
            .to_numpy(zero_copy_only=False)
            .astype(np.bool_)
        )
        return found

    def _is(self, text: str | None) -> bool:
        return bool(text) and self._keyer.identify(Kind.ORGANIZATION, str(text)) in self._keys

    def kept(self, refused: Iterable[RefusedRow]) -> list[RefusedRow]:
        """The refused rows in which no erased organization is named, by any of their words."""
        return [row for row in refused if not any(map(self._is, words(row.raw)))]


def words(raw: str) -> Iterator[str]:
    """What may be an organization's id in a row of whatever form: every value of JSON, every word of other text."""
    try:
        yield from _scalars(orjson.loads(raw))
    except orjson.JSONDecodeError:
        yield from _WORDS.findall(raw)
        yield from (cell.strip().strip('"') for cell in raw.split(","))


def _scalars(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for one in value.values():
            yield from _scalars(one)
    elif isinstance(value, list):
        for one in value:
            yield from _scalars(one)
    elif value is not None:
        yield str(value)
