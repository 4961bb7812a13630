"""What a new detector is worth: points from labels where there are enough, else from the risk that is shown already.

A bin's points are a log-likelihood ratio, `20 * log2(P(value >= t | abusive) / P(value >= t | legitimate))`, counts
smoothed by one half (Haldane 1956, Anscombe 1956), less 1.28 standard errors (Woolf 1955), so that they hold with 90%.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from detection.scoring import Bin

Floats = npt.NDArray[np.float64]

THRESHOLDS = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Where bins begin, as in the scorecard that ships."""
ENOUGH_LABELS = 10
"""Labelled clusters of either kind from which labels are believed more than risk."""
DOUBLING = 20.0
CAUTION = 1.28
OWN_OPINION = 0.5
"""What points from risk count for: the risk is this engine's own opinion, and a detector that agrees adds little."""


@dataclass(frozen=True)
class Observed:
    """What a detector said of clusters: its `values`, the `abusive` and `legitimate` weight of each (a label is 1 and
    0 or 0 and 1, a risk of 80 is 0.8 and 0.2), and how much more often than random organizations its hits are
    (`lift`)."""

    values: Floats
    abusive: Floats
    legitimate: Floats
    baseline: float
    lift: float
    overlap: float
    """The greatest Jaccard index with another detector's affected members."""


@dataclass(frozen=True)
class Weight:
    """The points of each bin, and what they rest on."""

    bins: tuple[Bin, ...]
    source: Literal["labels", "risk"]


def weigh(by_risk: Observed, by_label: Observed | None, most: float) -> Weight:
    """Points that a detector may add, at most `most`; none in bins that the population reaches anyway.

    `by_label` holds labelled clusters only, None where there are too few.
    """
    observed = by_risk if by_label is None else by_label
    believed = OWN_OPINION if by_label is None else 1.0
    ceiling = max(DOUBLING * math.log2(max(observed.lift, 1.0)), 0.0)
    bins: list[Bin] = []
    for threshold in THRESHOLDS:
        if threshold <= observed.baseline:
            continue
        found = believed * (1 - observed.overlap) * likelihood_points(observed, threshold)
        points = math.floor(min(found, ceiling, most))
        if points > (bins[-1].points if bins else 0):
            bins.append(Bin(at_least=threshold, points=points))
    return Weight(tuple(bins), "risk" if by_label is None else "labels")


def likelihood_points(observed: Observed, threshold: float) -> float:
    """The points of reaching a threshold, at the lower end of what the counts allow; below zero: none."""
    reached = observed.values >= threshold
    bad, good = observed.abusive[reached].sum() + 0.5, observed.legitimate[reached].sum() + 0.5
    all_bad, all_good = observed.abusive.sum() + 1, observed.legitimate.sum() + 1
    ratio = math.log(bad / all_bad) - math.log(good / all_good)
    error = math.sqrt(max(1 / bad - 1 / all_bad + 1 / good - 1 / all_good, 0.0))
    return DOUBLING * (ratio - CAUTION * error) / math.log(2)


def labelled(values: Floats, abusive: Floats, legitimate: Floats) -> tuple[Floats, Floats, Floats] | None:
    """The clusters whose labelled members mostly agree, as values and 0/1 weights; None where they are too few.

    `abusive` and `legitimate` count labelled members of each cluster.
    """
    bad, good = abusive > legitimate, legitimate > abusive
    if min(bad.sum(), good.sum()) < ENOUGH_LABELS:
        return None
    told = bad | good
    return values[told], bad[told].astype(float), good[told].astype(float)
