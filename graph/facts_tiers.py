"""A growing set of 64-bit numbers in a few sorted arrays: exact, eight bytes a member, no Python objects."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]


class SortedTiers:
    """A set of uint64 with one uint64 companion a member, kept as sorted arrays of shrinking size.

    A new array is merged into its neighbour while the neighbour is not at least twice as long, so that
    there are O(log n) arrays and a member is moved O(log n) times. Used for the event ids of a commit
    that is being built (companion: digest of the content) and for how often rows without an id occurred.
    """

    def __init__(self) -> None:
        self._tiers: list[tuple[U64, U64]] = []

    def __len__(self) -> int:
        return sum(len(members) for members, _ in self._tiers)

    def find(self, wanted: U64) -> tuple[Mask, U64]:
        """For sorted `wanted`: which are members, and their companions (0 where they are not)."""
        found = np.zeros(len(wanted), dtype=np.bool_)
        companions = np.zeros(len(wanted), dtype=np.uint64)
        for members, theirs in self._tiers:
            hit, at = locate(members, wanted)
            found |= hit
            companions[hit] = theirs[at[hit]]
        return found, companions

    def add(self, members: U64, companions: U64) -> None:
        """Add sorted, distinct `members`, none of which is in the set yet."""
        if not len(members):
            return
        tier = (members, companions)
        while self._tiers and len(self._tiers[-1][0]) < 2 * len(tier[0]):
            tier = merge([self._tiers.pop(), tier])
        self._tiers.append(tier)

    def replace(self, wanted: U64, companions: U64) -> Mask:
        """Give those of sorted `wanted` that are members new companions; returns which are."""
        found = np.zeros(len(wanted), dtype=np.bool_)
        for members, theirs in self._tiers:
            hit, at = locate(members, wanted)
            theirs[at[hit]] = companions[hit]
            found |= hit
        return found

    def all(self) -> tuple[U64, U64]:
        """All members in order, with their companions."""
        if not self._tiers:
            return np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.uint64)
        return merge(self._tiers)

    def clear(self) -> None:
        """Forget all members."""
        self._tiers.clear()


def locate(members: U64, wanted: U64) -> tuple[Mask, npt.NDArray[np.intp]]:
    """Where sorted `wanted` stand in sorted `members`: (is a member, position)."""
    if not len(members):
        return np.zeros(len(wanted), dtype=np.bool_), np.zeros(len(wanted), dtype=np.intp)
    at = np.searchsorted(members, wanted)
    at[at == len(members)] = 0
    return members[at] == wanted, at


def merge(tiers: list[tuple[U64, U64]]) -> tuple[U64, U64]:
    """Several sorted arrays with companions as one."""
    if len(tiers) == 1:
        return tiers[0]
    members = np.concatenate([tier[0] for tier in tiers])
    companions = np.concatenate([tier[1] for tier in tiers])
    # A stable sort of 64-bit integers in numpy detects the sorted runs, which makes this a merge.
    order = np.argsort(members, kind="stable")
    return members[order], companions[order]
