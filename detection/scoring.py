"""Signals to scores: an additive scorecard in log-odds points, and the published table that turns points to risk."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from detection.detector import Detector

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SIZE = "size"
"""The one row of the scorecard that is no detector's: how many organizations the cluster has."""
BASE = "base"
"""The points that every cluster starts with: how rare abuse is among clusters of the least size."""


class Bin(BaseModel):
    """From `at_least` on, a signal's value is worth `points`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    at_least: float
    points: float


class Scorecard(BaseModel):
    """The weights of all signals. 20 points double the odds that a cluster is abusive.

    Points never fall as a value rises. `risk_table` holds (points, risk) pairs; between them risk is interpolated
    in a straight line, outside it is that of the nearest end. `baselines` are what a population of the simulator
    shows: they stand in where there are too few organizations to measure one's own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    version: str
    trained_on: str
    base_points: float
    prior_members: float = Field(ge=0)
    bins: dict[str, tuple[Bin, ...]]
    baselines: dict[str, float]
    risk_table: tuple[tuple[float, float], ...]
    threshold: float | None = Field(default=None, ge=0, le=100)
    """Least risk of whoever may be acted on, where labels ask for more than the settings do."""

    @model_validator(mode="after")
    def _monotone(self) -> Scorecard:
        for signal, steps in self.bins.items():
            points = [step.points for step in steps]
            if points != sorted(points) or any(point < 0 for point in points):
                raise ValueError(f"the points of {signal} fall as its value rises")
        totals, risks = zip(*self.risk_table, strict=True)
        if list(totals) != sorted(totals) or list(risks) != sorted(risks):
            raise ValueError("the risk table is not rising")
        return self

    def risk(self, points: Floats) -> Floats:
        """Risk, 0 to 100, of totals of points."""
        totals, risks = zip(*self.risk_table, strict=True)
        return np.asarray(np.interp(points, totals, risks), dtype=np.float64)

    def bins_table(self) -> pa.Table:
        """The bins as rows (signal, at_least, points)."""
        rows = [(signal, step.at_least, step.points) for signal, steps in self.bins.items() for step in steps]
        return pa.table(
            {
                "signal": pa.array([row[0] for row in rows], pa.string()),
                "at_least": pa.array([row[1] for row in rows], pa.float64()),
                "points": pa.array([row[2] for row in rows], pa.float64()),
            }
        )


@cache
def shipped() -> Scorecard:
    """The scorecard that ships, trained on simulated campaigns."""
    return Scorecard.model_validate_json((files("detection") / "scorecard.json").read_bytes())


def size_points(scorecard: Scorecard, sizes: Ints) -> Floats:
    """The points of clusters of so many organizations."""
    steps = scorecard.bins.get(SIZE, ())
    thresholds = np.array([step.at_least for step in steps])
    points = np.array([0.0, *(step.points for step in steps)])
    return np.asarray(points[np.searchsorted(thresholds, sizes, side="right")], dtype=np.float64)


def attachment_points(strength: Ints, cluster: Ints) -> Floats:
    """At most zero: ten points for each halving of a member's ties below its cluster's median, down to forty.

    `strength` is the weight of each member's ties inside its cluster, `cluster` the cluster of each member.
    """
    order = np.lexsort((strength, cluster))
    _, starts, counts = np.unique(cluster[order], return_index=True, return_counts=True)
    medians = np.repeat(strength[order][starts + (counts - 1) // 2], counts)
    share = np.clip(strength[order] / np.maximum(medians, 1), 1 / 16, 1)
    points = np.empty(len(strength))
    points[order] = 10 * np.log2(share)
    return points


def pattern(points: dict[str, float], detectors: tuple[Detector, ...]) -> str:
    """What a cluster is about: the pattern whose signals add most points; `mixed` where two are close or none.

    `points` are the cluster's points by signal. Signals of the group `common` speak for no pattern.
    """
    sums: dict[str, float] = {}
    for detector in detectors:
        if detector.group != "common":
            sums[detector.group] = sums.get(detector.group, 0) + points.get(detector.id, 0)
    ranked = sorted(sums.items(), key=lambda item: (-item[1], item[0]))
    best, second = ranked[0], ranked[1]
    return best[0] if best[1] > 0 and best[1] >= 1.1 * second[1] else "mixed"
