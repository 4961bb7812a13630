"""Detection against operators who answer: the simulator is stepped, and every stop changes what comes after.

The same world is played three times: with nobody stopped, with detection, and with a perfect detector at the same steps
and delay. What is prevented is the difference to the first, so that what an operator's newcomers consume counts
against whoever called them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from graph.home import Home
from ingest.job import ingest
from ingest.settings import IngestSettings
from sim import metrics
from sim.adversary.operator import Operators
from sim.adversary.stage import Cast, Stage, read_cast
from sim.baselines import positions
from sim.campaigns import Campaign, simulate
from sim.ground_truth import GroundTruth, read_truth
from sim.metrics import Flags, Integers
from sim.replay import enforcement
from sim.replay.consumption import Facts, read_facts
from sim.replay.enforcement import NEVER, RING_SIZE, Usage
from sim.replay.feed import Feed, moment
from sim.replay.history import Decision, Detect, History, Progress, Watch
from sim.replay.judge import containment_of
from sim.replay.report import Containment, Curve, Enforced, ReplayReport, cover, curve_of, state_rows
from sim.replay.steps import Steps, choose

RESERVE = 1_000_003
"""Added to the seed for the second world, of which newcomers come."""
RESERVE_SIZE, RESERVE_SHARE = 3, 0.9
SMALLEST_RESERVE = 200
ENOUGH, MANY = IngestSettings(workers=0), 300_000
"""Processes of their own pay from so many events on."""


@dataclass(frozen=True)
class Match:
    """One play: what was consumed in the end, who was stopped when, and what the operators did."""

    stage: Stage
    stops: dict[str, int]
    answers: int
    replacements: int

    @property
    def usage(self) -> Usage:
        """Consumption of rings as it happened."""
        return self.stage.usage()


@dataclass(frozen=True)
class Setting:
    """A world made to be stepped: a home with the honest, the cast of rings and of the reserve, and the truth."""

    honest: Home
    facts: Facts
    cast: Cast
    reserve: Cast
    truth: GroundTruth
    seed: int
    steps: Steps

    def stage(self) -> Stage:
        """The rings as they would go on if nobody stopped them."""
        stage = Stage()
        cast = self.cast
        stage.join(list(cast.org_ids), cast.rings.copy(), cast.events, cast.org.copy(), cast.at.copy())
        return stage

    def operators(self, stage: Stage) -> Operators:
        """Their operators; every play begins with the same luck."""
        return Operators(stage, self.reserve, self.steps.end, np.random.default_rng([self.seed, RESERVE]))


def prepare(
    campaign: Campaign, folder: Path, pepper: bytes, every: int, most: int, progress: Progress
) -> Setting:
    """Simulate both worlds and ingest the honest part of the first."""
    simulate(campaign, folder / "world", progress)
    spare = Campaign(
        organizations=max(SMALLEST_RESERVE, RESERVE_SIZE * campaign.abusive),
        seed=campaign.seed + RESERVE,
        difficulty=campaign.difficulty,
        abusive_share=RESERVE_SHARE,
        days=campaign.window_days,
        start=campaign.first_moment,
    )
    simulate(spare, folder / "reserve", progress)
    cast, reserve = read_cast(folder / "world"), read_cast(folder / "reserve")
    truth = read_truth(folder / "world" / "truth.parquet")
    everybody = pq.read_table(folder / "world" / "events.parquet")
    honest = everybody.filter(pa.array(positions(cast.org_ids, everybody.column("org_id")) < 0))
    pq.write_table(honest, folder / "honest.parquet")
    home = Home(folder / "honest")
    settings = ENOUGH if honest.num_rows < MANY else IngestSettings()
    ingest(
        home.ensure(), [str(folder / "honest.parquet")], settings=settings, pepper=pepper, progress=progress
    )
    facts = read_facts(home, progress)
    stage = Stage()
    stage.join(list(cast.org_ids), cast.rings, cast.events, cast.org, cast.at)
    signed_up = np.sort(np.concatenate([facts.signed_up, stage.signed_up]))
    start, end = min(facts.first, int(cast.at.min())) - 1, max(facts.last, int(cast.at.max()))
    steps = choose(signed_up[signed_up != NEVER], start, end, every=every, most=most)
    return Setting(home, facts, cast, reserve, truth, campaign.seed, steps)


def play(setting: Setting, decide: Callable[[Stage, int], Integers], delay: int) -> Match:
    """Step through the world: at every step `decide` names organizations of the stage, which are stopped later."""
    stage = setting.stage()
    operators = setting.operators(stage)
    stops: dict[str, int] = {}
    for at in setting.steps.at.tolist():
        orgs = decide(stage, at)
        orgs = np.array([one for one in orgs.tolist() if stage.org_ids[one] not in stops], dtype=np.int64)
        stops |= {stage.org_ids[one]: at + delay for one in orgs.tolist()}
        if len(orgs):
            operators.stop(orgs, at + delay)
    return Match(stage, stops, sum(operators.answers.values()), operators.replacements)


def knows_everything(stage: Stage, at: int) -> Integers:
    """A perfect detector: every organization of a ring of which eight have signed up."""
    signed_up = stage.signed_up
    here = signed_up <= at
    names, counts = np.unique(stage.rings[here], return_counts=True)
    return np.flatnonzero(here & np.isin(stage.rings, names[counts >= RING_SIZE]))


class Detecting:
    """Detection as what decides: the facts of the honest and of the stage are handed over as they happen."""

    def __init__(
        self,
        setting: Setting,
        folder: Path,
        pepper: bytes,
        detect: Detect,
        min_risk: float | None,
        progress: Progress,
    ) -> None:
        self._setting, self._folder, self._pepper, self._progress = setting, folder, pepper, progress
        self._rings = Home(folder / "rings")
        target = Home(folder / "scratch")
        self._feed = Feed([setting.honest, self._rings.ensure()], target)
        self._watch = Watch(target, detect, min_risk)
        self._until = setting.steps.start
        self._done = 0

    def __call__(self, stage: Stage, at: int) -> Integers:
        """Look at a step; whoever of the rings is newly actionable."""
        self._progress("replaying", self._done, len(self._setting.steps.at))
        self._done += 1
        news = stage.between(self._until, at)
        self._until = at
        if news.num_rows:
            path = self._folder / "news.parquet"
            pq.write_table(news, path)
            ingest(self._rings, [str(path)], settings=ENOUGH, pepper=self._pepper, arrived_at=moment(at))
        found = self._watch.look(at, self._feed.advance(at))
        places = positions(stage.org_ids, pa.array([one.org_id for one in found], pa.string()))
        return places[places >= 0]

    def history(self) -> History:
        """Everything that was seen."""
        return self._watch.history(self._setting.steps)


def contest(
    campaign: Campaign,
    folder: Path,
    pepper: bytes,
    detect: Detect,
    *,
    every: int,
    most: int,
    delay: int,
    min_risk: float | None = None,
    progress: Progress,
) -> ReplayReport:
    """Play a world against detection and judge it. `folder` is left full; its owner removes it."""
    setting = prepare(campaign, folder, pepper, every, most, progress)
    detecting = Detecting(setting, folder, pepper, detect, min_risk, progress)
    real = play(setting, detecting, delay)
    perfect = play(setting, knows_everything, delay)
    free = setting.stage().usage()
    return _report(setting, detecting.history(), real, perfect, free, delay)


def _report(
    setting: Setting, history: History, real: Match, perfect: Match, free: Usage, delay: int
) -> ReplayReport:
    steps = setting.steps
    free, ours, best = (one.within(steps.start, steps.end) for one in (free, real.usage, perfect.usage))
    signed_up = setting.stage().signed_up
    enforced = _enforced(setting, history, real, perfect, (free.total, ours.total, best.total), delay)
    warnings = (
        f"operators answered {real.answers:,} times with {real.replacements:,} new organizations"
        f" ({perfect.answers:,} and {perfect.replacements:,} against a perfect detector)",
    )
    return ReplayReport(
        covered=cover(steps, history),
        organizations=len(setting.truth) + real.replacements,
        abusive=len(real.stage.org_ids),
        total=free.total / 1e6,
        oracle=int(free.cost[free.at >= signed_up[free.org]].sum()) / 1e6,
        enforced=(enforced,),
        curve=_curve(steps, free, ours, best),
        states=state_rows(history),
        warnings=warnings,
    )


def _curve(steps: Steps, free: Usage, ours: Usage, best: Usage) -> Curve:
    """Unhindered consumption, and by how much that of each play stays below it, bin by bin."""
    first = curve_of(steps, free.at, free.cost)
    others = [np.array(curve_of(steps, one.at, one.cost).total) for one in (ours, best)]
    less = [tuple(np.maximum(np.array(first.total) - one, 0.0).tolist()) for one in others]
    return Curve(first.start, first.width, first.total, less[0], less[1])


def _enforced(
    setting: Setting,
    history: History,
    real: Match,
    perfect: Match,
    totals: tuple[int, int, int],
    delay: int,
) -> Enforced:
    free, ours, best = totals
    honest = setting.facts.usage(history.keys).within(setting.steps.start, setting.steps.end)
    lost = enforcement.after(history.decided_at, delay)
    stopped = list(history.decisions.values())
    hit = _hit(setting.truth, stopped)
    legitimate = ~setting.truth.abusive
    wrong = sum(one.org_id not in real.stops for one in stopped)
    prevented, ceiling = (free - ours) / 1e6, (free - best) / 1e6
    return Enforced(
        name="against operators who answer",
        delay_s=delay / 1e6,
        stopped=len(stopped),
        prevented=prevented,
        within_ceiling=max(0.0, min(prevented, ceiling)),
        ceiling=ceiling,
        containment=_containment(setting.steps, real),
        perfect_containment=_containment(setting.steps, perfect),
        precision=metrics.clopper_pearson(len(stopped) - wrong, len(stopped)),
        legitimate=_share(hit, legitimate),
        bystanders={
            kind: _share(hit, legitimate & (setting.truth.kinds == kind))
            for kind in np.unique(setting.truth.kinds[legitimate]).tolist()
        },
        framed=_share(hit, setting.truth.framed),
        legitimate_lost=int(honest.cost[enforcement.stopped(honest, lost)].sum()) / 1e6,
    )


def _containment(steps: Steps, match: Match) -> Containment:
    stops = np.array([match.stops.get(one, NEVER) for one in match.stage.org_ids], dtype=np.int64)
    return containment_of(match.stage.signed_up, match.stage.rings, stops, steps)


def _hit(truth: GroundTruth, decisions: list[Decision]) -> Flags:
    places = positions(truth.org_ids, pa.array([one.org_id for one in decisions], pa.string()))
    hit = np.zeros(len(truth), dtype=np.bool_)
    hit[places[places >= 0]] = True
    return hit


def _share(hit: Flags, among: Flags) -> metrics.Share:
    return metrics.clopper_pearson(int((hit & among).sum()), int(among.sum()))
