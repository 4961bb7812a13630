"""How well a result agrees with the truth: pure functions over arrays, one entry an organization.

Throughout, `clusters` holds the found cluster of each organization as a number, `UNLISTED` where it is in
none; `rings` holds the true ring, `LEGITIMATE` where there is none; `risks` is 0 where unlisted.
The definitions are those of the detection design, §7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

UNLISTED = -1
LEGITIMATE = -1


@dataclass(frozen=True)
class BCubed:
    """B³ agreement of `organizations` abusive organizations; NaN when there are none."""

    precision: float
    recall: float
    f: float
    organizations: int


@dataclass(frozen=True)
class RingsFound:
    """How many of the true rings that are large enough were found."""

    found: int
    total: int

    @property
    def share(self) -> float:
        """Found out of all; NaN when there are none."""
        return self.found / self.total if self.total else float("nan")


@dataclass(frozen=True)
class RecallAt:
    """The most abusive organizations that a threshold on risk catches while it keeps the precision."""

    precision: float
    recall: float
    threshold: float | None
    flagged: int


@dataclass(frozen=True)
class Share:
    """`hits` out of `total`, with two-sided bounds on the true share; NaN where nothing was counted."""

    hits: int
    total: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The observed share."""
        return self.hits / self.total if self.total else float("nan")


def b_cubed_items(clusters: Integers, rings: Integers) -> tuple[Floats, Floats]:
    """Precision and recall of every organization; NaN for legitimate ones.

    Precision: of the members of its cluster (legitimate ones included), the share that is of its ring.
    Recall: of its ring, the share that is in its cluster. Itself counts in both, and an unlisted
    organization is a cluster of its own (Bagga and Baldwin 1998; Amigó et al. 2009).
    """
    precision = np.full(len(rings), np.nan)
    recall = np.full(len(rings), np.nan)
    abusive = np.flatnonzero(rings != LEGITIMATE)
    if not len(abusive):
        return precision, recall
    own = _own_cluster(clusters)
    _, dense, sizes = np.unique(own, return_inverse=True, return_counts=True)
    _, ring, ring_sizes = np.unique(rings[abusive], return_inverse=True, return_counts=True)
    cell = dense[abusive].astype(np.int64) * len(ring_sizes) + ring
    _, cell, shared = np.unique(cell, return_inverse=True, return_counts=True)
    together = shared[cell].astype(np.float64)
    precision[abusive] = together / sizes[dense[abusive]]
    recall[abusive] = together / ring_sizes[ring]
    return precision, recall


def b_cubed(clusters: Integers, rings: Integers, among: Flags | None = None) -> BCubed:
    """B³ over all abusive organizations, or over those that `among` picks (clusters stay whole)."""
    precisions, recalls = b_cubed_items(clusters, rings)
    return summarise_b_cubed(precisions, recalls, among)


def summarise_b_cubed(precisions: Floats, recalls: Floats, among: Flags | None = None) -> BCubed:
    """The means of `b_cubed_items` and their harmonic mean."""
    counted = ~np.isnan(precisions)
    if among is not None:
        counted &= among
    if not counted.any():
        return BCubed(float("nan"), float("nan"), float("nan"), 0)
    precision = float(precisions[counted].mean())
    recall = float(recalls[counted].mean())
    return BCubed(precision, recall, 2 * precision * recall / (precision + recall), int(counted.sum()))


def rings_together(clusters: Integers, rings: Integers, at_least: int = 8) -> dict[int, bool]:
    """For each ring of `at_least` organizations or more: is half of it in one cluster?"""
    found: dict[int, bool] = {}
    abusive = np.flatnonzero(rings != LEGITIMATE)
    pairs = np.stack([rings[abusive], _own_cluster(clusters)[abusive]], axis=1)
    if not len(pairs):
        return found
    cells, counts = np.unique(pairs, axis=0, return_counts=True)
    names, first = np.unique(cells[:, 0], return_index=True)
    largest = np.maximum.reduceat(counts, first)
    sizes = np.add.reduceat(counts, first)
    for name, most, size in zip(names.tolist(), largest.tolist(), sizes.tolist(), strict=True):
        if size >= at_least:
            found[name] = 2 * most >= size
    return found


def rings_flagged(flagged: Flags, rings: Integers, at_least: int = 8) -> dict[int, bool]:
    """For each ring of `at_least` organizations or more: is half of it flagged?"""
    abusive = rings != LEGITIMATE
    names, ring, sizes = np.unique(rings[abusive], return_inverse=True, return_counts=True)
    hits = np.bincount(ring, weights=flagged[abusive].astype(np.float64), minlength=len(names))
    rows = zip(names.tolist(), sizes.tolist(), hits.tolist(), strict=True)
    return {name: 2 * hit >= size for name, size, hit in rows if size >= at_least}


def recall_at_precision(risks: Floats, abusive: Flags, precisions: Sequence[float]) -> list[RecallAt]:
    """Recall at each precision, equal risks taken whole, out of all abusive organizations.

    The threshold is the one with the most recall among those that keep the precision, wherever it lies;
    None where no threshold keeps it.
    """
    total = int(abusive.sum())
    levels, caught, flagged = _cumulative(risks, abusive)
    answers = []
    for wanted in precisions:
        # Compared as counts with a hair of slack, so that 99 of 100 does keep .99 in floating point.
        kept = np.flatnonzero((caught >= wanted * flagged - 1e-9) & (caught > 0))
        if not len(kept) or not total:
            answers.append(RecallAt(wanted, 0.0, None, 0))
            continue
        best = kept[-1]
        recall = float(caught[best] / total)
        answers.append(RecallAt(wanted, recall, float(levels[best]), int(flagged[best])))
    return answers


def auc(scores: Floats, abusive: Flags) -> float:
    """Chance that an abusive organization outranks a legitimate one, ties counting half.

    Mann-Whitney's U over mean ranks; NaN when one of the two is missing.
    """
    positives = int(abusive.sum())
    negatives = len(abusive) - positives
    if not positives or not negatives:
        return float("nan")
    _, level, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean_rank = last - (counts - 1) / 2
    rank_sum = float(mean_rank[level][abusive].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def clopper_pearson(hits: int, total: int, confidence: float = 0.95) -> Share:
    """A share with exact two-sided bounds (Clopper and Pearson 1934): quantiles of the beta distribution."""
    if total == 0:
        return Share(0, 0, float("nan"), float("nan"))
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, hits, total - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, total - hits)) if hits < total else 1.0
    return Share(hits, total, low, high)


def cluster_bootstrap(
    hits: Flags, clusters: Integers, *, seed: int, draws: int = 1000, confidence: float = 0.95
) -> Share:
    """The share of `hits` with a percentile interval that resamples whole clusters, not members.

    Members of one cluster stand or fall together, so each draw takes as many clusters as there are, with
    replacement; an unlisted organization is a cluster of its own. NaN bounds when there is nothing.
    """
    if not len(hits):
        return Share(0, 0, float("nan"), float("nan"))
    _, dense = np.unique(_own_cluster(clusters), return_inverse=True)
    sizes = np.bincount(dense).astype(np.float64)
    good = np.bincount(dense, weights=hits.astype(np.float64))
    # Clusters with the same size and hits are alike: a multinomial over kinds draws them all at once.
    kinds, often = np.unique(np.stack([good, sizes], axis=1), axis=0, return_counts=True)
    picks = np.random.default_rng(seed).multinomial(len(sizes), often / len(sizes), size=draws)
    shares = (picks @ kinds[:, 0]) / (picks @ kinds[:, 1])
    tail = (1 - confidence) / 2
    low, high = np.quantile(shares, [tail, 1 - tail])
    return Share(int(hits.sum()), len(hits), float(low), float(high))


def cluster_sizes(clusters: Integers) -> Integers:
    """Members of each organization's cluster; 0 where unlisted."""
    sizes = np.zeros(len(clusters), dtype=np.int64)
    listed = clusters != UNLISTED
    _, dense, counts = np.unique(clusters[listed], return_inverse=True, return_counts=True)
    sizes[listed] = counts[dense]
    return sizes


def _own_cluster(clusters: Integers) -> Integers:
    own = clusters.astype(np.int64, copy=True)
    unlisted = np.flatnonzero(own == UNLISTED)
    start = int(own.max(initial=UNLISTED)) + 1
    own[unlisted] = start + np.arange(len(unlisted))
    return own


def _cumulative(risks: Floats, abusive: Flags) -> tuple[Floats, Integers, Integers]:
    """Distinct risks from the highest down, and at each: abusive and all organizations from there up."""
    levels, level, counts = np.unique(-risks, return_inverse=True, return_counts=True)
    caught = np.bincount(level, weights=abusive.astype(np.float64), minlength=len(levels))
    return -levels, np.cumsum(caught).astype(np.int64), np.cumsum(counts).astype(np.int64)
