"""The members of some rings with their profiles: what tactics and behaviour work on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.habits import Habit
from sim.mix import Int64
from sim.profile import Profile
from sim.rings import Difficulty, Members
from sim.world import DAY, Bools, Floats, World


@dataclass(frozen=True)
class Operation:
    """Members of a chunk of rings with their profiles, and what is needed to alter them."""

    p: Profile
    m: Members
    world: World
    difficulty: Difficulty
    rng: np.random.Generator

    @property
    def imitates(self) -> bool:
        """Do members live as the public does, or as machines?"""
        return self.difficulty in {"mimic", "serial"}

    def by_daylight(self) -> None:
        """Move sign-ups within their day to hours at which people of the member's country are awake.

        Profiles are put in order again, since members of a ring are kept by time.
        """
        day = (self.m.created - self.world.start) // DAY
        created = self.world.clock(day, self.p.country, self.rng)
        order = np.lexsort((created, self.m.ring))
        for values in vars(self.p).values():
            values[:] = values[order]
        self.p.created[:] = created[order]

    def leveled(self, by_level: tuple[float, float, float]) -> Floats:
        """Return, member by member, the value for the member's level of care."""
        values: Floats = np.array(by_level, dtype=float)[self.m.level]
        return values

    def chance(self, by_level: tuple[float, float, float]) -> Bools:
        """Return a random mask of the given shares by level."""
        return self.rng.random(len(self.m.ring)) < self.leveled(by_level)

    def careless(self, habit: Habit) -> Bools:
        """Return which members share: by level, and the more the larger the ring, for industry automates."""
        share = self.leveled(habit.share)
        industry = np.clip(np.log10(self.m.size / 40), 0, 1)
        return self.rng.random(len(share)) < np.where(share > 0, share + (1 - share) * 0.6 * industry, 0)

    def pooled(self, habit: Habit) -> Int64:
        """Assign each member a value of its ring's pool; return dense numbers of values through the chunk.

        Neighbours in time mostly have neighbouring values, and larger rings, which are industry, have more members to
        a value, so that pools overlap and a ring holds together.
        """
        scale = np.sqrt(np.clip(self.m.size / 40, 1, 4))
        per_value = np.minimum(self.leveled(habit.members) * scale, self.m.size)
        pool = np.ceil(self.m.size / per_value)
        jitter = (self.rng.random(len(pool)) - 0.5) * (1 + habit.mixing * pool)
        pick = np.clip(np.floor(self.m.place / per_value + jitter), 0, pool - 1).astype(np.int64)
        wide = self.m.ring * (int(pool.max()) + 1) + pick
        numbers: Int64 = np.unique(wide, return_inverse=True)[1].astype(np.int64)
        return numbers

    def per_ring(self, values: Int64) -> Int64:
        """Spread one value for each ring over its members."""
        return values[self.m.ring]

    @property
    def rings(self) -> int:
        """How many rings there are."""
        return int(self.m.ring[-1]) + 1
