"""Events of an organization's first minutes: creation, verification, trial and key."""

from __future__ import annotations

import numpy as np

from sim.columns import MICRO
from sim.events import Batch
from sim.identifiers import NULL
from sim.mix import Int64
from sim.profile import Profile
from sim.sessions import Sessions, users
from sim.world import DAY, HOUR, MINUTE, SECOND, exponential


def sign_up(batch: Batch, p: Profile, s: Sessions, rng: np.random.Generator) -> Int64:
    """Add creation, verification and the first key; return when each organization's key came to be (µs)."""
    n = len(p)
    key_at = np.where(p.old, 0, s.at[s.first] + 30 * SECOND + exponential(4 * MINUTE, n, rng))
    new = np.flatnonzero(~p.old)
    org, at, user, email = p.org[new], p.created[new], users(p, new), p.email[new]
    where = {"ip": s.address[s.first][new], "device_id": s.device[s.first][new]}
    browser = {"user_agent": p.browser[new], "tls_fingerprint": p.browser_tls[new]}
    batch.add(
        "organization_created",
        org,
        at,
        user_id=user,
        email=email,
        org_name=p.name[new],
        plan=0,
        country=p.country[new],
        referral_code=p.referral_used[new],
        **where,
        **browser,
    )
    batch.add("user_added", org, at + exponential(SECOND, len(new), rng), user_id=user, email=email)
    _verify(batch, p, new, rng)
    keyed = new[p.calls[new] > 0]
    batch.add(
        "api_key_created",
        p.org[keyed],
        key_at[keyed],
        user_id=users(p, keyed),
        api_key=p.key[keyed],
        ip=s.address[s.first][keyed],
        user_agent=p.browser[keyed],
    )
    return key_at


def _verify(batch: Batch, p: Profile, new: Int64, rng: np.random.Generator) -> None:
    """Add proofs of contact, further users, and the trial that a proof opens."""
    n = len(p)
    verified_at = p.created + 8 * SECOND + exponential(2 * MINUTE, n, rng)
    proven = np.flatnonzero(~p.old & p.email_verified)
    batch.add(
        "email_verified", p.org[proven], verified_at[proven], user_id=users(p, proven), email=p.email[proven]
    )
    joined = new[rng.random(len(new)) < 0.05]
    batch.add(
        "user_added",
        p.org[joined],
        p.created[joined] + HOUR + exponential(2 * DAY, len(joined), rng),
        user_id=users(p, joined) + 1,
    )
    called_at = verified_at + 6 * SECOND + exponential(MINUTE, n, rng)
    asked = np.flatnonzero(~p.old & (p.phone != NULL))
    passed = asked[p.phone_verified[asked]]
    failed = asked[~p.phone_verified[asked]]
    batch.add(
        "phone_verified", p.org[passed], called_at[passed], user_id=users(p, passed), phone=p.phone[passed]
    )
    batch.add("verification_requested", p.org[failed], called_at[failed], phone=p.phone[failed])
    tried = np.flatnonzero(~p.old & p.trial)
    batch.add(
        "trial_started",
        p.org[tried],
        called_at[tried] + exponential(MINUTE, len(tried), rng),
        plan=1,
        program_id=np.where(p.credit[tried] > 5 * MICRO, 1, 0),
        credit_usd=p.credit[tried],
    )
