"""What everybody in a simulated world shares: its clock and rhythm, networks, rented numbers, cards and clients."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from sim.identifiers import Identifiers
from sim.mix import Int64
from sim.vocabulary import COUNTRIES, FIRST_CLIENT, FIRST_LIBRARY, USER_AGENTS

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

_HOURS: Final = np.array(
    [2, 1, 1, 1, 1, 2, 3, 5, 8, 11, 12, 11, 9, 10, 12, 12, 11, 10, 8, 7, 8, 8, 6, 4], dtype=float
)
_WEEK: Final = (1.0, 1.05, 1.05, 1.0, 0.9, 0.45, 0.45)
_LAUNCH: Final = 10.0
_RARE_TLS: Final = 4096
_OFFSETS: Final = np.array([country.utc_offset for country in COUNTRIES], dtype=np.int64)
_COUNTRY_SHARES: Final = [country.weight for country in COUNTRIES]
_BINS: Final = 400


class World:
    """Constants of one simulation. Two worlds of equal arguments are equal, and draw the same numbers."""

    def __init__(
        self,
        organizations: int,
        abusive: int,
        seed: int,
        start: int,
        days: int,
        launch_day: int | None = None,
    ) -> None:
        """Lay out the shared places for a number of organizations in a window of days from `start` (µs)."""
        self.seed = seed
        self.start = start
        self.days = days
        self.end = start + days * DAY
        self.identifiers = Identifiers(seed)
        rng = self.rng("world", 0)
        make = self.identifiers
        self.vpn = make.addresses("datacenter", 12 + organizations // 10_000, rng)
        self.relays = make.addresses("mobile", 8 + organizations // 10_000, rng)
        self.proxies = make.addresses("residential", 50 + 2 * abusive, rng)
        rented = 4 + abusive // 1000
        self.rented_phones = make.phones(self.countries(rented, rng))
        self.bins = rng.choice(np.arange(400_000, 560_000), size=_BINS, replace=False).astype(np.int64)
        self.prepaid_bins = self.bins[-24:]
        self.day_weights = self._launches(rng, launch_day)
        self._browser_shares = _zipf(FIRST_CLIENT, rng)
        self._client_shares = _zipf(FIRST_LIBRARY - FIRST_CLIENT, rng)
        self._library_shares = _zipf(len(USER_AGENTS) - FIRST_LIBRARY, rng)

    def rng(self, stream: str, index: int) -> np.random.Generator:
        """Return the random numbers of a named stream's chunk, independent of all others."""
        return np.random.Generator(np.random.PCG64([self.seed, index, *stream.encode()]))

    def _launches(self, rng: np.random.Generator, launch_day: int | None) -> Floats:
        """Sign-ups by day: fewer at weekends, and three times as many on launch days (and twice, the day after).

        On `launch_day` the whole public comes: ten times as many as on an average day.
        """
        first = self.start // DAY
        # 1 January 1970 was a Thursday.
        weights = np.array([_WEEK[(first + day + 3) % 7] for day in range(self.days)])
        for day in rng.choice(self.days, size=max(1, self.days // 15), replace=False):
            weights[day] *= 3
            weights[min(day + 1, self.days - 1)] *= 2
        if launch_day is not None:
            weights[launch_day] = _LAUNCH * np.delete(weights, launch_day).mean()
        shares: Floats = weights / weights.sum()
        return shares

    def countries(self, count: int, rng: np.random.Generator) -> Int64:
        """Return countries by their share of sign-ups."""
        return rng.choice(len(COUNTRIES), size=count, p=_COUNTRY_SHARES).astype(np.int64)

    def days_drawn(self, count: int, rng: np.random.Generator) -> Int64:
        """Return sign-up days by the public's rhythm, counted from the start of the window."""
        return rng.choice(self.days, size=count, p=self.day_weights).astype(np.int64)

    def clock(self, day: Int64, country: Int64, rng: np.random.Generator) -> Int64:
        """Return moments (µs) on the given days at hours when people of a country are awake."""
        local = np.searchsorted(np.cumsum(_HOURS) / _HOURS.sum(), rng.random(len(day)), side="right")
        hour = (local - _OFFSETS[country]) % 24
        return self.start + day * DAY + hour * HOUR + rng.integers(0, HOUR, size=len(day))

    def bins_drawn(self, count: int, rng: np.random.Generator) -> Int64:
        """Return card BINs, a few issuers having most of the cards."""
        return self.bins[np.minimum((_BINS * rng.random(count) ** 2.5).astype(np.int64), _BINS - 1)]

    def browsers(self, count: int, rng: np.random.Generator) -> Int64:
        """Return user agents of browsers."""
        return rng.choice(FIRST_CLIENT, size=count, p=self._browser_shares).astype(np.int64)

    def clients(self, count: int, rng: np.random.Generator) -> Int64:
        """Return user agents of the platform's own client."""
        shares = self._client_shares
        return FIRST_CLIENT + rng.choice(len(shares), size=count, p=shares).astype(np.int64)

    def libraries(self, count: int, rng: np.random.Generator) -> Int64:
        """Return user agents of programming libraries."""
        shares = self._library_shares
        return FIRST_LIBRARY + rng.choice(len(shares), size=count, p=shares).astype(np.int64)

    def tls(self, agents: Int64, rng: np.random.Generator) -> Int64:
        """Return TLS fingerprints: four builds of each agent's stack, and now and then a rare one."""
        build = np.minimum(rng.geometric(0.6, size=len(agents)) - 1, 3)
        rare = len(USER_AGENTS) * 4 + rng.integers(0, _RARE_TLS, size=len(agents))
        return np.where(rng.random(len(agents)) < 0.02, rare, agents * 4 + build)


def _zipf(count: int, rng: np.random.Generator) -> Floats:
    shares = 1 / np.arange(1, count + 1)
    return rng.permutation(shares / shares.sum())


def exponential(mean: float | Floats | Int64, count: int, rng: np.random.Generator) -> Int64:
    """Return whole microseconds, exponentially distributed about a mean."""
    return (rng.exponential(1.0, size=count) * mean).astype(np.int64)
