"""Turns profiles into events: the same code for both classes, so that only what they do can tell them apart."""

from __future__ import annotations

import numpy as np

from sim.billing import payments, promotions, referrals
from sim.events import Batch
from sim.identifiers import NULL
from sim.mix import Int64
from sim.profile import Profile
from sim.sessions import draw_sessions, start, users
from sim.signup import sign_up
from sim.usage import inference, telemetry
from sim.world import DAY, MINUTE, SECOND, World, exponential


def emit(batch: Batch, p: Profile, world: World, rng: np.random.Generator) -> None:
    """Add every event of the organizations; those outside the window are left for the batch to drop."""
    sessions = draw_sessions(p, world, rng)
    key_at = sign_up(batch, p, sessions, rng)
    start(batch, p, sessions, rng)
    telemetry(batch, p, sessions, rng)
    inference(batch, p, sessions, key_at, rng)
    payments(batch, p, world, rng)
    promotions(batch, p, rng)
    referrals(batch, p, rng)
    _enforcement(batch, p, key_at, rng)


def _enforcement(batch: Batch, p: Profile, key_at: Int64, rng: np.random.Generator) -> None:
    """Add the platform's own throttles, and the new key that some fetch at once."""
    rows = np.flatnonzero((p.restricted_after != NULL) & ~p.old)
    at = np.maximum(p.created + p.restricted_after, key_at + MINUTE)
    batch.add(
        "organization_restricted",
        p.org[rows],
        at[rows],
        action=np.where(rng.random(len(rows)) < 0.7, 0, 1),
        reason=rng.integers(0, 4, size=len(rows)),
    )
    rotated = rows[p.second_key[rows] != NULL]
    soon = exponential(4 * MINUTE, len(rotated), rng)
    batch.add("api_key_revoked", p.org[rotated], at[rotated] + soon, api_key=p.key[rotated])
    batch.add(
        "api_key_created",
        p.org[rotated],
        at[rotated] + soon + 20 * SECOND,
        api_key=p.second_key[rotated],
        user_id=users(p, rotated),
    )
    lifted = rows[(p.second_key[rows] == NULL) & (rng.random(len(rows)) < 0.5)]
    batch.add(
        "organization_restored",
        p.org[lifted],
        at[lifted] + exponential(DAY, len(lifted), rng),
        action=2,
        reason=4,
    )
