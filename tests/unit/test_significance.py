"""Clusters that chance makes are not confirmed, rings are; and no family confirms what it found itself."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from detection.communities import Ties, communities
from detection.settings import WEIGHT_UNIT, DetectionSettings
from detection.significance import Activity, Pairs, Uses, benjamini_yekutieli, p_values

ORGANIZATIONS, FAMILIES, DAYS = 2_000, 4, 20
RING = 12


class World:
    """Organizations that use identifiers of four families at random, and rings that share some besides."""

    def __init__(self, seed: int, rings: int = 0) -> None:
        dice = np.random.default_rng(seed)
        self.day = dice.integers(0, DAYS, ORGANIZATIONS)
        self.users: list[tuple[int, list[int]]] = []
        for family in range(FAMILIES):
            for size, count in ((1, 1_500), (2, 90), (3, 30), (8, 4)):
                self.users += [
                    (family, sorted(set(dice.integers(0, ORGANIZATIONS, size).tolist())))
                    for _ in range(count)
                ]
            for ring in range(rings):
                members = np.arange(ring * RING, (ring + 1) * RING)
                self.users += [
                    (family, sorted(dice.choice(members, 3, replace=False).tolist())) for _ in range(4)
                ]

    def uses(self) -> Uses:
        rows = [
            (family, place, org)
            for place, (family, orgs) in enumerate(self.users)
            for org in orgs
            if len(orgs) > 1
        ]
        family, identifier, org = (np.array(column) for column in zip(*rows, strict=True))
        return Uses(family, identifier, org, self.day[org])

    def pairs(self) -> Pairs:
        rows = {(a, b, family) for family, orgs in self.users for a, b in combinations(orgs, 2)}
        return Pairs(*(np.array(column) for column in zip(*sorted(rows), strict=True)))

    def activity(self) -> Activity:
        rows = [(family, org, int(self.day[org])) for family, orgs in self.users for org in orgs]
        family, org, day = (np.array(column) for column in zip(*rows, strict=True))
        once = np.ones(len(rows), dtype=np.int64)
        return Activity(family, org, day, once, family, day, once)

    def membership(self) -> np.ndarray:
        """Communities of three or more, found with all families."""
        pairs = self.pairs()
        key, place = np.unique(pairs.a * ORGANIZATIONS + pairs.b, return_inverse=True)
        weight = np.bincount(place) * WEIGHT_UNIT * 3 // 10
        ties = Ties(ORGANIZATIONS, key // ORGANIZATIONS, key % ORGANIZATIONS, weight)
        found = communities(ties, DetectionSettings())
        sizes = np.bincount(found[found >= 0], minlength=ORGANIZATIONS)
        return np.where((found >= 0) & (sizes[np.maximum(found, 0)] >= 3), found, -1)

    def p_values(self) -> dict[int, float]:
        return p_values(self.membership(), self.pairs(), self.uses(), self.activity())


def test_what_chance_makes_is_not_confirmed() -> None:
    """Of the communities of worlds without rings no more than one in twenty has a p-value below 5%."""
    found = np.concatenate([list(World(seed).p_values().values()) for seed in range(6)])
    assert len(found) > 200
    assert (found < 0.05).mean() <= 0.05
    assert (benjamini_yekutieli(found) > 0.05).all()


@pytest.mark.parametrize("seed", range(3))
def test_rings_are_confirmed(seed: int) -> None:
    world = World(seed, rings=8)
    membership, p = world.membership(), world.p_values()
    clusters = np.array(list(p))
    discovered = set(clusters[benjamini_yekutieli(np.array(list(p.values()))) < 0.05].tolist())
    rings = {int(membership[ring * RING]) for ring in range(8)}
    assert len(discovered & rings) >= 7
    assert len(discovered - rings) <= 1


def test_one_family_alone_confirms_nothing() -> None:
    """Twelve on one device: it found them, so it cannot speak for them."""
    world = World(1)
    world.users = [(0, list(range(12))), *((family, [org]) for family in range(4) for org in range(50, 400))]
    membership = np.where(np.arange(ORGANIZATIONS) < 12, 0, -1)
    found = p_values(membership, world.pairs(), world.uses(), world.activity())
    assert found == {0: 1.0}
    world.users.append((1, [0, 1, 2, 3]))
    assert p_values(membership, world.pairs(), world.uses(), world.activity())[0] < 0.001


def test_nobody_to_test() -> None:
    world = World(1)
    assert p_values(np.full(ORGANIZATIONS, -1), world.pairs(), world.uses(), world.activity()) == {}


def test_q_values_are_those_of_benjamini_and_yekutieli() -> None:
    p = np.array([0.01, 0.002, 0.5, 0.03])
    harmonic = 1 + 1 / 2 + 1 / 3 + 1 / 4
    expected = np.array([0.01 * 4 / 2, 0.002 * 4, 0.5, 0.03 * 4 / 3]) * harmonic
    assert benjamini_yekutieli(p) == pytest.approx(np.minimum(expected, 1))
    assert len(benjamini_yekutieli(np.empty(0))) == 0
    assert benjamini_yekutieli(np.ones(3)).tolist() == [1, 1, 1]
