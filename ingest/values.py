"""The values table of a batch: what each key stands for, and who brought it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from graph.facts_schema import VALUES
from graph.identifiers import Kind
from ingest.identify import Keys, first_organizations, to_uuids
from ingest.strings import I64, U64, Bools


def value_rows(columns: Iterable[Keys], organizations: U64, missing: Bools) -> pa.Table:
    """One row for the first appearance of each distinct value, and one an organization for those that hide
    characters: facts_schema.VALUES. An organization's own id belongs to itself.
    """
    tables = [table for keys in columns for table in _tables(keys, organizations, missing)]
    return pa.concat_tables(tables).unify_dictionaries() if tables else VALUES.empty_table()


def _tables(keys: Keys, organizations: U64, missing: Bools) -> list[pa.Table]:
    chosen = np.flatnonzero(keys.present)
    owners, ownerless = first_organizations(keys, organizations, missing)
    if keys.kind is Kind.ORGANIZATION:
        owners, ownerless = keys.keys, ~keys.present
    tables = [_table(keys, chosen, owners[chosen], ownerless[chosen])] if len(chosen) else []
    if keys.hidden.any() and keys.kind is not Kind.ORGANIZATION:
        again = _repeated_hidden(keys, organizations)
        if len(again):
            codes = keys.distinct.codes[again].astype(np.int64)
            tables.append(_table(keys, codes, organizations[again], missing[again]))
    return tables


def _repeated_hidden(keys: Keys, organizations: U64) -> I64:
    """Rows that bring a hidden value to an organization for the first time, beside the value's first row."""
    usable = np.append(keys.hidden & keys.present, False)[keys.distinct.codes]
    rows = np.flatnonzero(usable)
    pairs = np.column_stack([keys.distinct.codes[rows].astype(np.uint64), organizations[rows]])
    _, first = np.unique(pairs, axis=0, return_index=True)
    found: I64 = rows[np.sort(first)]
    again: Bools = keys.distinct.first_rows()[keys.distinct.codes[found]] != found
    return found[again]


def _table(keys: Keys, codes: I64, owners: U64, ownerless: Bools) -> pa.Table:
    count = len(codes)
    at = pa.array(codes, pa.int64())
    kind = pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([keys.kind.value]))
    return pa.Table.from_arrays(
        [
            kind,
            to_uuids(keys.keys[codes], np.zeros(count, np.bool_)),
            to_uuids(owners, ownerless),
            keys.raw.take(at),
            keys.canonical.take(at),
            keys.display.take(at),
            pa.array(keys.hidden[codes]),
        ],
        schema=VALUES,
    )
