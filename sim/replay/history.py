"""Runs detection at every step of a replay and keeps who was actionable, when, and why."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detection.runs import RunFiles, Runs
from graph.errors import RingfenceError
from graph.home import Home
from sim.baselines import positions
from sim.metrics import Integers
from sim.replay.enforcement import NEVER
from sim.replay.feed import Feed, LeaveOut, micros, moment
from sim.replay.steps import Steps
from sim.report import NOT_ADMITTED

Progress = Callable[[str, int, int | None], None]
Detect = Callable[[Home, datetime], RunFiles]
"""Runs detection over a home's facts, unpublished."""
MEMBER_COLUMNS = [
    *("org_id", "cluster_id", "cluster_risk", "member_risk"),
    *("actionable", "spared_reason", "top_evidence"),
]
KEPT_RUNS = 2


@dataclass(frozen=True)
class Decision:
    """An organization became actionable: at which step (µs), in which cluster, at what risk, and why."""

    org_id: str
    at: int
    cluster_id: str
    size: int
    member_risk: float
    evidence: str


@dataclass(frozen=True)
class State:
    """What one step said: how many clusters and members there were, how many actionable, and how many newly."""

    at: int
    events: int
    clusters: int
    members: int
    actionable: int
    new: int


@dataclass(frozen=True)
class History:
    """All steps of a replay. `org_ids`, `keys` and `signed_up` name every organization known at its end."""

    steps: Steps
    states: tuple[State, ...]
    decisions: dict[str, Decision]
    org_ids: list[str]
    keys: pa.Array
    signed_up: Integers
    held: dict[str, str]
    """Why each organization was last not actionable, before it was or until the end; in no cluster: not here."""

    @property
    def decided_at(self) -> Integers:
        """For every organization, the step at which it first was actionable; `NEVER` if it never was."""
        at = np.full(len(self.org_ids), NEVER, dtype=np.int64)
        names = list(self.decisions)
        places = positions(self.org_ids, pa.array(names, pa.string()))
        at[places] = [self.decisions[name].at for name in names]
        return at


class Watch:
    """Detection, step after step, in a scratch home."""

    def __init__(self, home: Home, detect: Detect, min_risk: float | None = None) -> None:
        """`min_risk` lets everybody at that risk count as actionable, whatever admission says."""
        self._home, self._detect, self._min_risk = home, detect, min_risk
        self._decisions: dict[str, Decision] = {}
        self._states: list[State] = []
        self._held: dict[str, str] = {}
        self._last: RunFiles | None = None
        self._events = 0

    def look(self, at: int, arrived: int) -> list[Decision]:
        """Run as of a moment, with so many new events; returns who is newly actionable."""
        self._events += arrived
        if not self._events:
            return []
        if arrived or self._last is None:
            self._last = self._detect(self._home, moment(at))
            self._forget()
            members = self._last.table("members", MEMBER_COLUMNS)
            new = self._decide(members, at)
            count = len(pc.unique(members.column("cluster_id")))
            chosen = int(pc.sum(self._chosen(members)).as_py() or 0)
            self._states.append(State(at, self._events, count, members.num_rows, chosen, len(new)))
            return new
        before = self._states[-1]
        self._states.append(State(at, self._events, before.clusters, before.members, before.actionable, 0))
        return []

    def history(self, steps: Steps) -> History:
        """Everything that was seen. Raises RingfenceError when there was nothing at all."""
        if self._last is None:
            raise RingfenceError(
                "there are no events in the time that is replayed",
                "Choose another --from and --until.",
                exit_code=3,
            )
        columns = ["org_id", "organization", "created_at", "first_at"]
        organizations = self._last.table("organizations", columns)
        first = pc.coalesce(organizations.column("created_at"), organizations.column("first_at"))
        return History(
            steps,
            tuple(self._states),
            self._decisions,
            organizations.column("org_id").cast(pa.string()).to_pylist(),
            organizations.column("organization").combine_chunks(),
            micros(pa.table({"at": first}), "at"),
            self._held,
        )

    def _chosen(self, members: pa.Table) -> pa.ChunkedArray:
        if self._min_risk is not None:
            return pc.greater_equal(members.column("member_risk"), self._min_risk)
        return members.column("actionable")

    def _decide(self, members: pa.Table, at: int) -> list[Decision]:
        if self._min_risk is None:
            reasons = pc.unique(members.column("spared_reason").cast(pa.string())).to_pylist()
            if reasons == [NOT_ADMITTED]:
                raise RingfenceError(
                    "these runs do not evaluate admission, so nobody would be stopped",
                    "Name a risk from which on organizations count as stopped: --min-risk 90.",
                )
        sizes = {
            one["values"]: one["counts"] for one in pc.value_counts(members.column("cluster_id")).to_pylist()
        }
        known = pa.array(list(self._decisions), pa.string())
        chosen = members.filter(self._chosen(members))
        new = chosen.filter(pc.invert(pc.is_in(chosen.column("org_id").cast(pa.string()), value_set=known)))
        found = [_decision(row, at, sizes) for row in new.to_pylist()]
        self._decisions |= {one.org_id: one for one in found}
        spared = members.select(["org_id", "spared_reason"]).filter(pc.invert(self._chosen(members)))
        for org, reason in zip(
            *(spared.column(name).to_pylist() for name in spared.column_names), strict=True
        ):
            if org not in self._decisions:
                self._held[str(org)] = str(reason or "risk")
        return found

    def _forget(self) -> None:
        """Remove runs that nothing will ask for again: a replay makes a hundred."""
        runs = Runs(self._home)
        current = runs.current()
        for old in runs.list()[:-KEPT_RUNS]:
            if old.run_id != current:
                shutil.rmtree(self._home.runs / old.run_id)


def watch(
    homes: Sequence[Home],
    scratch: Path,
    steps: Steps,
    detect: Detect,
    *,
    leave_out: LeaveOut | None = None,
    min_risk: float | None = None,
    progress: Progress,
) -> History:
    """Hand the facts of homes to a scratch home step by step, and look at every step."""
    target = Home(scratch / "home")
    feed = Feed(homes, target, leave_out)
    seen = Watch(target, detect, min_risk)
    feed.advance(steps.start)
    for done, at in enumerate(steps.at.tolist()):
        progress("replaying", done, len(steps.at))
        seen.look(at, feed.advance(at))
    progress("replaying", len(steps.at), len(steps.at))
    return seen.history(steps)


def _decision(row: dict[str, Any], at: int, sizes: dict[str, int]) -> Decision:
    return Decision(
        org_id=str(row["org_id"]),
        at=at,
        cluster_id=str(row["cluster_id"]),
        size=sizes[row["cluster_id"]],
        member_risk=float(row["member_risk"]),
        evidence=str(row["top_evidence"] or ""),
    )
