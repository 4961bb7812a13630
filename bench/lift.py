"""How much more often members of a selection are bad than everybody is, with bounds that respect groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

DRAWS = 2000
CONFIDENCE = 0.95

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Lift:
    """Selected users, the bad ones among them, their share, and that share over everybody's.

    Counts are expectations where a rank was cut between equals. Bounds are those of a bootstrap over groups.
    """

    users: float
    bad: float
    rate: float
    rate_low: float
    rate_high: float
    lift: float
    lift_low: float
    lift_high: float


def lift(chosen: Floats, bad: Flags, groups: Integers, *, seed: int) -> Lift:
    """Lift of a selection: `chosen` is 1 for a user in it, 0 for one outside, a fraction between equals.

    Each draw takes as many whole groups of all users as there are, with replacement (percentile interval): users of one
    group stand or fall together, and the base rate varies with them. NaN where nothing is chosen.
    """
    if not chosen.any():
        return Lift(0.0, 0.0, *[float("nan")] * 6)
    _, dense = np.unique(groups, return_inverse=True)
    columns = (chosen * bad, chosen, bad.astype(float), np.ones(len(bad)))
    sums = np.column_stack([np.bincount(dense, weights=column) for column in columns])
    # Groups with the same sums are alike: a multinomial over kinds draws them all at once.
    kinds, often = np.unique(sums, axis=0, return_counts=True)
    picks = np.random.default_rng(seed).multinomial(len(sums), often / len(sums), size=DRAWS)
    drawn = picks @ kinds
    drawn = drawn[(drawn[:, 1] > 0) & (drawn[:, 2] > 0)]
    rates = drawn[:, 0] / drawn[:, 1]
    tails = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    rate_low, rate_high = np.quantile(rates, tails)
    lift_low, lift_high = np.quantile(rates / (drawn[:, 2] / drawn[:, 3]), tails)
    hits, users = float((chosen * bad).sum()), float(chosen.sum())
    rate = hits / users
    above = rate / float(bad.mean())
    return Lift(
        users, hits, rate, float(rate_low), float(rate_high), above, float(lift_low), float(lift_high)
    )


def top(scores: Floats, count: int) -> Floats:
    """The `count` users with the highest scores above zero; equals at the cut share what is left evenly.

    All zeros when fewer have a score above zero: such a rank cannot cover so many.
    """
    chosen = np.zeros(len(scores))
    if count <= 0 or int((scores > 0).sum()) < count:
        return chosen
    cut = np.sort(scores)[-count]
    above, equal = scores > cut, scores == cut
    chosen[above] = 1.0
    chosen[equal] = (count - int(above.sum())) / int(equal.sum())
    return chosen


def companions(users: Integers, things: Integers, count: int) -> Integers:
    """For each of `count` users, how many others use its most shared thing; `users` are positions."""
    pairs = np.unique(np.stack([users, things], axis=1), axis=0)
    _, dense = np.unique(pairs[:, 1], return_inverse=True)
    others = np.bincount(dense)[dense] - 1
    most = np.zeros(count, dtype=np.int64)
    np.maximum.at(most, pairs[:, 0], others)
    return most


def components(users: Integers, things: Integers, count: int) -> Integers:
    """The connected component of each of `count` users over the things that they use."""
    _, dense = np.unique(things, return_inverse=True)
    size = count + int(dense.max(initial=-1)) + 1
    ones = np.ones(len(users), dtype=np.int8)
    matrix = coo_matrix((ones, (users, count + dense)), shape=(size, size))
    _, found = connected_components(matrix.tocsr(), directed=False)
    return np.asarray(found[:count], dtype=np.int64)


@dataclass(frozen=True)
class Shuffled:
    """Groups with two or more bad members, and how many there are when the same bad users are dealt anew."""

    found: int
    expected: float
    low: float
    high: float


def company(bad: Flags, groups: Integers, *, seed: int) -> Shuffled:
    """Do bad members keep company? Deals the labels of members among them, whatever their group.

    Bounds hold 95% of the deals: a count within them says that groups know no more than chance.
    """
    _, dense = np.unique(groups, return_inverse=True)
    random = np.random.default_rng(seed)
    dealt = [_with_two(random.permutation(bad), dense) for _ in range(DRAWS)]
    low, high = np.quantile(dealt, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Shuffled(_with_two(bad, dense), float(np.mean(dealt)), float(low), float(high))


def _with_two(bad: Flags, dense: Integers) -> int:
    return int((np.bincount(dense[bad]) >= 2).sum())
