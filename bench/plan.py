"""How large everything is: as the issue asks, or small enough to see in seconds that it works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Plan:
    """Sizes in organizations (events are about twenty times as many), seeds, and how often to repeat.

    `cases` are generated requests, and `minutes` is how long they may take.
    """

    quick: bool = False
    large: int = 1_000_000
    middle: int = 100_000
    text_rows: int = 2_000_000
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    other_seeds: tuple[int, ...] = (1, 2)
    repeats: int = 3
    kill_organizations: int = 20_000
    kills: int = 40
    cases: int = 100_000
    minutes: float = 600
    say: Callable[[str], None] = field(default=print, compare=False)


def quick() -> Plan:
    """Everything at a size at which the figures mean nothing and a fault still shows."""
    return Plan(
        quick=True,
        large=2_000,
        middle=1_000,
        text_rows=10_000,
        seeds=(1,),
        other_seeds=(1,),
        repeats=1,
        kill_organizations=300,
        kills=2,
    )
