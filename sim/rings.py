"""Plans the rings: how many, how large, of which kind and care, when, and in which waves their members sign up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from sim.mix import Int64
from sim.world import DAY, HOUR, MINUTE, Floats, World

Difficulty = Literal["plain", "mimic", "rotate", "adaptive", "serial"]

RING_KINDS: Final = ("trial_farm", "key_resale", "promo_ring", "referral_ring", "serial")
_KIND_SHARES: Final = (0.5, 0.25, 0.1, 0.15)
_LEVEL_SHARES: Final = (0.4, 0.35, 0.25)
_SMALLEST: Final = 3
_TAIL: Final = 0.78
"""Exponent of the Pareto law of ring sizes: the median ring has eight organizations, one in ten has over seventy."""
_LARGEST_SHARE: Final = 0.1
_INCIDENT_SHARE: Final = 0.6
"""In an attack of few days, the share of the abusive organizations that one operator runs."""


@dataclass(frozen=True)
class Rings:
    """Rings, one a row: `size` members, `kind` of `RING_KINDS`, `level` of care 0 to 2, `start` and `length` (µs)."""

    size: Int64
    kind: Int64
    level: Int64
    start: Int64
    length: Int64


@dataclass(frozen=True)
class Members:
    """Members of a chunk of rings, those of a ring in one run and by time.

    `ring` counts from 0 within the chunk, `campaign` through the simulation; `place` is the member's number within its
    ring; `wave` numbers its wave through the chunk.
    """

    ring: Int64
    campaign: Int64
    place: Int64
    size: Int64
    level: Int64
    kind: Int64
    created: Int64
    wave: Int64


def plan(world: World, abusive: int, difficulty: Difficulty, attack_days: int | None) -> Rings:
    """Plan rings of `abusive` organizations in all, in an order that says nothing."""
    rng = world.rng("rings", 0)
    size = _serial_sizes(world, abusive, rng) if difficulty == "serial" else _sizes(abusive, attack_days, rng)
    n = len(size)
    level = rng.choice(3, size=n, p=_LEVEL_SHARES).astype(np.int64)
    if difficulty == "serial":
        length = np.full(n, world.days * DAY, dtype=np.int64)
        return Rings(size, np.full(n, RING_KINDS.index("serial")), level, np.full(n, world.start), length)
    kind = rng.choice(4, size=n, p=_KIND_SHARES).astype(np.int64)
    if attack_days is not None:
        # The operator of the incident ran an industry: automation shows in what it shares.
        level[np.argmax(size)] = 0
    longest = attack_days if attack_days is not None else 12
    stretch = 2.5 if difficulty in {"mimic", "adaptive"} else 1.0
    days = np.exp(rng.normal(0.0, 0.6, size=n)) * 0.5 * np.sqrt(size / 8) * stretch
    days = np.clip(days, 0.1, min(longest * stretch, world.days - 1.0))
    if attack_days is None:
        start = rng.random(n) * (world.days - days - 0.5)
    else:
        days = np.where(size > 300, attack_days * 0.95, np.minimum(days, attack_days * 0.95))
        start = world.days * 0.8 - attack_days + rng.random(n) * (attack_days - days)
    return Rings(
        size, kind, level, world.start + (start * DAY).astype(np.int64), (days * DAY).astype(np.int64)
    )


def _sizes(abusive: int, attack_days: int | None, rng: np.random.Generator) -> Int64:
    """Heavy-tailed sizes that add up to `abusive`; an attack of few days has one operator of most of it."""
    first = int(abusive * _INCIDENT_SHARE) if attack_days is not None else 0
    rest = abusive - first
    drawn = (_SMALLEST * (1 - rng.random(rest // _SMALLEST + 1)) ** (-1 / _TAIL)).astype(np.int64)
    ends = np.cumsum(np.minimum(drawn, max(_SMALLEST, int(rest * _LARGEST_SHARE))))
    count = int(np.searchsorted(ends, rest, side="right"))
    sizes = np.diff(ends[:count], prepend=0)
    left = rest - int(sizes.sum())
    if left:
        sizes = (
            np.append(sizes, left)
            if left >= _SMALLEST or not len(sizes)
            else sizes + np.eye(1, len(sizes), 0, dtype=np.int64)[0] * left
        )
    return rng.permutation(np.append(sizes, first) if first else sizes)


def _serial_sizes(world: World, abusive: int, rng: np.random.Generator) -> Int64:
    """One organization every two to five weeks: ten to twenty-six a year."""
    gaps = rng.uniform(14, 35, size=max(1, abusive // 8))
    drawn = np.maximum(2, world.days / gaps).astype(np.int64)
    ends = np.minimum(np.cumsum(drawn), abusive)
    return np.diff(ends[: int(np.searchsorted(ends, abusive)) + 1], prepend=0)


def muster(
    world: World, rings: Rings, chunk: tuple[int, int], difficulty: Difficulty, rng: np.random.Generator
) -> Members:
    """Call up the members of a range of rings, each with its moment of sign-up."""
    first, last = chunk
    size = rings.size[first:last]
    ring = np.repeat(np.arange(last - first), size)
    start, length = rings.start[first:last][ring], rings.length[first:last][ring]
    if difficulty == "serial":
        created, wave = _serially(start, length, ring, size, rng), np.arange(len(ring))
    else:
        created, wave = _in_waves(start, length, ring, size, rng)
    created = np.minimum(created, world.end - HOUR - rng.integers(0, HOUR, size=len(created)))
    order = np.lexsort((created, ring))
    return Members(
        ring=ring,
        campaign=ring + first,
        place=np.arange(len(ring)) - (np.cumsum(size) - size)[ring],
        size=size[ring],
        level=rings.level[first:last][ring],
        kind=rings.kind[first:last][ring],
        created=created[order],
        wave=wave[order],
    )


def _in_waves(
    start: Int64, length: Int64, ring: Int64, size: Int64, rng: np.random.Generator
) -> tuple[Int64, Int64]:
    """Sign-ups come in waves of some forty, each wave within an hour or two."""
    waves = 1 + size // 40
    offset = np.cumsum(waves) - waves
    wave = offset[ring] + (rng.random(len(ring)) * waves[ring]).astype(np.int64)
    at = rng.random(int(waves.sum()))
    pace = rng.uniform(0.3, 2.5, size=int(waves.sum())) * HOUR
    inside = np.minimum((rng.exponential(1.0, size=len(ring)) * pace[wave]).astype(np.int64), 12 * HOUR)
    return start + (at[wave] * length).astype(np.int64) + inside, wave


def _serially(start: Int64, length: Int64, ring: Int64, size: Int64, rng: np.random.Generator) -> Int64:
    """One at a time, at uneven gaps that fill the window."""
    place = np.arange(len(ring)) - (np.cumsum(size) - size)[ring]
    gap = length / size[ring]
    at: Floats = (place + rng.uniform(0.1, 0.9, size=len(ring))) * gap
    return start + at.astype(np.int64) + rng.integers(0, MINUTE, size=len(ring))
