"""The replay of a home: its facts handed over step by step, detection run at each, and the result judged."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from graph.errors import RingfenceError
from graph.home import Home
from sim.ground_truth import read_truth
from sim.replay import judge, prospect
from sim.replay.consumption import Facts, read_facts
from sim.replay.feed import LeaveOut, epoch
from sim.replay.history import Detect, History, Progress, watch
from sim.replay.past_bans import read_bans
from sim.replay.prospect import ProspectReport
from sim.replay.report import ReplayReport
from sim.replay.steps import EVERY, MOST, Steps, choose, even

SCRATCH = ".replay-"
STALE_S = 86_400


@dataclass(frozen=True)
class Plan:
    """How to replay: `every` µs inside attack windows, at most `most` steps, over a stretch or everything.

    `delays` say how long after a step organizations are stopped; `min_risk` lets everybody at that risk count as
    actionable, in place of admission.
    """

    every: int = EVERY
    most: int = MOST
    start: datetime | None = None
    until: datetime | None = None
    delays: Mapping[str, int] = field(default_factory=lambda: dict(judge.DELAYS))
    min_risk: float | None = None

    def steps(self, facts: Facts) -> Steps:
        """The steps for these facts. Raises RingfenceError for a stretch in which nothing is."""
        start = facts.first - 1 if self.start is None else epoch(self.start)
        end = facts.last if self.until is None else min(epoch(self.until), facts.last)
        if start >= end:
            raise RingfenceError(
                "there are no events in the time that is replayed",
                "Choose another --from and --until.",
                exit_code=3,
            )
        if self.start is None and self.until is None:
            return choose(facts.signed_up, start, end, every=self.every, most=self.most)
        return even(start, end, every=self.every, most=self.most)


def replay_truth(home: Home, truth: Path, detect: Detect, plan: Plan, progress: Progress) -> ReplayReport:
    """Replay a home of which the truth is known (see `sim.ground_truth.read_truth`)."""
    answers = read_truth(truth)
    facts = read_facts(home, progress)
    history = _history(home, detect, plan, facts, None, progress)
    who, warnings = judge.known(answers, history.org_ids)
    return judge.judge(history, who, facts.usage(history.keys), plan.delays, warnings)


def replay_bans(home: Home, bans: Path, detect: Detect, plan: Plan, progress: Progress) -> ProspectReport:
    """Replay any home beside a list of past bans (see `sim.replay.past_bans.read_bans`)."""
    listed = read_bans(bans)
    facts = read_facts(home, progress)
    hidden = prospect.withheld(home, listed)
    history = _history(home, detect, plan, facts, hidden, progress)
    return prospect.compare(history, listed, facts.usage(history.keys), plan.delays)


def _history(
    home: Home, detect: Detect, plan: Plan, facts: Facts, hidden: LeaveOut | None, progress: Progress
) -> History:
    steps = plan.steps(facts)
    with scratch_folder(home) as scratch:
        return watch(
            [home], scratch, steps, detect, leave_out=hidden, min_risk=plan.min_risk, progress=progress
        )


@contextmanager
def scratch_folder(home: Home) -> Iterator[Path]:
    """A folder beside the home's facts, so that files of them can be linked; those of killed replays are removed."""
    for left in home.path.glob(f"{SCRATCH}*"):
        if time.time() - left.stat().st_mtime > STALE_S:
            shutil.rmtree(left, ignore_errors=True)
    try:
        folder = tempfile.TemporaryDirectory(prefix=SCRATCH, dir=home.path)
    except OSError as error:
        raise RingfenceError(
            f"cannot write to {home.path}: {error.strerror or error}", "Free some space or correct that."
        ) from error
    with folder as name:
        yield Path(name)
