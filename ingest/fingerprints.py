"""64-bit fingerprints of what rows say and which they are.

`content_of` adds up one mixed word for every column that a row fills, each under a seed made from the column's name:
the order of columns does not matter, and a column that is added later changes nothing for rows without it.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.strings import U64, combine, hash_strings, mix

NOT_CONTENT = frozenset({"event_id", "source", "ingested_at"})
"""Columns that say which row it is or when it came, not what it says."""


def seed_of(*names: str, key: bytes = b"") -> int:
    """A 64-bit seed for a purpose, under a key where others must not be able to work it out."""
    digest = hashlib.blake2b("\0".join(names).encode(), digest_size=8, key=key[:64])
    return int.from_bytes(digest.digest(), "little")


def ids_of(event_ids: pa.StringArray, source: str, pepper: bytes) -> U64:
    """The fingerprint of source and event id."""
    return hash_strings(event_ids, seed_of("event_id", source, key=pepper))


def content_of(columns: dict[str, pa.Array], rows: int) -> U64:
    """The fingerprint of each row's canonical content; `columns` as in facts_schema.EVENTS."""
    total = np.zeros(rows, np.uint64)
    for name, column in columns.items():
        if name in NOT_CONTENT or column.null_count == rows:
            continue
        word = combine(np.array([seed_of(name)], np.uint64), _words(column))
        if column.null_count:
            word[column.is_null().to_numpy(zero_copy_only=False)] = 0
        total += word
    return mix(total)


def derived_event_id(source: str, raw: str, ordinal: int) -> str:
    """The id of a row that has none: SHA-256 of source, ordinal among identical rows of the file, and raw row."""
    head = f"{source}\0{ordinal}\0".encode()
    return hashlib.sha256(head + raw.encode("utf-8", "surrogatepass")).hexdigest()


def _words(column: pa.Array) -> U64:
    kind = column.type
    if isinstance(column, pa.ExtensionArray):
        pairs = np.frombuffer(column.storage.buffers()[1], "<u8").reshape(-1, 2)
        pairs = pairs[column.offset : column.offset + len(column)]
        return combine(pairs[:, 0].astype(np.uint64), pairs[:, 1].astype(np.uint64))
    if pa.types.is_dictionary(kind):
        hashes = np.append(hash_strings(column.dictionary, seed_of("word")), np.uint64(0))
        codes = pc.fill_null(column.indices, len(column.dictionary)).to_numpy(zero_copy_only=False)
        return np.asarray(hashes[codes], np.uint64)
    if pa.types.is_string(kind):
        return hash_strings(column, seed_of("text"))
    if pa.types.is_decimal(kind):
        pairs = np.frombuffer(column.buffers()[1], "<u8").reshape(-1, 2)
        return np.ascontiguousarray(pairs[column.offset : column.offset + len(column), 0])
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.int64())
    whole = pc.fill_null(column.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    return np.asarray(whole, np.int64).view(np.uint64)
