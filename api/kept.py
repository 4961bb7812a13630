"""Answers that are kept because they cost more to make than to remember, up to a number of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

ROOM = 96 << 20
SMALL = 16 << 10
"""What an answer is taken to weigh where nobody says."""

T = TypeVar("T")


class Kept:
    """A cache for many threads: what was not asked for the longest goes first. Two may make the same answer at once."""

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._weight = 0
        self._found: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], T], weigh: Callable[[T], int] | None = None) -> T:
        """The answer under a key, made now unless it is kept. One that fails is not kept."""
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                known: T = self._found[key][0]
                return known
        made = make()
        self._keep(key, made, SMALL if weigh is None else weigh(made))
        return made

    def _keep(self, key: Hashable, made: object, weight: int) -> None:
        if weight > self._room:
            return
        with self._lock:
            _, before = self._found.pop(key, (None, 0))
            self._found[key] = (made, weight)
            self._weight += weight - before
            while self._weight > self._room:
                _, (_, freed) = self._found.popitem(last=False)
                self._weight -= freed
