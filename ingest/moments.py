"""Timestamps by column: usual RFC 3339 forms and whole epoch numbers without a loop, the rest by the grammar."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.grammar import (
    MICRO,
    MICROS_A_UNIT,
    UNIT_LIMITS,
    GrammarError,
    epoch_number,
    local_offset,
    parse_moment,
    unit_of,
)
from ingest.strings import I64, Bools, parts

WITH_ZONE, LOCAL, SLOW = 0, 1, 2
_QUARTER = 900 * MICRO
_DAY = 86_400 * MICRO
_UNIT_SAMPLE = 64
_EPOCH = datetime(1970, 1, 1)
_WHOLE_EPOCH = r"^[0-9]{1,18}$"
_EPOCH_LIKE = r"^\s*[+-]?\.?[0-9][0-9.]*([eE][+-]?[0-9]+)?\s*$"
_SHAPE = np.frombuffer(b"0000-00-00T00:00:00", np.uint8)
_DIGITS = np.flatnonzero(_SHAPE == 48)


@dataclass(frozen=True)
class Moments:
    """Microseconds since 1970 where `found`; elsewhere `failed` has the reason, or the value was absent."""

    micros: I64
    found: Bools
    failed: dict[int, str]


def iso_moments(array: pa.StringArray) -> tuple[I64, npt.NDArray[np.uint8]]:
    """RFC 3339 text of the usual shapes as microseconds, each row WITH_ZONE, LOCAL (no zone given) or SLOW."""
    offsets, data = parts(array)
    starts, lengths = offsets[:-1], np.diff(offsets)
    micros = np.zeros(len(array), np.int64)
    state = np.full(len(array), SLOW, np.uint8)
    for length in np.unique(lengths[(lengths >= 19) & (lengths <= 32)]).tolist():
        rows = np.flatnonzero(lengths == length)
        cells = data[starts[rows, None] + np.arange(length)]
        micros[rows], state[rows] = _parse_shape(cells, length)
    if array.null_count:
        state[array.is_null().to_numpy(zero_copy_only=False)] = SLOW
    return micros, state


def _parse_shape(cells: npt.NDArray[np.uint8], length: int) -> tuple[I64, npt.NDArray[np.uint8]]:
    digits = (cells - np.uint8(48)).astype(np.uint8)
    good = np.asarray((digits[:, _DIGITS] <= 9).all(axis=1))
    for place in (4, 7, 13, 16):
        good &= cells[:, place] == _SHAPE[place]
    good &= (cells[:, 10] == ord("T")) | (cells[:, 10] == ord(" "))
    whole, valid = _civil(digits)
    good &= valid
    micros = whole
    state = np.full(len(cells), SLOW, np.uint8)
    utc = cells[:, -1] == ord("Z")
    offset = (
        ~utc & np.isin(cells[:, max(length - 6, 0)], [ord("+"), ord("-")]) if length >= 25 else ~utc & False
    )
    for rows, tail in ((utc, 1), (offset, 6), (~utc & ~offset, 0)):
        fraction, fits = _fraction(cells, digits, length - 19 - tail)
        chosen = rows & good & fits
        micros = np.where(chosen, micros + fraction, micros)
        state[chosen] = WITH_ZONE if tail else LOCAL
    shift, fits = _zone(cells, digits) if offset.any() else (micros, offset)
    micros = np.where(offset, micros - shift, micros)
    state[offset & ~fits] = SLOW
    return micros, state


def _civil(digits: npt.NDArray[np.uint8]) -> tuple[I64, Bools]:
    """Microseconds of the date and time; days by Hinnant's `days_from_civil`."""

    def number(*places: int) -> I64:
        total = np.zeros(len(digits), np.int64)
        for place in places:
            total = total * 10 + digits[:, place]
        return total

    year, month, day = number(0, 1, 2, 3), number(5, 6), number(8, 9)
    hour, minute, second = number(11, 12), number(14, 15), number(17, 18)
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    length = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])[np.minimum(month, 12)]
    valid = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= length + (leap & (month == 2)))
    valid &= (hour <= 23) & (minute <= 59) & (second <= 59)
    shifted = year - (month <= 2)
    era = shifted // 400
    of_era = shifted - era * 400
    of_year = (153 * (month + np.where(month > 2, -3, 9)) + 2) // 5 + day - 1
    days = era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468
    return ((days * 24 + hour) * 3600 + minute * 60 + second) * MICRO, valid


def _fraction(cells: npt.NDArray[np.uint8], digits: npt.NDArray[np.uint8], width: int) -> tuple[I64, Bools]:
    zero = np.zeros(len(cells), np.int64)
    if width == 0:
        return zero, np.ones(len(cells), np.bool_)
    if not 2 <= width <= 7:
        return zero, np.zeros(len(cells), np.bool_)
    total = zero
    for place in range(20, 19 + width):
        total = total * 10 + digits[:, place]
    fits = np.asarray((cells[:, 19] == ord(".")) & (digits[:, 20 : 19 + width] <= 9).all(axis=1))
    return total * 10 ** (7 - width), fits


def _zone(cells: npt.NDArray[np.uint8], digits: npt.NDArray[np.uint8]) -> tuple[I64, Bools]:
    tail = digits[:, -5:].astype(np.int64)
    hours, minutes = tail[:, 0] * 10 + tail[:, 1], tail[:, 3] * 10 + tail[:, 4]
    fits = np.asarray((digits[:, [-5, -4, -2, -1]] <= 9).all(axis=1) & (cells[:, -3] == ord(":")))
    fits &= (hours <= 23) & (minutes <= 59)
    sign = np.where(cells[:, -6] == ord("-"), -1, 1)
    return sign * (hours * 60 + minutes) * 60 * MICRO, fits


def to_utc(micros: I64, timezone: str) -> I64:
    """Local clock readings as UTC. Offsets change on quarter hours only, so one look-up serves each."""
    quarters, back = np.unique(micros // _QUARTER, return_inverse=True)
    offsets = [
        local_offset(_EPOCH + timedelta(microseconds=quarter * _QUARTER), timezone)
        for quarter in quarters.tolist()
    ]
    return micros - np.array(offsets, np.int64)[back]


def text_moments(array: pa.StringArray, timezone: str | None, unit: str | None) -> Moments:
    """Read a text column; `unit` is the file's, already known or decided."""
    micros, state = iso_moments(array)
    failed: dict[int, str] = {}
    local = np.flatnonzero(state == LOCAL)
    if len(local) and timezone is None:
        failed.update(dict.fromkeys(local.tolist(), "timestamp_without_zone"))
    elif timezone is not None and len(local):
        micros[local] = to_utc(micros[local], timezone)
    found = (state != SLOW) & ((state != LOCAL) | (timezone is not None))
    slow = np.flatnonzero((state == SLOW) & array.is_valid().to_numpy(zero_copy_only=False))
    if len(slow):
        _read_rest(array.take(pa.array(slow)), slow, Moments(micros, found, failed), timezone, unit)
    return Moments(micros, found, failed)


def _read_rest(
    texts: pa.StringArray, rows: I64, into: Moments, timezone: str | None, unit: str | None
) -> None:
    whole = pc.match_substring_regex(texts, _WHOLE_EPOCH).to_numpy(zero_copy_only=False)
    if whole.any():
        numbers = texts.filter(pa.array(whole)).cast(pa.int64()).to_numpy()
        _place_epochs(numbers, rows[whole], into, unit)
    encoded = texts.filter(pa.array(~whole)).dictionary_encode()
    read: list[int | str] = []
    for text in encoded.dictionary.to_pylist():
        try:
            read.append(parse_moment(text, timezone, unit))
        except GrammarError as refused:
            read.append(refused.reason)
    for row, code in zip(rows[~whole].tolist(), encoded.indices.to_pylist(), strict=True):
        value = read[code]
        if isinstance(value, str):
            into.failed[row] = value
        elif abs(value) < 2**62:
            into.micros[row], into.found[row] = value, True
        else:
            into.failed[row] = "bad_timestamp"


def typed_moments(column: pa.Array, timezone: str | None, window: tuple[int, int]) -> Moments:
    """Read a column of Arrow timestamps of any unit, with or without zone; `window` as accepted later."""
    present = column.is_valid().to_numpy(zero_copy_only=False)
    ticks = pc.fill_null(column.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    if column.type.unit == "ns":
        micros = ticks // 1000
    else:
        scale = MICROS_A_UNIT[column.type.unit]
        limit = 2**62 // scale
        micros = np.clip(ticks, -limit, limit) * scale
    if column.type.tz is not None:
        return Moments(micros, present, {})
    if timezone is None:
        failed = dict.fromkeys(np.flatnonzero(present).tolist(), "timestamp_without_zone")
        return Moments(micros, np.zeros(len(micros), np.bool_), failed)
    near = np.clip(micros, window[0] - 2 * _DAY, window[1] + 2 * _DAY)  # what is outside stays outside
    return Moments(to_utc(near, timezone), present, {})


def epoch_moments(numbers: I64, present: Bools, unit: str | None) -> Moments:
    """Read a column of whole epoch numbers."""
    into = Moments(np.zeros(len(numbers), np.int64), np.zeros(len(numbers), np.bool_), {})
    rows = np.flatnonzero(present)
    _place_epochs(numbers[rows], rows, into, unit)
    return into


def _place_epochs(numbers: I64, rows: I64, into: Moments, unit: str | None) -> None:
    size = np.abs(numbers.astype(np.float64))
    left = np.ones(len(numbers), np.bool_)
    for name, limit in UNIT_LIMITS.items():
        here = left & (size < limit)
        left &= ~here
        if unit is not None and name != unit:
            into.failed.update(dict.fromkeys(rows[here].tolist(), "mixed_epoch_units"))
            continue
        into.micros[rows[here]] = numbers[here] * MICROS_A_UNIT[name]
        into.found[rows[here]] = True
    into.failed.update(dict.fromkeys(rows[left].tolist(), "bad_timestamp"))


def decide_unit(array: pa.Array, earliest: int, latest: int) -> str | None:
    """The epoch unit of a file from its first epoch numbers: that of the first one that lies in the window.

    Where none of the first 64 does, the unit of the first; None where the column has no epoch numbers at all.
    """
    texts = array if pa.types.is_string(array.type) else array.cast(pa.string())
    like = pc.fill_null(pc.match_substring_regex(texts, _EPOCH_LIKE), False)
    numbers = [epoch_number(text) for text in texts.filter(like)[:_UNIT_SAMPLE].to_pylist()]
    guesses: list[tuple[str, Decimal]] = []
    for number in numbers:
        unit = None if number is None else unit_of(number)
        if number is not None and unit is not None:
            guesses.append((unit, number * MICROS_A_UNIT[unit]))
    plausible = (unit for unit, micros in guesses if earliest <= micros <= latest)
    return next(plausible, guesses[0][0] if guesses else None)
