"""Text columns as buffers: distinct values, quick checks over all bytes, and 64-bit fingerprints without a loop a row.

Fingerprints are built from splitmix64's finaliser (Steele, Lea and Flood, "Fast splittable pseudorandom number
generators", 2014) over little-endian words; they depend on the text and the seed only, not on machine or version.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]

_M1, _M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_LONG = 256
NULL = np.uint64(0x6E756C6C6E756C6C)
"""The fingerprint of an absent value, before mixing."""


@dataclass(frozen=True)
class Distinct:
    """A text column as codes into its distinct values, in order of first appearance; code -1 is null."""

    codes: I32
    values: pa.StringArray

    @classmethod
    def of(cls, array: pa.StringArray) -> Distinct:
        """Encode a string array (or take apart a dictionary array)."""
        encoded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
        codes = encoded.indices
        if codes.null_count:
            codes = codes.fill_null(-1)
        return cls(codes.to_numpy(zero_copy_only=False).astype(np.int32, copy=False), encoded.dictionary)

    def first_rows(self) -> I64:
        """The row where each distinct value appears first."""
        first = np.zeros(len(self.values) + 1, np.int64)
        first[self.codes[::-1]] = np.arange(len(self.codes) - 1, -1, -1, dtype=np.int64)
        return first[:-1]

    def gather(self, values: npt.NDArray[np.generic], null: object) -> npt.NDArray[np.generic]:
        """One entry a row from one a distinct value; `null` where the row has none."""
        return np.append(values, np.asarray([null], values.dtype))[self.codes]


def parts(array: pa.Array) -> tuple[I64, npt.NDArray[np.uint8]]:
    """Offsets (one more than rows) and bytes of a string or binary array."""
    _, offsets, data = array.buffers()
    if offsets is None:
        return np.zeros(1, np.int64), np.zeros(0, np.uint8)
    wide = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    ends = np.frombuffer(offsets, np.int64 if wide else np.int32)[
        array.offset : array.offset + len(array) + 1
    ]
    raw = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return ends.astype(np.int64), raw


def all_plain(array: pa.Array) -> bool:
    """Whether every value is printable ASCII."""
    offsets, data = parts(array)
    used = data[offsets[0] : offsets[-1]]
    return not used.size or bool(used.min() >= 0x20 and used.max() < 0x7F)


def mix(values: U64) -> U64:
    """splitmix64's finaliser: every input bit reaches every output bit; one to one."""
    out = values ^ (values >> np.uint64(30))
    out *= _M1
    out ^= out >> np.uint64(27)
    out *= _M2
    out ^= out >> np.uint64(31)
    return out


def combine(state: U64, values: U64) -> U64:
    """Fold the next column (or word) into the state of each row; order matters."""
    return mix(state * _GOLDEN + values)


def hash_strings(array: pa.Array, seed: int) -> U64:
    """A 64-bit fingerprint of each value's bytes under the seed; nulls get that of NULL.

    Words of eight bytes are mixed in one after the other, all rows at a time; values over 256 bytes go through
    BLAKE2b, so that one long value does not cost a pass over all.
    """
    offsets, data = parts(array)
    count = len(array)
    starts, lengths = offsets[:-1], np.diff(offsets)
    padded = np.concatenate([data, np.zeros(8, np.uint8)])
    words = np.ndarray((len(padded) - 7,), "<u8", padded, strides=(1,))
    state = np.full(count, seed, np.uint64)
    state = combine(state, lengths.astype(np.uint64))
    short = lengths <= _LONG
    longest = int(lengths[short].max()) if short.any() else 0
    for begin in range(0, longest, 8):
        rows = np.flatnonzero(short & (lengths > begin))
        if len(rows) == count:
            state = combine(state, _word(words, starts + begin, lengths - begin))
        else:
            state[rows] = combine(state[rows], _word(words, starts[rows] + begin, lengths[rows] - begin))
    for row in np.flatnonzero(~short).tolist():
        text = data[offsets[row] : offsets[row + 1]].tobytes()
        digest = hashlib.blake2b(text, digest_size=8, key=seed.to_bytes(8, "little")).digest()
        state[row] = int.from_bytes(digest, "little")
    if array.null_count:
        state[array.is_null().to_numpy(zero_copy_only=False)] = NULL
    return state


def _word(words: npt.NDArray[np.uint64], places: I64, left: I64) -> U64:
    taken = words[places]
    if left.min(initial=8) >= 8:
        return taken
    bits = (np.minimum(left, 8) * 8).astype(np.uint64)
    mask = np.where(left >= 8, ~np.uint64(0), (np.uint64(1) << (bits & np.uint64(63))) - np.uint64(1))
    return taken & mask
