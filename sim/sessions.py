"""When and from where organizations are used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sim.events import Batch
from sim.mix import Int64
from sim.profile import Profile
from sim.world import DAY, HOUR, SECOND, World, exponential

_USERS: Final = 8
"""User codes kept apart for each organization."""


@dataclass(frozen=True)
class Sessions:
    """Sessions of all organizations, each organization's in one run: `first` is where its run starts."""

    row: Int64
    first: Int64
    at: Int64
    address: Int64
    device: Int64


def users(p: Profile, row: Int64) -> Int64:
    """Return the code of the first user of each row's organization."""
    return p.org[row] * _USERS


def draw_sessions(p: Profile, world: World, rng: np.random.Generator) -> Sessions:
    """Draw when and from where each organization is used.

    People come back on later days at hours when they are awake; machines come back after a few of their own paces.
    The first session opens the organization, unless it is older than the window.
    """
    row = np.repeat(np.arange(len(p)), p.sessions)
    first = np.cumsum(p.sessions) - p.sessions
    ordinal = np.arange(len(row)) - first[row]
    created, n = p.created[row], len(row)
    span = np.where(p.old[row], world.days, np.minimum(p.span_days[row], (world.end - created) / DAY))
    begin = np.where(p.old[row], 0, (created - world.start) // DAY)
    later = world.clock(begin + (rng.random(n) * np.maximum(span, 1)).astype(np.int64), p.country[row], rng)
    later = np.where(later <= created, created + exponential(3 * HOUR, n, rng), later)
    paced = created + exponential(3 * p.pace[row], n, rng)
    at = np.where(p.machine[row], paced, later)
    at = np.where((ordinal == 0) & ~p.old[row], created + exponential(20 * SECOND, n, rng), at)
    return Sessions(row, first, at, _slots(p, row, ordinal, rng), _devices(p, row, rng))


def _slots(p: Profile, row: Int64, ordinal: Int64, rng: np.random.Generator) -> Int64:
    """Return the address of each use: mostly the usual one, or the next one in turn where addresses are churned."""
    some = np.where(rng.random(len(row)) < 0.75, 0, rng.integers(1, p.address.shape[1], size=len(row)))
    slot = np.where(p.churn[row], ordinal % p.address.shape[1], some)
    return p.address[row, slot]


def _devices(p: Profile, row: Int64, rng: np.random.Generator) -> Int64:
    return p.device[row, np.where(rng.random(len(row)) < 0.85, 0, 1)]


def start(batch: Batch, p: Profile, s: Sessions, rng: np.random.Generator) -> None:
    """Add the start of every session."""
    row = s.row
    late = exponential(5 * SECOND, len(row), rng)
    batch.add(
        "session_started",
        p.org[row],
        s.at + late,
        user_id=users(p, row),
        ip=s.address,
        device_id=s.device,
        user_agent=p.browser[row],
        tls_fingerprint=p.browser_tls[row],
        attested=0,
    )
