"""How members of a ring behave: as careless machines, or in imitation of the public."""

from __future__ import annotations

import numpy as np

from sim.columns import MICRO
from sim.identifiers import NULL
from sim.operation import Operation
from sim.profile import NEVER
from sim.rings import RING_KINDS
from sim.world import HOUR, MINUTE, exponential

_PROMO, _REFERRAL = RING_KINDS.index("promo_ring"), RING_KINDS.index("referral_ring")
_STUDENT_PROMO = 2 << 30
"""A leaked promotion that promo rings redeem (see `sim.columns`)."""


def behave(o: Operation) -> None:
    """Alter what members do; what they share is another matter (`sim.tactics`)."""
    o.p.created[:] = o.m.created
    o.p.attested[:] = 0
    o.p.credit[:] = 5 * MICRO
    if o.imitates:
        _imitate(o)
    else:
        _burn(o)
    promo = o.m.kind == _PROMO
    o.p.promo[promo] = _STUDENT_PROMO
    o.p.cancel_after[promo] = exponential(8 * HOUR, int(promo.sum()), o.rng)


def _imitate(o: Operation) -> None:
    """Live as the public does, at its hours and with its client, only costing more."""
    n = len(o.m.ring)
    o.by_daylight()
    o.p.cost[:] *= 2
    o.p.burn[:] = o.chance((0.1, 0.05, 0.02))
    _get_caught(o, 0.01)
    o.p.paying[:] = o.rng.random(n) < 0.6
    o.p.disputed[:] = o.rng.random(n) < 0.05


def _burn(o: Operation) -> None:
    """Use a trial up within hours, by machine and mostly without the client."""
    p, n = o.p, len(o.m.ring)
    p.machine[:] = True
    p.trial[:] = o.rng.random(n) < 0.97
    burning = (0.6, 0.4, 0.3) if o.difficulty == "rotate" else (0.95, 0.9, 0.8)
    p.burn[:] = o.chance(burning) & (o.m.kind != _REFERRAL)
    _get_caught(o, 0.05)
    p.probes[:] = np.where(o.chance((0.5, 0.35, 0.2)), o.rng.integers(1, 4, size=n), 0)
    p.pace[:] = (o.leveled((12, 20, 45)) * MINUTE).astype(np.int64)
    p.sessions[:] = 1 + o.rng.integers(0, 3, size=n)
    p.calls[:] = p.calls // 2 + o.rng.integers(4, 12, size=n)
    sends = o.chance((0.0, 0.08, 0.3) if o.difficulty == "plain" else (0.1, 0.3, 0.6))
    p.telemetry[:] = np.where(sends, np.minimum(p.telemetry, 3), 0)
    p.email_verified[:] = o.rng.random(n) < 0.95
    p.pay_after[:] = exponential(2 * HOUR, n, o.rng)
    p.paying[:] = o.chance((0.02, 0.04, 0.08))
    p.disputed[:] = o.rng.random(n) < 0.3


def _get_caught(o: Operation, share: float) -> None:
    """Have the platform throttle a share of the members; most of those replace their key at once."""
    n = len(o.m.ring)
    o.p.restricted_after[:] = np.where(o.rng.random(n) < share, exponential(8 * HOUR, n, o.rng), NEVER)
    rotates = (o.p.restricted_after != NEVER) & (o.rng.random(n) < 0.8)
    o.p.second_key[:] = np.where(rotates, o.world.identifiers.tokens("key", n), NULL)
