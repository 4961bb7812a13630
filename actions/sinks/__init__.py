"""Where effects go. A sink is one file here and one line in the shared contract test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from actions.model import Effect

Promise = Literal["generations", "at_least_once"]
Outcome = Literal["applied", "waiting", "retry", "failed", "unknown"]


@dataclass(frozen=True)
class Receipt:
    """What became of one effect at a sink.

    `applied`: it holds, or a newer generation does; `waiting`: accepted, an acknowledgement will come; `retry`: not
    now, try again after `retry_after` seconds (None: as the sink's schedule says); `failed`: never; `unknown`: it may
    have happened.
    """

    effect_id: str
    outcome: Outcome
    error: str = ""
    retry_after: float | None = None


class Sink(Protocol):
    """A destination of effects. It owns its timeouts; its failures hold up no other sink."""

    @property
    def name(self) -> str:
        """What plans call it."""

    @property
    def promise(self) -> Promise:
        """`generations`: it applies only a generation above the last that it saw, so sending twice is harmless."""

    @property
    def retries(self) -> Sequence[float]:
        """Seconds to wait before each further attempt; when they are used up, the delivery has failed."""

    @property
    def batch(self) -> int:
        """How many effects it takes at once."""

    def deliver(self, effects: Sequence[Effect]) -> Sequence[Receipt]:
        """Bring effects about, and say of each what became of it. May raise: then of all of them nothing is known."""
