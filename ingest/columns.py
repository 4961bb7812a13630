"""Validation by column: every known field of a batch as typed values, problems noted a row.

The same answers as `ingest.events` gives for one row (a property test holds both together), without a loop a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graph.spelling import has_hidden
from ingest.batch import Rejected, plain_values
from ingest.fields import INTEGER_FIELDS, LONG_FIELDS, MONEY_FIELDS
from ingest.grammar import DETAILS, MICRO, GrammarError, as_text, parse_boolean, parse_integer, parse_money
from ingest.settings import IngestSettings
from ingest.strings import I64, Bools, Distinct, all_plain, parts
from ingest.words import read_word

_PLAIN_MONEY = r"^-?[0-9]{1,12}(\.[0-9]{1,6})?$"
_PLAIN_INTEGER = r"^[0-9]{1,18}$"
_EXACT_FLOAT = float(2**40)
_MONEY_TYPE = pa.decimal128(18, 6)


class Problems:
    """The first problem of each row, in the order in which fields are checked."""

    def __init__(self, rows: int) -> None:
        self.ok = np.ones(rows, np.bool_)
        self._first: dict[int, Rejected] = {}

    def add(self, rows: Iterable[int], reason: str, field: str | None) -> None:
        """Reject these rows, unless they already are."""
        for row in rows:
            if self.ok[row]:
                self.ok[row] = False
                self._first[row] = Rejected(row, reason, field, DETAILS.get(reason, ""))

    def add_each(self, reasons: dict[int, str], field: str | None) -> None:
        """Reject each row for its own reason."""
        for row, reason in sorted(reasons.items()):
            self.add((row,), reason, field)

    def rejected(self) -> list[Rejected]:
        """All of them, in the order of rows."""
        return [self._first[row] for row in sorted(self._first)]


def where(mask: pa.Array | Bools) -> list[int]:
    """The rows where a mask is true (null counts as false)."""
    if isinstance(mask, pa.Array):
        mask = pc.fill_null(mask, False).to_numpy(zero_copy_only=False)
    return [int(row) for row in np.flatnonzero(mask)]


def read_text(array: pa.Array, field: str, settings: IngestSettings, problems: Problems) -> pa.StringArray:
    """The column's text form (`grammar.as_text`), blank as null; rejects what is no text or too long."""
    text = to_string(array, field, problems)
    _, data = parts(text)
    if data.size and data.min() == 0:
        problems.add(where(pc.match_substring(text, "\0")), "nul_character", field)
    limit = settings.max_identifier if field in LONG_FIELDS else settings.max_text
    lengths = np.diff(parts(text)[0])
    if lengths.max(initial=0) > limit:
        problems.add(where(pc.greater(pc.utf8_length(text), limit)), "too_long", field)
    return _blank_as_null(text, lengths)


def to_string(array: pa.Array, field: str | None, problems: Problems) -> pa.StringArray:
    """Any column as `pa.string()` without offset; undecodable and nested values are rejected."""
    kind = array.type
    if pa.types.is_null(kind):
        return pa.nulls(len(array), pa.string())
    if pa.types.is_dictionary(kind):
        array, kind = array.dictionary_decode(), kind.value_type
    if pa.types.is_nested(kind):
        problems.add(where(array.is_valid()), "nested_value", field)
        return pa.nulls(len(array), pa.string())
    if is_text(kind):
        text = array.cast(pa.string())
        return text if all_plain(text) else _checked_utf8(text, field, problems)
    if is_bytes(kind):
        return _checked_utf8(array.cast(pa.binary()), field, problems)
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return array.cast(pa.string())
    return _each_as_text(array, field, problems)


def is_bytes(kind: pa.DataType) -> bool:
    """Whether the type is one of Arrow's for bytes of any length."""
    tests = (
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_fixed_size_binary,
        pa.types.is_binary_view,
    )
    return any(test(kind) for test in tests)


def is_text(kind: pa.DataType) -> bool:
    """Whether the type is one of Arrow's for text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _checked_utf8(array: pa.Array, field: str | None, problems: Problems) -> pa.StringArray:
    try:
        text = array.cast(pa.string())
        text.validate(full=True)
    except pa.ArrowInvalid:
        return _each_as_text(array.cast(pa.binary()), field, problems)
    return text


def _each_as_text(array: pa.Array, field: str | None, problems: Problems) -> pa.StringArray:
    texts: list[str | None] = []
    for row, value in enumerate(plain_values(array)):
        try:
            texts.append(as_text(value))
        except GrammarError as refused:
            problems.add((row,), refused.reason, field)
            texts.append(None)
    return pa.array(texts, pa.string())


def _blank_as_null(text: pa.StringArray, lengths: I64) -> pa.StringArray:
    offsets, data = parts(text)
    blank = lengths == 0
    some = np.flatnonzero(~blank)
    if len(some):
        first = data[offsets[some]]
        suspects = some[(first <= 0x20) | (first >= 0x80)]
        for row, value in zip(suspects.tolist(), text.take(pa.array(suspects)).to_pylist(), strict=True):
            blank[row] = not value.strip()
    blank &= text.is_valid().to_numpy(zero_copy_only=False)
    return pc.if_else(pa.array(blank), None, text) if blank.any() else text


def each_distinct(
    text: pa.StringArray, read: Callable[[str], object], problems: Problems, field: str
) -> tuple[Distinct, list[object]]:
    """Read every distinct value once; values that are refused reject their rows and read as None."""
    distinct = Distinct.of(text)
    out: list[object] = []
    refusals: dict[int, str] = {}
    for code, value in enumerate(distinct.values.to_pylist()):
        try:
            out.append(read(value))
        except GrammarError as refused:
            refusals[code] = refused.reason
            out.append(None)
    if refusals:
        bad = np.isin(distinct.codes, np.fromiter(refusals, np.int32, len(refusals)))
        problems.add_each({row: refusals[int(distinct.codes[row])] for row in where(bad)}, field)
    return distinct, out


def read_words(text: pa.StringArray, field: str, problems: Problems) -> tuple[pa.DictionaryArray, Bools]:
    """A descriptive column as stored, and which rows hide characters."""
    distinct, words = each_distinct(text, lambda value: read_word(field, value), problems, field)
    hidden = np.array([has_hidden(value) for value in distinct.values.to_pylist()], np.bool_)
    stored = pa.array(words, pa.string()).dictionary_encode()
    codes = pc.fill_null(stored.indices, -1).to_numpy(zero_copy_only=False)
    indices = np.asarray(distinct.gather(codes, -1), np.int32)
    mask = indices < 0
    array = pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32(), mask=mask), stored.dictionary)
    return array, np.asarray(distinct.gather(hidden, False), np.bool_)


def read_booleans(array: pa.Array, field: str, settings: IngestSettings, problems: Problems) -> pa.Array:
    """`attested` and the like."""
    if pa.types.is_boolean(array.type):
        return array
    text = read_text(array, field, settings, problems)
    distinct, values = each_distinct(text, parse_boolean, problems, field)
    return pa.array([values[code] if code >= 0 else None for code in distinct.codes.tolist()], pa.bool_())


def read_integers(array: pa.Array, field: str, settings: IngestSettings, problems: Problems) -> pa.Array:
    """Whole numbers as int64."""
    low, high = INTEGER_FIELDS[field]
    if pa.types.is_integer(array.type):
        if pa.types.is_uint64(array.type):
            outside = pc.greater(array, pa.scalar(high, pa.uint64()))
        else:
            outside = pc.or_(pc.less(array, low), pc.greater(array, high))
        problems.add(where(outside), "number_out_of_range", field)
        return pc.if_else(outside, None, array).cast(pa.int64())
    text = read_text(array, field, settings, problems)
    return _read_plainly(
        text,
        _PLAIN_INTEGER,
        lambda plain: plain.cast(pa.int64()).to_numpy(zero_copy_only=False),
        lambda value: parse_integer(value, low, high),
        problems,
        field,
        (low, high),
    )


def read_money(array: pa.Array, field: str, settings: IngestSettings, problems: Problems) -> pa.Array:
    """Money as decimal128(18, 6), exact: text never passes through a float, floats count as their shortest text."""
    negative = MONEY_FIELDS[field][1]
    low = -(10**18) + 1 if negative else 0
    if pa.types.is_floating(array.type):
        micros, slow = _float_micros(array)
        wrong = where(~slow & array.is_valid().to_numpy(zero_copy_only=False) & (micros < low))
        problems.add(wrong, "number_out_of_range", field)
        if not slow.any():
            return to_money(micros, array.is_null().to_numpy(zero_copy_only=False))
        _read_slow_money(array, slow, micros, field, problems)
        return to_money(micros, array.is_null().to_numpy(zero_copy_only=False))
    exact = _exact_micros(array)
    if exact is not None:
        found, fits = exact
        problems.add(where(~fits | (found < low)), "number_out_of_range", field)
        return to_money(found, array.is_null().to_numpy(zero_copy_only=False))
    text = read_text(array, field, settings, problems)
    micros = _read_plainly(
        text,
        _PLAIN_MONEY,
        lambda plain: _unscaled(plain.cast(_MONEY_TYPE)),
        lambda value: int(parse_money(value, negative=negative) * MICRO),
        problems,
        field,
        (low, 10**18 - 1),
    )
    mask = micros.is_null().to_numpy(zero_copy_only=False)
    return to_money(micros.fill_null(0).to_numpy(zero_copy_only=False), mask)


def _read_plainly(
    text: pa.StringArray,
    pattern: str,
    fast: Callable[[pa.StringArray], I64],
    slow: Callable[[str], int],
    problems: Problems,
    field: str,
    bounds: tuple[int, int],
) -> pa.Array:
    """int64 from text: `fast` for all values of the plain pattern at once, `slow` for each other distinct one."""
    plain = pc.match_substring_regex(text, pattern)
    usual = pc.fill_null(plain, False).to_numpy(zero_copy_only=False)
    out = np.zeros(len(text), np.int64)
    found = usual.copy()
    if usual.any():
        values = fast(text if usual.all() else text.filter(pa.array(usual)))
        out[usual] = values
        outside = np.zeros(len(text), np.bool_)
        outside[usual] = (values < bounds[0]) | (values > bounds[1])
        if outside.any():
            problems.add(where(outside), "number_out_of_range", field)
    if not usual.all():
        rest = pc.if_else(pa.array(usual), None, text)
        distinct, values_read = each_distinct(rest, slow, problems, field)
        for row in np.flatnonzero(distinct.codes >= 0).tolist():
            value = values_read[distinct.codes[row]]
            if isinstance(value, int):
                out[row], found[row] = value, True
    return pa.array(out, mask=~found)


def _exact_micros(array: pa.Array) -> tuple[I64, Bools] | None:
    """Decimals of at most six places and integers in millionths, and which fit; None for other types."""
    if pa.types.is_integer(array.type) and not pa.types.is_uint64(array.type):
        whole = pc.fill_null(array.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
        fits = (whole < 10**12) & (whole > -(10**12))
        return np.where(fits, whole, 0) * MICRO, fits
    if not pa.types.is_decimal128(array.type) or array.type.scale > 6 or array.type.precision > 32:
        return None
    wide = pc.fill_null(array.cast(pa.decimal128(38, 6)), 0)
    words = np.frombuffer(wide.buffers()[1], np.int64).reshape(-1, 2)[wide.offset : wide.offset + len(wide)]
    micros, high = np.ascontiguousarray(words[:, 0]), words[:, 1]
    return micros, (high == micros >> 63) & (micros < 10**18) & (micros > -(10**18))


def _float_micros(array: pa.Array) -> tuple[I64, Bools]:
    """Floats in millionths, and which of them rounding might get wrong (too large, not finite, near a half)."""
    values = array.cast(pa.float64()).fill_null(0.0).to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = values * MICRO
        rounded = np.rint(scaled)
        safe = (np.abs(scaled) < _EXACT_FLOAT) & (np.abs(np.abs(scaled - rounded) - 0.5) > 1e-3)
    return np.where(safe, rounded, 0.0).astype(np.int64), ~safe


def _read_slow_money(array: pa.Array, slow: Bools, micros: I64, field: str, problems: Problems) -> None:
    negative = MONEY_FIELDS[field][1]
    rows = np.flatnonzero(slow)
    for row, value in zip(rows.tolist(), array.take(pa.array(rows)).to_pylist(), strict=True):
        try:
            micros[row] = int(parse_money(as_text(value) or "", negative=negative) * MICRO)
        except GrammarError as refused:
            problems.add((row,), refused.reason, field)


def to_money(micros: I64, null: npt.NDArray[np.bool_]) -> pa.Array:
    """decimal128(18, 6) from millionths: the low word, and its sign as the high one."""
    words = np.empty((len(micros), 2), np.int64)
    words[:, 0] = micros
    words[:, 1] = micros >> 63
    valid = pa.array(~null).buffers()[1] if null.any() else None
    return pa.Array.from_buffers(_MONEY_TYPE, len(micros), [valid, pa.py_buffer(words)])


def _unscaled(money: pa.Array) -> I64:
    words = np.frombuffer(money.buffers()[1], np.int64).reshape(-1, 2)
    return np.asarray(words[money.offset : money.offset + len(money), 0], np.int64)
