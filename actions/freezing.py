"""Freezing who a plan acts on, in one pass over the members and with flat memory."""

from __future__ import annotations

import hashlib
import heapq
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from actions import guardrails, ids
from actions.ledger import Reading, subjects
from actions.ledger.chain import canonical
from actions.ledger.subjects import Known
from actions.model import Kind, Member, PlanRequest, restrictions
from actions.population import Population
from actions.selection import described, entities, members
from actions.settings import ActionSettings

SHOWN = 20
WEAKEST = 10
REASONS = 100
TOP = 1 << 62
"""Draws are below it."""


@dataclass(frozen=True)
class Frozen:
    """One member, and whether it is spared."""

    member: Member
    known: Known | None
    spared: str | None
    draw: int

    @property
    def generation(self) -> int:
        """Of the organization, when it was frozen."""
        return 0 if self.known is None else self.known.generation

    @property
    def mask(self) -> int:
        """Restrictions in force, when it was frozen."""
        return 0 if self.known is None else self.known.mask


@dataclass(frozen=True)
class Shown:
    """A member as approvers see it."""

    org_id: str
    cluster_id: str | None
    member_risk: float
    evidence: tuple[str, ...]
    prior: tuple[str, ...]


@dataclass
class Tally:
    """What is known of all members together, filled while they pass by."""

    digest: Any = field(default_factory=hashlib.sha256)
    draws: array[int] = field(default_factory=lambda: array("Q"))
    spared: Counter[str] = field(default_factory=Counter)
    legitimate: float = 0.0
    cost: float = 0.0
    sample: list[tuple[int, Shown]] = field(default_factory=list)
    weakest: list[tuple[float, int, Shown]] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Members that are acted on."""
        return len(self.draws)

    def add(self, frozen: Frozen) -> None:
        """Count one member."""
        member = frozen.member
        if frozen.spared is not None:
            self._spare(frozen.spared)
            return
        self.digest.update(f"{member.org_id}\t{frozen.mask}\t{frozen.generation}\n".encode())
        self.draws.append(frozen.draw)
        self.legitimate += 1 - min(max(member.member_risk, 0.0), 100.0) / 100
        self.cost += member.cost
        shuffled = (
            frozen.draw * 0x9E3779B97F4A7C15
        ) % TOP  # not the order of the waves, which a sample would show
        keep = len(self.sample) < SHOWN or -shuffled > self.sample[0][0]
        weak = len(self.weakest) < WEAKEST or -member.member_risk > self.weakest[0][0]
        if not keep and not weak:
            return
        shown = Shown(
            member.org_id, member.cluster_id, member.member_risk, member.evidence, restrictions(frozen.mask)
        )
        if keep:
            _push(self.sample, (-shuffled, shown), SHOWN)
        if weak:
            _push(self.weakest, (-member.member_risk, frozen.draw, shown), WEAKEST)

    def _spare(self, reason: str) -> None:
        known = reason in self.spared or len(self.spared) < REASONS
        self.spared[reason if known else "other reasons"] += 1


def _push(heap: list[Any], entry: Any, size: int) -> None:
    """Keep the largest entries only."""
    if len(heap) < size:
        heapq.heappush(heap, entry)
    else:
        heapq.heappushpop(heap, entry)


@dataclass(frozen=True)
class Cuts:
    """Where the random order is cut: honeypots first, then holdouts, then the waves."""

    honeypots: int
    holdouts: int
    waves: tuple[int, ...]
    """How many members each wave holds."""
    bounds: tuple[int, ...]
    """Draws at which honeypots, holdouts and each wave end (exclusive)."""


def pass_by(
    reading: Reading, request: PlanRequest, population: Population, tally: Tally
) -> Iterator[list[Frozen]]:
    """Every member that the request means, in batches, counted in `tally` while they pass by."""
    draw = ids.draws(
        reading.secret, canonical([described(request.selector), request.action, population.run_id])
    )
    on_entities = request.action.kind is Kind.ENTITY
    batches = entities(request.selector) if on_entities else members(request.selector, population)
    for batch in batches:
        names = [member.org_id for member in batch]
        known = subjects.known(reading, request.entity_type, names, request.action)
        frozen = [
            Frozen(
                member,
                known.get(member.org_id),
                guardrails.spared(member, known.get(member.org_id), request),
                draw(member.org_id),
            )
            for member in batch
        ]
        for each in frozen:
            tally.add(each)
        yield frozen


def cut(draws: Sequence[int], settings: ActionSettings, *, controls: bool, waves: bool) -> Cuts:
    """Who waits and who is in which wave, from everybody's draw."""
    size = len(draws)
    rules = settings.controls
    honeypots = min(int(size * rules.honeypot_share), rules.honeypot_max) if controls else 0
    holdouts = int(size * rules.holdout_share) if controls else 0
    acted = size - honeypots - holdouts
    ends = (
        [-(-acted * round(share * 10_000) // 10_000) for share in settings.waves.shares] if waves else [acted]
    )
    ends[-1] = acted
    ordered = sorted(draws)
    offsets = [honeypots, honeypots + holdouts, *(honeypots + holdouts + end for end in ends)]
    bounds = tuple(ordered[offset] if offset < size else TOP for offset in offsets)
    sizes = tuple(end - start for start, end in zip([0, *ends[:-1]], ends, strict=True))
    return Cuts(honeypots, holdouts, sizes, bounds)
