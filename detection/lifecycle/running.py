"""The home's detectors in a run: active ones add points like those that ship, shadow ones are written down apart."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from detection.detector import SIGNAL_ROWS, Detector
from detection.engines.duckdb import Engine
from detection.lifecycle.definition import HomeDetector, digest
from detection.lifecycle.files import Standing, standings
from detection.lifecycle.handover import Handover, collect
from detection.lifecycle.sandbox import Bounds, run_alone
from detection.scoring import SIZE, Bin, Scorecard
from detection.settings import AdmissionSettings, DetectionSettings
from graph.errors import RingfenceError
from graph.home import Home
from queries import load

SHADOW = "shadow"


class HomeDetectors:
    """Those that have to run now. `warnings` says what did not, and why; `ran` what did, for the manifest.

    Whatever a detector does, the run goes on: without its points, and with its name in the warnings.
    """

    def __init__(
        self, active: Sequence[Standing], shadow: Sequence[Standing], settings: DetectionSettings
    ) -> None:
        self._active, self._shadow, self._settings = active, shadow, settings
        self.warnings: list[str] = []
        self.ran: dict[str, Any] = {}
        self.counting: tuple[Detector, ...] = ()
        """Active ones that answered: they have rows in `signal_rows`, and may have points."""

    @classmethod
    def of(cls, home: Home, settings: DetectionSettings) -> HomeDetectors:
        """The active and the shadow detectors of a home; none, and a warning, where its records are damaged."""
        try:
            found = standings(home)
        except RingfenceError as error:
            none = cls((), (), settings)
            none.warnings.append(f"{error.message}: none of them ran")
            return none
        by_state = {
            state: [one for one in found if one.state == state and one.detector is not None]
            for state in ("active", "shadow")
        }
        those = cls(by_state["active"], by_state["shadow"], settings)
        those.warnings += [one.warning for one in found if one.warning is not None]
        return those

    def weighed(self, scorecard: Scorecard) -> Scorecard:
        """The scorecard with the points of the active ones, held down so that together they condemn nobody.

        Its version names them: reviews of what other rules found do not count for these.
        """
        tested = {one.id: one.record.backtest for one in self._active if one.record.backtest is not None}
        if not tested:
            return scorecard
        bins = {name: one.bins for name, one in tested.items()}
        held = held_down(bins, room(scorecard, self._settings.admission))
        said = "".join(f"{name} {tested[name].digest} {held[name]}\n" for name in sorted(held))
        changes = {
            "version": f"{scorecard.version}+{digest(said.encode())[:8]}",
            "bins": scorecard.bins | held,
            "baselines": scorecard.baselines | {name: one.baseline for name, one in tested.items()},
        }
        return scorecard.model_copy(update=changes)

    def __call__(self, engine: Engine) -> tuple[Detector, ...]:
        """Run them over the views in the engine: fills `signal_rows` and `shadow_rows`; returns those that count."""
        engine.empty("shadow_rows", SIGNAL_ROWS)
        those = [*self._active, *self._shadow]
        detectors = [one.detector for one in those if one.detector is not None]
        if not detectors:
            return ()
        reads = dict.fromkeys(view for one in detectors for view in one.declares.reads)
        deadline = time.monotonic() + self._settings.home_detectors.all_seconds
        with Handover(collect(engine, reads, self._settings.seed)) as views:
            answered = [
                one
                for one, standing in zip(detectors, those, strict=True)
                if self._one(engine, one, standing, views, deadline)
            ]
        names = {one.id for one in self._active}
        self.counting = tuple(one.declares for one in answered if one.id in names)
        return self.counting

    def _one(
        self, engine: Engine, detector: HomeDetector, standing: Standing, views: Handover, deadline: float
    ) -> bool:
        """Run one; whether it answered properly."""
        bounds, left = self._settings.home_detectors, int(deadline - time.monotonic())
        if left < 1:
            return self._missed(
                detector, standing, f"the {bounds.all_seconds} s for all of them were used up"
            )
        outcome = run_alone(detector, views, Bounds(min(bounds.seconds, left), bounds.memory_mb))
        if outcome.rows is None:
            return self._missed(detector, standing, outcome.failure or "it did not answer")
        keep(
            engine, "signal_rows" if standing.state == "active" else "shadow_rows", detector.id, outcome.rows
        )
        self.ran[detector.id] = {
            "state": standing.state,
            "digest": detector.digest,
            "seconds": outcome.seconds,
            "failure": None,
        }
        return True

    def _missed(self, detector: HomeDetector, standing: Standing, failure: str) -> bool:
        self.warnings.append(f"the detector {detector.id} ({standing.state}) was left out: {failure}")
        self.ran[detector.id] = {
            "state": standing.state,
            "digest": detector.digest,
            "seconds": None,
            "failure": failure,
        }
        return False

    def write(self, engine: Engine, folder: Path) -> None:
        """Write `shadow.parquet` when there are detectors in shadow, whether or not they answered."""
        if self._shadow:
            engine.stage("shadow_values")
            engine.write(load("out_shadow").sql, folder / f"{SHADOW}.parquet")


def keep(engine: Engine, table: str, signal: str, rows: pa.Table) -> None:
    """Add a detector's answer to a table of rows, under the run's own numbers of groups."""
    engine.register("home_rows", rows)
    engine.append(
        table,
        f"SELECT '{signal}', n.cluster, r.org, r.value, r.kind, r.key, r.happened_at, r.count"
        " FROM home_rows AS r INNER JOIN group_numbers AS n ON r.cluster = n.number",
    )


def room(scorecard: Scorecard, admission: AdmissionSettings) -> float:
    """The points that may be added to the largest cluster without any other evidence before somebody is actionable."""
    totals, risks = zip(*scorecard.risk_table, strict=True)
    threshold = min(admission.cluster_risk, admission.member_risk)
    needed = float(np.interp(threshold, risks, totals))
    size = max((step.points for step in scorecard.bins.get(SIZE, ())), default=0.0)
    return max(needed - scorecard.base_points - size - 1, 0.0)


def held_down(bins: dict[str, tuple[Bin, ...]], room: float) -> dict[str, tuple[Bin, ...]]:
    """The bins of all detectors of a home, made smaller by one factor where their greatest points exceed `room`."""
    most = sum(max((step.points for step in steps), default=0.0) for steps in bins.values())
    factor = min(1.0, room / most) if most > 0 else 1.0
    return {
        name: tuple(
            Bin(at_least=step.at_least, points=math.floor(step.points * factor * 10) / 10) for step in steps
        )
        for name, steps in bins.items()
    }
