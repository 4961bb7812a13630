"""Every detector there is, those that ship and those of the home, with its state, its points and what it says now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow.parquet as pq

from detection.detector import detectors
from detection.lifecycle.files import Standing, standings
from detection.lifecycle.records import Move
from detection.lifecycle.running import SHADOW
from detection.runs import Runs
from detection.scorecards import Scorecards
from detection.scoring import Scorecard
from graph.home import Home

HIT = 0.5
"""From this value on a signal counts as hitting a cluster."""


@dataclass(frozen=True)
class Listed:
    """One detector. `state` is `ships` for those of this package; `points` the most that it may add to a cluster;
    `hits` the clusters that it hits in the current run, None where it did not run; `note` what deserves a look."""

    id: str
    state: str
    title: str
    group: str
    language: str
    points: float
    hits: int | None
    tested_at: datetime | None
    history: tuple[Move, ...]
    note: str


def listed(home: Home) -> list[Listed]:
    """The home's detectors, then those that ship."""
    card = Scorecards(home).active()
    said, ran = _current(home)
    found = [_of_home(one, said, ran) for one in standings(home)]
    ships = [
        Listed(
            id=one.id,
            state="ships",
            title=one.title,
            group=one.group,
            language="sql",
            points=_most(card, one.id),
            hits=said.get(one.id, 0) if said else None,
            tested_at=None,
            history=(),
            note="",
        )
        for one in detectors()
    ]
    return [*found, *ships]


def _of_home(one: Standing, said: dict[str, int], ran: dict[str, Any]) -> Listed:
    now = ran.get(one.id, {})
    same = one.detector is not None and now.get("digest") == one.detector.digest and not now.get("failure")
    tested = one.record.backtest
    mine = tested if tested is not None and one.detector and tested.digest == one.detector.digest else None
    return Listed(
        id=one.id,
        state=one.state,
        title=one.detector.declares.title if one.detector else "",
        group=one.detector.declares.group if one.detector else "",
        language=one.language or "",
        points=max((step.points for step in mine.bins), default=0.0) if mine else 0.0,
        hits=said.get(one.id, 0) if same else None,
        tested_at=mine.at if mine else None,
        history=one.record.history,
        note=one.warning or "; ".join(one.problems) or str(now.get("failure") or ""),
    )


def _most(card: Scorecard, signal: str) -> float:
    return max((step.points for step in card.bins.get(signal, ())), default=0.0)


def _current(home: Home) -> tuple[dict[str, int], dict[str, Any]]:
    """Clusters hit by each signal in the current run, and what is known of the home's detectors in it."""
    runs = Runs(home)
    if runs.current() is None:
        return {}, {}
    files = runs.open()
    evidence = files.table("evidence", ["signal", "value", "baseline"])
    tables = [evidence.filter(evidence["baseline"].is_valid())]
    if (files.folder / f"{SHADOW}.parquet").exists():
        tables.append(pq.read_table(files.folder / f"{SHADOW}.parquet", columns=["signal", "value"]))
    hits: dict[str, int] = {}
    for table in tables:
        for signal, value in zip(table["signal"].to_pylist(), table["value"].to_pylist(), strict=True):
            hits[signal] = hits.get(signal, 0) + int(value >= HIT)
    return hits, files.manifest.detectors
