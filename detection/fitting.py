"""Fits additive scorecards: logistic regression over binned signals whose weights may not fall as a signal rises.

One implementation for the scorecard that ships (`python -m bench.scorecard`) and for those of `ringfence train`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

from detection.detector import detectors
from detection.scoring import SIZE, Scorecard

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

POINTS = 20 / np.log(2)
"""Points of one natural log-odds."""
VALUE_BINS = (0.1, 0.25, 0.5, 0.75, 0.9)
SIZE_BINS = (3.0, 5.0, 8.0, 15.0, 30.0, 100.0)
RIDGE = 10.0
"""Pulls every step towards what was known before (the shipped card is pulled to zero): signals that say the same share
the credit instead of one taking all, and few labels change little."""


@dataclass(frozen=True)
class Step:
    """One weight of the card: what reaching `at_least` adds for a signal."""

    signal: str
    at_least: float


@dataclass(frozen=True)
class Fit:
    """What a fit found, in natural log-odds: where every cluster starts, and a weight for each step, none negative."""

    start: float
    weights: Floats


def names() -> list[str]:
    """The signals of a card, as columns of values: every detector, and the size."""
    return [*(one.id for one in detectors()), SIZE]


def steps_of(known: Scorecard | None = None) -> list[Step]:
    """The steps that are fitted: the usual ones, and those of a card that is to be refitted."""
    found = []
    for name in names():
        usual = SIZE_BINS if name == SIZE else VALUE_BINS
        old = () if known is None else tuple(one.at_least for one in known.bins.get(name, ()))
        found += [Step(name, at_least) for at_least in sorted({*usual, *old})]
    return found


def reached(values: Floats, baselines: Mapping[str, float], steps: Iterable[Step]) -> Floats:
    """One column a step: whether a row of `values` (columns as `names`) reaches it.

    As in scoring, a signal whose highest step lies at or below the population's baseline earns nothing.
    """
    place = {name: column for column, name in enumerate(names())}
    columns = []
    by_signal: dict[str, list[float]] = {}
    listed = list(steps)
    for step in listed:
        by_signal.setdefault(step.signal, []).append(step.at_least)
    for step in listed:
        value = values[:, place[step.signal]]
        column = value >= step.at_least
        if step.signal != SIZE:
            above = [one for one in by_signal[step.signal] if one > baselines.get(step.signal, 0.0)]
            column &= value >= min(above, default=np.inf)
        columns.append(column)
    return np.column_stack(columns).astype(np.float64)


def weights_of(card: Scorecard, steps: Iterable[Step]) -> Floats:
    """The weights that a card gives to steps, in natural log-odds."""
    found = []
    before: dict[str, float] = {}
    for step in steps:
        points = max(
            (one.points for one in card.bins.get(step.signal, ()) if one.at_least <= step.at_least),
            default=0.0,
        )
        found.append((points - before.get(step.signal, 0.0)) / POINTS)
        before[step.signal] = points
    return np.array(found)


def fit(
    x: Floats,
    y: Bools,
    weight: Floats,
    *,
    towards: Floats | None = None,
    noise: float = 0.0,
    fixed: Bools | None = None,
) -> Fit:
    """The weights of greatest penalised likelihood; none is negative.

    `weight` is what each row counts; `towards` what the ridge pulls to (default: zero); `noise` the share of wrong
    labels that is expected (the chance of a label is noise + (1 - 2 noise) p, so that no wrong one weighs without
    bound); `fixed` marks weights that stay as they are.
    """
    goal = np.zeros(x.shape[1]) if towards is None else towards
    held = np.zeros(x.shape[1], dtype=np.bool_) if fixed is None else fixed

    def loss(parameters: Floats) -> tuple[float, Floats]:
        value, slope = likelihood(parameters[0] + x @ parameters[1:], y, noise)
        apart = parameters[1:] - goal
        gradient = np.concatenate([[(weight * slope).sum()], x.T @ (weight * slope) + RIDGE * apart])
        return float(np.sum(weight * value) + RIDGE * np.sum(apart**2) / 2), gradient

    bounds: list[tuple[float | None, float | None]] = [(None, None)]
    bounds += [
        (at, at) if stays else (0.0, None) for at, stays in zip(goal.tolist(), held.tolist(), strict=True)
    ]
    first = np.concatenate([[0.0], goal])
    found = minimize(loss, first, jac=True, bounds=bounds, method="L-BFGS-B").x
    return Fit(float(found[0]), np.asarray(found[1:], dtype=np.float64))


def likelihood(score: Floats, y: Bools, noise: float = 0.0) -> tuple[Floats, Floats]:
    """The negative log-likelihood of each label under a score in log-odds, and its slope."""
    if noise == 0.0:
        return np.logaddexp(0, score) - y * score, expit(score) - y
    chance = expit(score)
    said = noise + (1 - 2 * noise) * chance
    right = np.where(y, said, 1 - said)
    slope = np.where(y, -1.0, 1.0) * (1 - 2 * noise) * chance * (1 - chance) / right
    return -np.log(right), np.asarray(slope, dtype=np.float64)


def bins_of(weights: Floats, steps: Iterable[Step]) -> dict[str, list[dict[str, float]]]:
    """Bins as a card stores them: whole points, each the sum of the steps up to it."""
    bins: dict[str, list[dict[str, float]]] = {}
    totals: dict[str, float] = {}
    for step, gain in zip(steps, weights * POINTS, strict=True):
        before = round(totals.get(step.signal, 0.0))
        totals[step.signal] = totals.get(step.signal, 0.0) + float(gain)
        if round(totals[step.signal]) > before:
            bins.setdefault(step.signal, []).append(
                {"at_least": step.at_least, "points": round(totals[step.signal])}
            )
    return bins


def risk_table() -> list[list[float]]:
    """Risk by points: 100 times the chance of log-odds in which 20 points double the odds."""
    return [[points, round(100 / (1 + 2 ** (-points / 20)), 3)] for points in range(-400, 401, 10)]
