"""Turns profiles into events: the same code for both classes, so that only what they do can tell them apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.columns import MICRO
from sim.events import Batch
from sim.identifiers import NULL
from sim.mix import Int64
from sim.profile import Profile
from sim.vocabulary import EVENT
from sim.world import DAY, HOUR, MINUTE, SECOND, World, exponential

_USERS = 8
"""User codes kept apart for each organization."""


@dataclass(frozen=True)
class Sessions:
    """Sessions of all organizations, each organization's in one run: `first` is where its run starts."""

    row: Int64
    first: Int64
    at: Int64
    address: Int64
    device: Int64


def emit(batch: Batch, p: Profile, world: World, rng: np.random.Generator) -> None:
    """Add every event of the organizations; those outside the window are left for the batch to drop."""
    sessions = draw_sessions(p, world, rng)
    key_at = _sign_up(batch, p, sessions, rng)
    _start_sessions(batch, p, sessions, rng)
    _telemetry(batch, p, sessions, rng)
    _inference(batch, p, sessions, key_at, rng)
    _payments(batch, p, world, rng)
    _promotions(batch, p, rng)
    _referrals(batch, p, rng)
    _enforcement(batch, p, key_at, rng)


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
    paced = created + exponential(3.0 * p.pace[row], n, rng)
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


def _users(p: Profile, row: Int64) -> Int64:
    return p.org[row] * _USERS


def _sign_up(batch: Batch, p: Profile, s: Sessions, rng: np.random.Generator) -> Int64:
    """Add creation, verification and the first key; return when each organization's key came to be (µs)."""
    n = len(p)
    key_at = np.where(p.old, 0, s.at[s.first] + 30 * SECOND + exponential(4 * MINUTE, n, rng))
    new = np.flatnonzero(~p.old)
    org, at, user, email = p.org[new], p.created[new], _users(p, new), p.email[new]
    where = {"ip": s.address[s.first][new], "device_id": s.device[s.first][new]}
    browser = {"user_agent": p.browser[new], "tls_fingerprint": p.browser_tls[new]}
    batch.add(
        "organization_created", org, at, user_id=user, email=email, org_name=p.name[new], plan=0,
        country=p.country[new], referral_code=p.referral_used[new], **where, **browser,
    )
    batch.add("user_added", org, at + exponential(SECOND, len(new), rng), user_id=user, email=email)
    verified_at = p.created + 8 * SECOND + exponential(2 * MINUTE, n, rng)
    for rows in (np.flatnonzero(~p.old & p.email_verified),):
        batch.add("email_verified", p.org[rows], verified_at[rows], user_id=_users(p, rows), email=p.email[rows])
    called_at = verified_at + 6 * SECOND + exponential(MINUTE, n, rng)
    asked = np.flatnonzero(~p.old & (p.phone != NULL))
    passed = asked[p.phone_verified[asked]]
    failed = asked[~p.phone_verified[asked]]
    batch.add("phone_verified", p.org[passed], called_at[passed], user_id=_users(p, passed), phone=p.phone[passed])
    batch.add("verification_requested", p.org[failed], called_at[failed], phone=p.phone[failed])
    tried = np.flatnonzero(~p.old & p.trial)
    batch.add(
        "trial_started", p.org[tried], called_at[tried] + exponential(MINUTE, len(tried), rng), plan=1,
        program_id=np.where(p.credit[tried] > 5 * MICRO, 1, 0), credit_usd=p.credit[tried],
    )
    keyed = new[p.calls[new] > 0]
    batch.add(
        "api_key_created", p.org[keyed], key_at[keyed], user_id=_users(p, keyed), api_key=p.key[keyed],
        ip=s.address[s.first][keyed], user_agent=p.browser[keyed],
    )
    return key_at


def _start_sessions(batch: Batch, p: Profile, s: Sessions, rng: np.random.Generator) -> None:
    row = s.row
    late = exponential(5 * SECOND, len(row), rng)
    batch.add(
        "session_started", p.org[row], s.at + late, user_id=_users(p, row), ip=s.address, device_id=s.device,
        user_agent=p.browser[row], tls_fingerprint=p.browser_tls[row], attested=0,
    )


def _telemetry(batch: Batch, p: Profile, s: Sessions, rng: np.random.Generator) -> None:
    """Add what the genuine client reports about itself while it is used."""
    row = np.repeat(np.arange(len(p)), p.telemetry)
    at = s.first[row] + (rng.random(len(row)) * p.sessions[row]).astype(np.int64)
    batch.add(
        "client_telemetry", p.org[row], s.at[at] + 10 * SECOND + exponential(15 * MINUTE, len(row), rng),
        user_id=_users(p, row), ip=s.address[at], device_id=s.device[at], attested=p.attested[row],
        user_agent=p.client[row], tls_fingerprint=p.client_tls[row],
    )


def _inference(batch: Batch, p: Profile, s: Sessions, key_at: Int64, rng: np.random.Generator) -> None:
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
    event_type = np.where(p.hidden_type[row] & (rng.random(n) < 0.2), EVENT["inference"] + (4 << 6), EVENT["inference"])
    batch.add(
        "inference", p.org[row], at, api_key=np.where(changed, p.second_key[row], p.key[row]),
        ip=np.where(served, server, own),
        user_agent=np.where(served, p.server_agent[row], p.client[row]),
        tls_fingerprint=np.where(served, p.server_tls[row], p.client_tls[row]),
        model=np.minimum(rng.geometric(0.5, size=n) - 1, 3), requests=rng.geometric(0.7, size=n),
        tokens=np.maximum(cost // 6, 1), cost_usd=cost,
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
        "inference", p.org[row], key_at[row] + 3 * SECOND + exponential(20 * MINUTE, n, rng), api_key=p.key[row],
        ip=p.server_address[row, 0], user_agent=p.server_agent[row], tls_fingerprint=p.server_tls[row], model=0,
        requests=1, tokens=rng.integers(1, 9, size=n), cost_usd=rng.integers(1, 12, size=n), status_code=200,
    )


def _payments(batch: Batch, p: Profile, world: World, rng: np.random.Generator) -> None:
    rows = np.flatnonzero((p.payment != NULL) & ~p.old)
    at = p.created[rows] + MINUTE + p.pay_after[rows]
    batch.add(
        "payment_method_added", p.org[rows], at, user_id=_users(p, rows), payment_method=p.payment[rows],
        payment_kind=p.payment_kind[rows], payment_bin=p.payment_bin[rows], ip=p.address[rows, 0],
    )
    refused = rows[rng.random(len(rows)) < 0.06]
    batch.add(
        "payment_failed", p.org[refused], p.created[refused] + 5 * MINUTE + p.pay_after[refused],
        payment_method=p.payment[refused], payment_bin=p.payment_bin[refused], payment_kind=p.payment_kind[refused],
    )
    paying = np.flatnonzero((p.payment != NULL) & p.paying)
    begun = np.where(p.old, world.start + p.created % (30 * DAY), p.created + p.pay_after + HOUR)[paying]
    for month in range(-(-world.days // 30)):
        amount = rng.choice([20, 20, 20, 50, 100], size=len(paying)).astype(np.int64) * MICRO
        batch.add(
            "invoice_paid", p.org[paying], begun + month * 30 * DAY + exponential(HOUR, len(paying), rng), plan=2,
            payment_method=p.payment[paying], amount_usd=amount, payment_kind=p.payment_kind[paying],
            payment_bin=p.payment_bin[paying],
        )
    leaving = np.flatnonzero(p.cancel_after != NULL)
    batch.add("subscription_cancelled", p.org[leaving], p.created[leaving] + 10 * MINUTE + p.cancel_after[leaving], plan=1)


def _promotions(batch: Batch, p: Profile, rng: np.random.Generator) -> None:
    rows = np.flatnonzero((p.promo != NULL) & ~p.old)
    batch.add(
        "promo_redeemed", p.org[rows], p.created[rows] + 3 * MINUTE + exponential(HOUR, len(rows), rng),
        promo_code=p.promo[rows], program_id=4, credit_usd=5 * MICRO,
    )


def _referrals(batch: Batch, p: Profile, rng: np.random.Generator) -> None:
    issued = np.flatnonzero((p.referral_owned != NULL) & ~p.old)
    batch.add(
        "referral_code_issued", p.org[issued], p.created[issued] + 2 * MINUTE + exponential(10 * MINUTE, len(issued), rng),
        referral_code=p.referral_owned[issued], program_id=2,
    )
    used = np.flatnonzero((p.referral_used != NULL) & (p.referrer != NULL) & ~p.old)
    at = p.created[used] + 5 * MINUTE + exponential(20 * MINUTE, len(used), rng)
    batch.add(
        "referral_redeemed", p.org[used], at, referral_code=p.referral_used[used], referrer_org_id=p.referrer[used],
        program_id=2,
    )
    earned = {"other_org_id": p.org[used], "program_id": 2, "reward_usd": 5 * MICRO}
    batch.add("reward_earned", p.referrer[used], at + exponential(MINUTE, len(used), rng), **earned)
    paid = rng.random(len(used)) < 0.6
    batch.add(
        "reward_paid", p.referrer[used][paid], at[paid] + DAY + exponential(2 * DAY, int(paid.sum()), rng),
        other_org_id=p.org[used][paid], program_id=2, reward_usd=5 * MICRO, payout_id=p.org[used][paid],
    )


def _enforcement(batch: Batch, p: Profile, key_at: Int64, rng: np.random.Generator) -> None:
    """Add the platform's own throttles, and the new key that some fetch at once."""
    rows = np.flatnonzero((p.restricted_after != NULL) & ~p.old)
    at = np.maximum(p.created + p.restricted_after, key_at + MINUTE)
    batch.add(
        "organization_restricted", p.org[rows], at[rows], action=np.where(rng.random(len(rows)) < 0.7, 0, 1),
        reason=rng.integers(0, 4, size=len(rows)),
    )
    rotated = rows[p.second_key[rows] != NULL]
    soon = exponential(4 * MINUTE, len(rotated), rng)
    batch.add("api_key_revoked", p.org[rotated], at[rotated] + soon, api_key=p.key[rotated])
    batch.add("api_key_created", p.org[rotated], at[rotated] + soon + 20 * SECOND, api_key=p.second_key[rotated],
              user_id=_users(p, rotated))
    lifted = rows[(p.second_key[rows] == NULL) & (rng.random(len(rows)) < 0.5)]
    batch.add("organization_restored", p.org[lifted], at[lifted] + exponential(DAY, len(lifted), rng), action=2, reason=4)
