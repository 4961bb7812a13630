"""Frames the innocent: rings type a victim's e-mail, phone, referral code or device header, which is all it takes.

Every forged tie is one-sided: nothing is verified, and the victim does nothing. Victims get one, three or ten of them,
in turn, from as many members of one ring.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sim.events import Batch
from sim.identifiers import NULL
from sim.mix import Int64
from sim.profile import Profile
from sim.rings import Members
from sim.world import HOUR, MINUTE, exponential

FORGERIES: Final = (1, 3, 10)


@dataclass(frozen=True)
class Victims:
    """Organizations to frame, one a row, and what a stranger can know of them."""

    org: Int64
    email: Int64
    phone: Int64
    device: Int64
    referral: Int64
    ties: Int64

    def part(self, index: int, parts: int) -> Victims:
        """Return every `parts`-th victim from `index` on."""
        return Victims(*(values[index::parts] for values in vars(self).values()))


def choose(p: Profile, count: int, rng: np.random.Generator) -> Victims:
    """Choose victims among people with a telephone, and have each hold a referral code that can be used."""
    able = np.flatnonzero(p.phone != NULL)
    rows = rng.choice(able, size=min(count, len(able)), replace=False)
    p.referral_owned[rows] = p.org[rows]
    ties = np.resize(np.array(FORGERIES), len(rows))
    return Victims(p.org[rows], p.email[rows], p.phone[rows], p.device[rows, 0], p.org[rows], ties)


def frame(batch: Batch, victims: Victims, p: Profile, m: Members, rng: np.random.Generator) -> None:
    """Add the forged ties of victims to members of rings, of a sort each in turn."""
    ties = victims.ties
    victim = np.repeat(np.arange(len(ties)), ties)
    first = np.cumsum(ties) - ties
    ordinal = np.arange(len(victim)) - first[victim]
    leader = rng.choice(len(m.ring), size=len(ties))
    start = leader - m.place[leader]
    row = start[victim] + (m.place[leader][victim] + ordinal) % m.size[leader][victim]
    at = p.created[row] + 10 * MINUTE + exponential(HOUR, len(row), rng)
    sort = (victim + ordinal) % 4
    mail, call, refer, device = (np.flatnonzero(sort == index) for index in range(4))
    batch.add("user_added", p.org[row[mail]], at[mail], email=victims.email[victim[mail]])
    batch.add("verification_requested", p.org[row[call]], at[call], phone=victims.phone[victim[call]])
    batch.add(
        "referral_redeemed",
        p.org[row[refer]],
        at[refer],
        referral_code=victims.referral[victim[refer]],
        referrer_org_id=victims.org[victim[refer]],
        program_id=2,
    )
    batch.add(
        "session_started",
        p.org[row[device]],
        at[device],
        device_id=victims.device[victim[device]],
        ip=p.address[row[device], 0],
        user_agent=p.browser[row[device]],
        tls_fingerprint=p.browser_tls[row[device]],
        attested=0,
    )
