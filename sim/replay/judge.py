"""A replay against the truth: what was prevented, beside what could have been, and who was hit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from graph.errors import RingfenceError
from sim import metrics
from sim.baselines import positions
from sim.ground_truth import GroundTruth
from sim.metrics import LEGITIMATE, Flags, Floats, Integers
from sim.replay import enforcement
from sim.replay.enforcement import NEVER, Usage
from sim.replay.history import History
from sim.replay.report import Containment, Enforced, ReplayReport, cover, curve, state_rows
from sim.replay.steps import Steps

DELAYS: Mapping[str, int] = {"automatic": 60_000_000, "a person": 3 * 3_600_000_000}
"""How long after a step an organization is stopped, in µs."""


@dataclass(frozen=True)
class Known:
    """Who is who among the organizations of a replay, in its order."""

    rings: Integers
    kinds: Sequence[str]
    framed: Flags

    @property
    def abusive(self) -> Flags:
        """Does the organization belong to a ring?"""
        return np.asarray(self.rings != LEGITIMATE)


def known(truth: GroundTruth, org_ids: list[str]) -> tuple[Known, tuple[str, ...]]:
    """The truth in the order of a replay's organizations, and what to say of those it does not name."""
    places = positions(truth.org_ids, pa.array(org_ids, pa.string()))
    if not (places >= 0).any():
        raise RingfenceError(
            "the truth names no organization of this home",
            "Give the truth.parquet that was written beside the events of this home.",
        )
    strangers = int((places < 0).sum())
    warnings = (
        (f"{strangers:,} organizations are not in the truth: counted as legitimate",) if strangers else ()
    )
    rings = np.where(places >= 0, truth.rings[places], LEGITIMATE)
    kinds = np.where(places >= 0, truth.kinds[places], "not in the truth").tolist()
    return Known(rings, kinds, truth.framed[places] & (places >= 0)), warnings


def judge(
    history: History,
    who: Known,
    usage: Usage,
    delays: Mapping[str, int] = DELAYS,
    warnings: tuple[str, ...] = (),
) -> ReplayReport:
    """All figures of a replay; the chart is that of the first delay. `usage` may reach beyond the time replayed."""
    steps = history.steps
    usage = usage.within(steps.start, steps.end)
    abusive = usage.of(who.abusive)
    at_sign_up = int(abusive.cost[enforcement.stopped(abusive, history.signed_up)].sum())
    found = tuple(_enforced(name, delay, history, who, usage) for name, delay in delays.items())
    first = next(iter(delays.values()))
    stops = enforcement.after(history.decided_at, first)
    best = enforcement.perfect(history.signed_up, who.rings, steps.at, first)
    return ReplayReport(
        covered=cover(steps, history),
        organizations=len(history.org_ids),
        abusive=int(who.abusive.sum()),
        total=abusive.total / 1e6,
        oracle=at_sign_up / 1e6,
        enforced=found,
        curve=curve(abusive, steps, stops, best),
        states=state_rows(history),
        warnings=warnings,
    )


def _enforced(name: str, delay: int, history: History, who: Known, usage: Usage) -> Enforced:
    stops = enforcement.after(history.decided_at, delay)
    best = enforcement.perfect(history.signed_up, who.rings, history.steps.at, delay)
    abusive, legitimate = usage.of(who.abusive), usage.of(~who.abusive)
    gone, could = enforcement.stopped(abusive, stops), enforcement.stopped(abusive, best)
    hit = stops != NEVER
    kinds = np.array(who.kinds)
    return Enforced(
        name=name,
        delay_s=delay / 1e6,
        stopped=int(hit.sum()),
        prevented=int(abusive.cost[gone].sum()) / 1e6,
        within_ceiling=int(abusive.cost[gone & could].sum()) / 1e6,
        ceiling=int(abusive.cost[could].sum()) / 1e6,
        containment=containment_of(history.signed_up, who.rings, stops, history.steps),
        perfect_containment=containment_of(history.signed_up, who.rings, best, history.steps),
        precision=metrics.clopper_pearson(int((hit & who.abusive).sum()), int(hit.sum())),
        legitimate=_share(hit, ~who.abusive),
        bystanders={
            kind: _share(hit, ~who.abusive & (kinds == kind))
            for kind in sorted({str(one) for one in kinds[~who.abusive].tolist()})
        },
        framed=_share(hit, who.framed),
        legitimate_lost=int(legitimate.cost[enforcement.stopped(legitimate, stops)].sum()) / 1e6,
        missed=_missed(history, abusive, could & ~gone),
    )


def _missed(history: History, abusive: Usage, events: Flags) -> dict[str, float]:
    """Consumption of some events in USD by why their organizations were last not actionable, the most first."""
    costs = (
        np.bincount(abusive.org[events], weights=abusive.cost[events], minlength=len(history.org_ids)) / 1e6
    )
    sums: dict[str, float] = {}
    for place in np.flatnonzero(costs).tolist():
        reason = history.held.get(history.org_ids[place], "in no cluster")
        sums[reason] = sums.get(reason, 0.0) + float(costs[place])
    return dict(sorted(sums.items(), key=lambda item: -item[1]))


def containment_of(signed_up: Integers, rings: Integers, stops: Integers, steps: Steps) -> Containment:
    """How soon rings of eight or more were contained, over those that became known in the time replayed."""
    found = enforcement.containment(signed_up, rings, stops, steps.start, steps.end)
    seconds: Floats = np.array(list(found.values()), dtype=float)
    return Containment(
        len(seconds),
        int(np.isfinite(seconds).sum()),
        enforcement.quantile(seconds, 0.5),
        enforcement.quantile(seconds, 0.9),
    )


def _share(hit: Flags, among: Flags) -> metrics.Share:
    return metrics.clopper_pearson(int((hit & among).sum()), int(among.sum()))
