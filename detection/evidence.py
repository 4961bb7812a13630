"""Runs the detectors: what each says of each member, of each cluster, and of random groups of organizations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from detection.detector import MEMBER_TABLES, SIGNAL_ROWS, Detector
from detection.engines.duckdb import Engine
from detection.links import Progress
from detection.scoring import Scorecard
from detection.settings import DetectionSettings

Ints = npt.NDArray[np.int64]
Beside = Callable[[Engine], tuple[Detector, ...]]
"""Adds to `signal_rows` what other detectors found, and returns those that did."""


def groups(membership: Ints, settings: DetectionSettings) -> pa.Table:
    """Members of communities of two or more, and of random reference groups, which are numbered below zero.

    `membership` is the community of each organization, -1 for none.
    """
    names, inverse, counts = np.unique(membership, return_inverse=True, return_counts=True)
    clustered = np.flatnonzero((counts[inverse] > 1) & (names[inverse] >= 0))
    size = min(settings.reference_organizations, len(membership))
    drawn = np.random.default_rng(settings.seed).permutation(len(membership))[:size]
    reference = -1 - np.arange(size) // settings.reference_group
    return pa.table(
        {
            "cluster": pa.array(np.concatenate([membership[clustered], reference]), pa.int64()),
            "org": pa.array(np.concatenate([clustered, drawn]), pa.int32()),
        }
    )


def detect(
    engine: Engine,
    detectors: tuple[Detector, ...],
    scorecard: Scorecard,
    small: bool,
    progress: Progress,
    beside: Beside | None = None,
) -> None:
    """Run every detector over `members`; leaves `signal_rows`, `baselines`, `signal_values`, `signal_points` and
    `operators`.

    With `small`, the population is too small to measure baselines on, and those of the scorecard are used. `beside`
    adds rows of detectors that are not of this package, while the tables of members are there.
    """
    for table in MEMBER_TABLES:
        engine.stage(table)
    engine.empty("signal_rows", SIGNAL_ROWS)
    for done, detector in enumerate(detectors):
        progress("signals", done, len(detectors))
        engine.append(
            "signal_rows",
            f"SELECT '{detector.id}', cluster, org, LEAST(GREATEST(value, 0), 1), kind, key, happened_at, count"
            f" FROM ({detector.sql}) WHERE value IS NOT NULL",
        )
    progress("signals", len(detectors), len(detectors))
    detectors = (*detectors, *(beside(engine) if beside is not None else ()))
    engine.register("baselines", _baselines(engine, detectors, scorecard, small))
    engine.register("bins", scorecard.bins_table())
    engine.register("scoring", pa.table({"prior_members": pa.array([scorecard.prior_members])}))
    engine.stage("signal_values")
    engine.stage("signal_points")
    engine.stage("member_points")
    engine.stage("operators")
    engine.drop(*MEMBER_TABLES)


def _baselines(
    engine: Engine, detectors: tuple[Detector, ...], scorecard: Scorecard, small: bool
) -> pa.Table:
    measured = engine.fetch(
        "SELECT signal, AVG(value) AS baseline FROM signal_rows WHERE cluster < 0 GROUP BY signal"
    )
    found = dict(zip(measured["signal"].to_pylist(), measured["baseline"].to_pylist(), strict=True))
    shipped = scorecard.baselines
    baselines = [
        shipped.get(one.id, 0.0) if small else found.get(one.id, shipped.get(one.id, 0.0))
        for one in detectors
    ]
    return pa.table({"signal": [one.id for one in detectors], "baseline": pa.array(baselines, pa.float64())})
