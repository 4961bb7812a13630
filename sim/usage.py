"""Events of use: inference, and what the genuine client reports beside it."""

from __future__ import annotations

import numpy as np

from sim.events import Batch
from sim.identifiers import NULL
from sim.mix import Int64
from sim.profile import Profile
from sim.sessions import Sessions, users
from sim.vocabulary import EVENT
from sim.world import MINUTE, SECOND, exponential


def telemetry(batch: Batch, p: Profile, s: Sessions, rng: np.random.Generator) -> None:
    """Add what the genuine client reports about itself while it is used."""
    row = np.repeat(np.arange(len(p)), p.telemetry)
    at = s.first[row] + (rng.random(len(row)) * p.sessions[row]).astype(np.int64)
    batch.add(
        "client_telemetry",
        p.org[row],
        s.at[at] + 10 * SECOND + exponential(15 * MINUTE, len(row), rng),
        user_id=users(p, row),
        ip=s.address[at],
        device_id=s.device[at],
        attested=p.attested[row],
        user_agent=p.client[row],
        tls_fingerprint=p.client_tls[row],
    )


def inference(batch: Batch, p: Profile, s: Sessions, key_at: Int64, rng: np.random.Generator) -> None:
    """Add calls and what they cost, with the keys and from the machines that make them, and probes."""
    row = np.repeat(np.arange(len(p)), p.calls)
    n = len(row)
    session = s.first[row] + (rng.random(n) * p.sessions[row]).astype(np.int64)
    begin = np.maximum(s.at[session], key_at[row])
    at = begin + 5 * SECOND + exponential(p.pace[row].astype(float), n, rng)
    ordinal = np.arange(n) - (np.cumsum(p.calls) - p.calls)[row]
    served = rng.random(n) < p.server_share[row]
    own = np.where(p.churn[row], p.address[row, (ordinal // 3) % p.address.shape[1]], s.address[session])
    server = p.server_address[row, rng.integers(0, p.server_address.shape[1], size=n)]
    cost = _costs(p, row, rng)
    total = np.bincount(row, weights=cost, minlength=len(p))
    covered = np.where(p.trial & ~p.old, np.minimum(1.0, p.credit / np.maximum(total, 1)), -1.0)[row]
    changed = (p.second_key[row] != NULL) & (at > p.created[row] + p.restricted_after[row] + 10 * MINUTE)
    event_type = np.where(
        p.hidden_type[row] & (rng.random(n) < 0.2), EVENT["inference"] + (4 << 6), EVENT["inference"]
    )
    batch.add(
        "inference",
        p.org[row],
        at,
        api_key=np.where(changed, p.second_key[row], p.key[row]),
        ip=np.where(served, server, own),
        user_agent=np.where(served, p.server_agent[row], p.client[row]),
        tls_fingerprint=np.where(served, p.server_tls[row], p.client_tls[row]),
        model=np.minimum(rng.geometric(0.5, size=n) - 1, 3),
        requests=rng.geometric(0.7, size=n),
        tokens=np.maximum(cost // 6, 1),
        cost_usd=cost,
        credit_used_usd=np.where(covered < 0, NULL, (cost * covered).astype(np.int64)),
        status_code=rng.choice([200, 429, 500, 400], size=n, p=[0.965, 0.02, 0.005, 0.01]),
        event_type=event_type,
    )
    _probes(batch, p, key_at, rng)


def _costs(p: Profile, row: Int64, rng: np.random.Generator) -> Int64:
    """Lognormal costs; whoever burns a trial spreads its credit over their calls."""
    n = len(row)
    usual = p.cost[row] * np.exp(rng.normal(0.0, 1.0, size=n))
    burning = p.credit[row] / np.maximum(p.calls[row], 1) * rng.uniform(0.7, 1.4, size=n)
    return np.where(p.burn[row], burning, usual).astype(np.int64) + 1


def _probes(batch: Batch, p: Profile, key_at: Int64, rng: np.random.Generator) -> None:
    """Add tiny calls that only ask whether a key still works, from wherever the key is used by machines."""
    row = np.repeat(np.arange(len(p)), np.where((p.calls > 0) & ~p.old, p.probes, 0))
    n = len(row)
    batch.add(
        "inference",
        p.org[row],
        key_at[row] + 3 * SECOND + exponential(20 * MINUTE, n, rng),
        api_key=p.key[row],
        ip=p.server_address[row, 0],
        user_agent=p.server_agent[row],
        tls_fingerprint=p.server_tls[row],
        model=0,
        requests=1,
        tokens=rng.integers(1, 9, size=n),
        cost_usd=rng.integers(1, 12, size=n),
        status_code=200,
    )
