"""Pairs that are not linked end in two communities, at the least cost in ties, whatever else there is."""

from __future__ import annotations

import numpy as np
import pytest

from detection import constraints
from detection.communities import Ties
from detection.constraints import separate
from detection.settings import WEIGHT_UNIT


def ties_of(n: int, *rows: tuple[int, int, float]) -> Ties:
    a, b, weight = zip(*sorted((min(a, b), max(a, b), w) for a, b, w in rows), strict=True)
    return Ties(n, np.array(a), np.array(b), (np.array(weight) * WEIGHT_UNIT).astype(np.int64))


def clique(members: range, weight: float) -> list[tuple[int, int, float]]:
    return [(a, b, weight) for a in members for b in members if a < b]


def drawn(seed: int, n: int = 60, m: int = 240) -> tuple[Ties, np.ndarray, np.ndarray]:
    """A world by seed: ties, communities of ten, and pairs that are not linked."""
    dice = np.random.default_rng(seed)
    community = np.arange(n) // 10 * 10
    pairs = {(min(a, b), max(a, b)) for a, b in dice.integers(0, n, (m, 2)).tolist() if a != b}
    rows = [(a, b, float(dice.uniform(0.1, 1))) for a, b in pairs]
    barred = np.sort(dice.integers(0, n, (12, 2)), axis=1)
    return ties_of(n, *rows), community, barred[barred[:, 0] < barred[:, 1]]


NOBODY = np.empty((0, 2), dtype=np.int64)


def test_without_pairs_nothing_changes() -> None:
    ties, community, _ = drawn(1)
    assert separate(community, ties, NOBODY) is community
    apart = np.array([[0, 59]])
    assert separate(community, ties, apart) is community


def test_two_halves_are_parted_at_their_weakest_ties() -> None:
    rows = [*clique(range(4), 0.9), *clique(range(4, 8), 0.9), (0, 4, 0.2), (3, 7, 0.1)]
    parted = separate(np.zeros(8, dtype=np.int64), ties_of(8, *rows), np.array([[0, 7]]))
    assert parted.tolist() == [0, 0, 0, 0, 4, 4, 4, 4]


def test_who_hangs_by_one_thread_goes_alone() -> None:
    rows = [*clique(range(5), 0.5), (4, 5, 0.3)]
    assert separate(np.zeros(6, dtype=np.int64), ties_of(6, *rows), np.array([[2, 5]])).tolist() == [
        0
    ] * 5 + [5]


def test_organizations_without_a_community_stay_without() -> None:
    rows = clique(range(3), 0.5)
    membership = np.array([0, 0, 0, -1, -1])
    assert separate(membership, ties_of(5, *rows), np.array([[3, 4], [0, 1]])).tolist()[3:] == [-1, -1]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("cuts", [64, 1])
def test_no_pair_is_left_and_nothing_else_moves(
    seed: int, cuts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constraints, "MOST_CUTS", cuts)
    ties, community, barred = drawn(seed)
    parted = separate(community, ties, barred)
    assert (parted[barred[:, 0]] != parted[barred[:, 1]]).all()
    touched = community[barred[:, 0]][community[barred[:, 0]] == community[barred[:, 1]]]
    untouched = ~np.isin(community, touched)
    assert (parted[untouched] == community[untouched]).all()
    assert (
        community[parted] == community
    ).all()  # parts of one community are parts of it, named by a member of it
    assert (parted[parted] == parted).all()
    assert (parted <= np.arange(ties.n)).all()
    assert (separate(community, ties, barred[::-1]) == parted).all() or cuts == 1 or len(touched) > 1
    assert (separate(community, ties, barred) == parted).all()
