"""Consumption over time as a picture: all of it, what stops would have prevented, and what could have been."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from api.pictures.svg import ACCENT, FAINT, INK, PAPER, SOFT_INK, Drawing, points

if TYPE_CHECKING:
    from sim.replay.report import Curve

WIDTH, TALL, LOW = 842.0, 595.0, 280.0
LEFT, RIGHT, TOP, FOOT = 62.0, 20.0, 54.0, 34.0
ALL, PREVENTED = "#E3E7EC", "#0B6B4F"
SMALL, TEXT, HEADING = 8.0, 9.0, 12.0
TICKS, MOMENTS = 4, 8


def draw_chart(curve: Curve, title: str, whose: str, *, low: bool = False) -> bytes:
    """The curve as an SVG file, A4 across, or `low`, for a page; the same bytes for the same curve."""
    height = LOW if low else TALL
    drawing = Drawing(WIDTH, height)
    drawing.add("rect", width=WIDTH, height=height, fill=PAPER)
    drawing.text(LEFT, 20, title, HEADING, bold=True)
    _draw_legend(drawing, curve, whose)
    top = _round_up(max([*curve.total, *curve.ceiling, 0.0]))
    _draw_axes(drawing, curve, top, height)
    _draw_area(drawing, curve.total, top, height, ALL)
    _draw_area(drawing, curve.prevented, top, height, PREVENTED)
    if curve.ceiling:
        line = _outline(curve.ceiling, top, height)
        drawing.add("polyline", points=points(line), fill="none", stroke=ACCENT, stroke_width=1.1)
    total, prevented = sum(curve.total), sum(curve.prevented)
    described = f"{whose}: ${total:,.2f} in all, ${prevented:,.2f} of it prevented."
    return drawing.document(title, described)


def _draw_legend(drawing: Drawing, curve: Curve, whose: str) -> None:
    entries = [(ALL, whose), (PREVENTED, "prevented")]
    if curve.ceiling:
        entries.append((ACCENT, "a perfect detector at the same steps and delay"))
    x = LEFT
    for colour, words in entries:
        drawing.add("rect", x=x, y=31.0, width=12.0, height=8.0, fill=colour)
        drawing.text(x + 16, 38.5, words, TEXT, fill=SOFT_INK)
        x += 34 + len(words) * TEXT * 0.52


def _draw_axes(drawing: Drawing, curve: Curve, top: float, height: float) -> None:
    per = "hour" if curve.hours == 1 else f"{curve.hours:g} hours"
    drawing.text(WIDTH - RIGHT, 20, f"USD per {per}, times in UTC", SMALL, fill=SOFT_INK, anchor="end")
    for tick in range(TICKS + 1):
        y = _y(top * tick / TICKS, top, height)
        drawing.add("line", x1=LEFT, y1=y, x2=WIDTH - RIGHT, y2=y, stroke=FAINT, stroke_width=0.5)
        drawing.text(LEFT - 6, y + 3, f"{top * tick / TICKS:,.10g}", SMALL, fill=SOFT_INK, anchor="end")
    bins = len(curve.total)
    step = max(1, math.ceil(bins / MOMENTS))
    form = "%d %b %H:%M" if curve.width * bins < 14 * 86_400_000_000 else "%d %b"
    for place in range(0, bins, step):
        x = LEFT + (WIDTH - LEFT - RIGHT) * place / bins
        at = datetime.fromtimestamp((curve.start + place * curve.width) / 1e6, UTC)
        drawing.add("line", x1=x, y1=height - FOOT, x2=x, y2=height - FOOT + 4, stroke=INK, stroke_width=0.5)
        drawing.text(x, height - FOOT + 14, at.strftime(form), SMALL, fill=SOFT_INK)


def _draw_area(drawing: Drawing, values: tuple[float, ...], top: float, height: float, colour: str) -> None:
    ground = height - FOOT
    corners = [(LEFT, ground), *_outline(values, top, height), (WIDTH - RIGHT, ground)]
    drawing.add("polygon", points=points(corners), fill=colour)


def _outline(values: tuple[float, ...], top: float, height: float) -> list[tuple[float, float]]:
    """A step for each bin."""
    wide = (WIDTH - LEFT - RIGHT) / max(1, len(values))
    corners = []
    for place, value in enumerate(values):
        y = _y(value, top, height)
        corners += [(LEFT + place * wide, y), (LEFT + (place + 1) * wide, y)]
    return corners


def _y(value: float, top: float, height: float) -> float:
    return height - FOOT - (height - FOOT - TOP) * value / top


def _round_up(value: float) -> float:
    """The next 1, 2, 4, 6 or 8 with zeros behind it."""
    if value <= 0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(value))
    return next(unit * each for each in (1, 2, 4, 6, 8, 10) if unit * each >= value)
