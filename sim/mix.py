"""Bijective integer mixers: an index becomes an opaque number, and no two indices ever meet.

Identifiers of the simulator are rendered from small integer *codes*. A code is a counter, so it knows the order in
which things were made; what is written must not. Hence every code goes through a bijection salted by the seed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
UInt64 = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]

_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), dtype="<u2")


def salt(seed: int, stream: str) -> int:
    """Return the 64-bit salt of a named stream of identifiers under a seed (FNV-1a over both)."""
    value = 0xCBF29CE484222325
    for byte in f"{seed}:{stream}".encode():
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


def mix64(codes: Int64 | UInt64, by: int) -> UInt64:
    """Mix codes bijectively over 64 bits: the finaliser of SplitMix64 (Steele, Lea and Flood, 2014), salted."""
    x = codes.astype(np.uint64) + np.uint64(by)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def permute(codes: Int64, bits: int, by: int) -> Int64:
    """Permute codes of ``[0, 2**bits)`` within that range: odd multiplications and right shifts, each a bijection."""
    mask = np.uint64((1 << bits) - 1)
    shift = np.uint64(bits // 2 + 1)
    x = (codes.astype(np.uint64) + np.uint64(by & ((1 << bits) - 1))) & mask
    for factor in (0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F):
        x = (x * np.uint64(factor)) & mask
        x ^= x >> shift
    return x.astype(np.int64)


def hex_digits(values: UInt64) -> Bytes:
    """Spell 64-bit numbers as lower-case hex: an array of shape ``(len(values), 16)`` of ASCII bytes."""
    raw = values.astype(">u8").view(np.uint8)
    return _HEX[raw].view(np.uint8).reshape(len(values), 16)
