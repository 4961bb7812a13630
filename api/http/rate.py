"""How often one principal, one address, and one guesser of tokens may ask."""

from __future__ import annotations

import time
from dataclasses import dataclass

from limits import RateLimitItem, RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from api.http.problems import Problem

MOST_WINDOWS = 20_000


@dataclass(frozen=True)
class Rates:
    """Requests. A dashboard of one principal makes some tens a second; a script that sweeps everything, hundreds."""

    principal_second: int = 500
    address_second: int = 1_000
    failures_minute: int = 30
    """Refused credentials of one address: a token has 256 bits, so this only keeps the logs short."""


class Windows(Storage):
    """Counts in memory, for one event loop. (The library's own starts a thread every ten milliseconds.)"""

    STORAGE_SCHEME = None

    def __init__(self) -> None:
        super().__init__()
        self._windows: dict[str, tuple[int, float]] = {}

    @property
    def base_exceptions(self) -> type[Exception]:
        """None are expected."""
        return MemoryError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count, in a window that begins with the first of its counts."""
        now = time.monotonic()
        count, ends = self._windows.get(key, (0, 0.0))
        if ends <= now:
            count, ends = 0, now + expiry
            self._make_room(now)
        self._windows[key] = (count + amount, ends)
        return count + amount

    def get(self, key: str) -> int:
        """The count of the window that is open."""
        count, ends = self._windows.get(key, (0, 0.0))
        return count if ends > time.monotonic() else 0

    def get_expiry(self, key: str) -> float:
        """When the window ends, as the wall clock will say."""
        _, ends = self._windows.get(key, (0, 0.0))
        return time.time() + max(0.0, ends - time.monotonic())

    def check(self) -> bool:
        """It is always there."""
        return True

    def reset(self) -> int:
        """Forget all counts."""
        count = len(self._windows)
        self._windows.clear()
        return count

    def clear(self, key: str) -> None:
        """Forget one count."""
        self._windows.pop(key, None)

    def _make_room(self, now: float) -> None:
        if len(self._windows) >= MOST_WINDOWS:
            self._windows = {key: one for key, one in self._windows.items() if one[1] > now}
        if len(self._windows) >= MOST_WINDOWS:
            self._windows.clear()


class Limiter:
    """Counts in this process."""

    def __init__(self, rates: Rates) -> None:
        self._counting = FixedWindowRateLimiter(Windows())
        self._principal = RateLimitItemPerSecond(rates.principal_second)
        self._address = RateLimitItemPerSecond(rates.address_second)
        self._failures = RateLimitItemPerMinute(rates.failures_minute)

    def address(self, address: str) -> None:
        """Count a request of an address. Raises Problem when it is one too many."""
        self._hit(self._address, "address", address)

    def principal(self, principal: str) -> None:
        """Count a request of a principal."""
        self._hit(self._principal, "principal", principal)

    def failure(self, address: str) -> None:
        """Count a refused credential. Good ones of the same address are still taken: others may sit behind it."""
        if not self._counting.hit(self._failures, "failures", address):
            raise _too_many(60)

    def _hit(self, item: RateLimitItem, what: str, who: str) -> None:
        if not self._counting.hit(item, what, who):
            raise _too_many(1)


def _too_many(seconds: int) -> Problem:
    return Problem(
        "too_many_requests",
        "too many requests in a short time",
        "Wait as long as Retry-After says, then go on more slowly.",
        headers={"Retry-After": str(seconds)},
    )
