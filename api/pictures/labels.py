"""Room for labels on a page: each goes where it covers nothing, or is left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
LINE = 1.12
"""Height of a line of text in sizes of its font; `ASCENT` of it lies above the baseline."""
ASCENT = 0.86


@dataclass(frozen=True)
class Box:
    """A rectangle on the page."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Place:
    """Where a text may go: its box, the point it is anchored at, and how (`start`, `middle`, `end`)."""

    box: Box
    x: float
    baseline: float
    anchor: str


class Room:
    """What of a region is taken."""

    def __init__(self, region: Box) -> None:
        self._region = region
        self._taken: Floats = np.empty((64, 4))
        self._count = 0

    def take(self, box: Box) -> None:
        """Keep others away from a rectangle."""
        if self._count == len(self._taken):
            self._taken = np.concatenate([self._taken, np.empty_like(self._taken)])
        self._taken[self._count] = (box.left, box.top, box.right, box.bottom)
        self._count += 1

    def is_free(self, box: Box, obstacles: Floats | None = None) -> bool:
        """Whether a rectangle lies in the region and touches nothing taken, nor `obstacles` (left, top, …)."""
        region = self._region
        if box.left < region.left or box.right > region.right:
            return False
        if box.top < region.top or box.bottom > region.bottom:
            return False
        taken = (self._taken[: self._count], *(() if obstacles is None else (obstacles,)))
        return not any(_touches(box, each) for each in taken)

    def first_free(self, places: Iterable[Place], obstacles: Floats | None = None) -> Place | None:
        """The first place that is free, which is taken from now on; None where all are full."""
        for place in places:
            if self.is_free(place.box, obstacles):
                self.take(place.box)
                return place
        return None


def _touches(box: Box, others: Floats) -> bool:
    return bool(
        (
            (others[:, 0] < box.right)
            & (others[:, 2] > box.left)
            & (others[:, 1] < box.bottom)
            & (others[:, 3] > box.top)
        ).any()
    )


def around(x: float, y: float, radius: float, width: float, size: float) -> Iterator[Place]:
    """Places of a line of text beside, below and above a node, best first."""
    high = size * LINE
    gap = radius + size * 0.28
    slant = radius * 0.71 + size * 0.2
    for across, down, anchor in (
        (gap, 0.0, "start"),
        (-gap, 0.0, "end"),
        (0.0, gap + high / 2, "middle"),
        (0.0, -gap - high / 2, "middle"),
        (slant, -slant - high / 4, "start"),
        (slant, slant + high / 4, "start"),
        (-slant, -slant - high / 4, "end"),
        (-slant, slant + high / 4, "end"),
    ):
        yield line_at(x + across, y + down, width, size, anchor)


def line_at(x: float, middle: float, width: float, size: float, anchor: str) -> Place:
    """A line of text whose height is centred on `middle`."""
    left = x - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
    top = middle - size * LINE / 2
    return Place(Box(left, top, left + width, top + size * LINE), x, top + size * ASCENT, anchor)


def boxes(x: Floats, y: Floats, radius: Floats) -> Floats:
    """Rectangles around nodes as rows of left, top, right, bottom."""
    return np.stack([x - radius, y - radius, x + radius, y + radius], axis=1)
