"""The columns of `events.parquet`: how each is held while simulating, and how it is written."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sim import render
from sim.identifiers import NULL
from sim.mix import Int64, salt
from sim.vocabulary import (
    ACTIONS,
    COUNTRIES,
    MODELS,
    PAYMENT_KINDS,
    PLANS,
    PROGRAMS,
    REASONS,
    USER_AGENTS,
)

MONEY: Final = pa.decimal128(18, 6)
MICRO: Final = 1_000_000
"""Money is held as millionths, time as microseconds since 1970."""


class Column(NamedTuple):
    """A column: `spell` renders its codes as text, or is None where the code is the value itself, of `type`."""

    type: pa.DataType
    spell: render.Renderer | None = None
    stream: str = ""
    distinct: bool = False
    junk: tuple[str, ...] = ()


def _text(
    spell: render.Renderer, stream: str = "", distinct: bool = False, junk: tuple[str, ...] = ()
) -> Column:
    return Column(pa.string(), spell, stream, distinct, junk)


_ORGANIZATION: Final = render.prefixed_hex("org_", 16)
COLUMNS: Final[dict[str, Column]] = {
    "event_id": _text(render.prefixed_hex("", 16), "event", distinct=True),
    "event_type": _text(render.event_types),
    "occurred_at": Column(pa.timestamp("us", "UTC")),
    "org_id": _text(_ORGANIZATION, "org"),
    "user_id": _text(render.prefixed_hex("usr_", 16), "user"),
    "ip": _text(render.addresses, "ip", junk=("unknown", "0.0.0.0")),  # noqa: S104
    "device_id": _text(
        render.uuids, "device", junk=("unknown", "00000000-0000-0000-0000-000000000000", "null")
    ),
    "attested": Column(pa.bool_()),
    "tls_fingerprint": _text(render.fingerprints, "tls", junk=("unknown",)),
    "user_agent": _text(render.listed(USER_AGENTS), junk=("unknown",)),
    "api_key": _text(render.prefixed_hex("sk-", 32), "key"),
    "payment_method": _text(render.prefixed_hex("pm_", 24), "payment"),
    "email": _text(render.mailboxes, "email", junk=("null", "unknown")),
    "phone": _text(render.phones, "phone", junk=("+10000000000", "unknown")),
    "org_name": _text(render.names, "name", junk=("null", "test")),
    "country": _text(render.listed(tuple(country.code for country in COUNTRIES))),
    "plan": _text(render.listed(PLANS)),
    "program_id": _text(render.listed(PROGRAMS)),
    "promo_code": _text(render.short_codes(("WELCOME", "HACK", "STUDENT", "LAUNCH")), "promo"),
    "referral_code": _text(render.short_codes(("",)), "referral"),
    "referrer_org_id": _text(_ORGANIZATION, "org"),
    "reward_usd": Column(MONEY),
    "payout_id": _text(render.prefixed_hex("po_", 16), "payout"),
    "credit_usd": Column(MONEY),
    "credit_used_usd": Column(MONEY),
    "model": _text(render.listed(MODELS)),
    "requests": Column(pa.int64()),
    "tokens": Column(pa.int64()),
    "cost_usd": Column(MONEY),
    "status_code": Column(pa.int64()),
    "amount_usd": Column(MONEY),
    "payment_kind": _text(render.listed(PAYMENT_KINDS)),
    "payment_bin": _text(render.plain_numbers),
    "action": _text(render.listed(ACTIONS)),
    "reason": _text(render.listed(REASONS)),
    "other_org_id": _text(_ORGANIZATION, "org"),
}


def _written(column: Column) -> pa.DataType:
    """Text of few distinct values reaches the file through a dictionary; readers see plain text."""
    return column.type if column.distinct or not column.spell else pa.dictionary(pa.int32(), pa.string())


SCHEMA: Final = pa.schema([pa.field(name, _written(column)) for name, column in COLUMNS.items()])
SPILL_SCHEMA: Final = pa.schema([pa.field(name, pa.int64()) for name in COLUMNS])
JUNK: Final = {name: np.arange(-2, -2 - len(c.junk), -1) for name, c in COLUMNS.items() if c.junk}
"""The codes of a column's junk values: -2, -3 and so on."""


def decode(name: str, codes: Int64, seed: int) -> pa.Array:
    """Return the values of a column from its codes; text of few distinct values as a dictionary."""
    column = COLUMNS[name]
    missing = codes == NULL
    if column.spell is None:
        return _numbers(column.type, codes, missing)
    if missing.all():
        return pa.nulls(len(codes), _written(column))
    by = salt(seed, column.stream)
    if column.distinct:
        return column.spell(codes, by)
    encoded = pa.array(codes, mask=missing).dictionary_encode()
    # Two codes may spell the same text (two people of one name); a dictionary must not hold it twice.
    spelt = _spelt(column, encoded.dictionary.to_numpy(), by).dictionary_encode()
    return pa.DictionaryArray.from_arrays(spelt.indices.take(encoded.indices), spelt.dictionary)


def _spelt(column: Column, distinct: Int64, by: int) -> pa.Array:
    """Render distinct codes, junk included, in their order."""
    real = np.flatnonzero(distinct >= 0)
    junk = np.flatnonzero(distinct < 0)
    values = pa.array([column.junk[-2 - code] for code in distinct[junk].tolist()], pa.string())
    spelt = pa.concat_arrays([column.spell(distinct[real], by), values]) if column.spell else values
    return spelt.take(pa.array(np.argsort(np.concatenate([real, junk]))))


def _numbers(kind: pa.DataType, codes: Int64, missing: npt.NDArray[np.bool_]) -> pa.Array:
    if pa.types.is_decimal(kind):
        return _decimals(codes, missing)
    if pa.types.is_boolean(kind):
        return pa.array(codes == 1, mask=missing)
    return pa.array(codes, mask=missing).cast(kind)


def _decimals(codes: Int64, missing: npt.NDArray[np.bool_]) -> pa.Array:
    """Millionths as DECIMAL(18,6), straight into Arrow's 128-bit little-endian layout."""
    if missing.all():
        return pa.nulls(len(codes), MONEY)
    wide = np.stack([codes, codes >> 63], axis=1)
    valid = pa.array(~missing)
    return pa.Array.from_buffers(MONEY, len(codes), [valid.buffers()[1], pa.py_buffer(wide)])
