"""The printable page of a cluster: title, picture, why the score, legend, and what was left out."""

from __future__ import annotations

from collections import Counter

import numpy as np

from api.answers.reading import Row
from api.output import moment, number, percent, signed
from api.pictures.contents import Contents
from api.pictures.labels import Box
from api.pictures.scene import Drawn, draw_scene, draws_referrals, what_they_share
from api.pictures.svg import ACCENT, FAINT, INK, PAPER, SOFT_INK, Drawing, shortened, text_width, wrapped
from api.pictures.symbols import (
    ON_RISK,
    ORGANIZATION_WORDS,
    RISK_BANDS,
    RISK_COLOURS,
    SYMBOLS,
    amount,
    band,
    draw_symbol,
)
from detection.scoring import BASE
from graph.layouts import HIGH_RISK

WIDTH, HEIGHT, EDGE = 842.0, 595.0, 28.0
SIDE = 632.0
"""Where the column on the right begins."""
RULE, FOOT = 70.0, 560.0
SMALL, TEXT, HEADING = 6.8, 7.6, 9.0
STRONGEST = 5
DOWN, UP, TRACK = "#C93A2B", "#0B6B4F", "#E6EAEF"
Y_LEAST = 12.0


def draw_page(contents: Contents) -> bytes:
    """The picture of a cluster as an SVG file, A4 across; the same bytes for the same contents."""
    drawing = Drawing(WIDTH, HEIGHT)
    drawing.add("rect", width=WIDTH, height=HEIGHT, fill=PAPER)
    title = _title(contents)
    drawn = draw_scene(drawing, contents, Box(EDGE, RULE + 4, SIDE - 14, FOOT - 6))
    _draw_head(drawing, contents, title)
    y = _draw_reasons(drawing, contents, RULE + 20)
    y = _draw_legend(drawing, contents, drawn, y)
    _draw_largest(drawing, contents, y)
    notes = _footnotes(contents, drawn)
    for place, line in enumerate(notes):
        drawing.text(EDGE, FOOT + 10 + place * 9, line, SMALL, fill=SOFT_INK)
    described = f"{title}, {contents.cluster['cluster_id']}, run {contents.run_id}. {' '.join(notes)}"
    return drawing.document(title, described)


def _title(contents: Contents) -> str:
    row = contents.cluster
    return str(row["name"]).removesuffix(str(row["cluster_id"])).strip() or str(row["cluster_id"])


def _draw_head(drawing: Drawing, contents: Contents, title: str) -> None:
    row = contents.cluster
    tone = band(row["risk"])
    drawing.add("rect", x=EDGE, y=25.0, width=44.0, height=28.0, rx=5.0, fill=RISK_COLOURS[tone])
    drawing.text(EDGE + 22, 45, f"{row['risk']:.0f}", 16, bold=True, fill=ON_RISK[tone], anchor="middle")
    left, right = EDGE + 56, 400.0
    drawing.text(left, 38, shortened(title, 16, right - left, bold=True), 16, bold=True)
    where = f"{row['cluster_id']} · risk {row['risk']:.1f} of 100 · as of {moment(contents.as_of)} UTC"
    drawing.text(left, 51, shortened(where, TEXT, right - left), TEXT, fill=SOFT_INK)
    drawing.text(left, 61, shortened(contents.run_id, SMALL, right - left), SMALL, fill=SOFT_INK)
    identifiers = len(contents.label) - int(contents.is_organization.sum())
    figures = (
        (number(row["size"]), "organizations"),
        (number(identifiers), "shared identifiers"),
        (f"+{number(row['new_24h'])}", "new in 24 h"),
        (number(row["cost"], 2), "cost of serving"),
        (number(row["credit_used"], 2), "credit used"),
    )
    step = (WIDTH - EDGE - 420) / len(figures)
    for place, (figure, words) in enumerate(figures):
        drawing.text(420 + place * step, 38, shortened(figure, 12, step - 4, bold=True), 12, bold=True)
        drawing.text(420 + place * step, 50, words, SMALL, fill=SOFT_INK)
    drawing.add("line", x1=EDGE, y1=RULE, x2=WIDTH - EDGE, y2=RULE, stroke=FAINT, stroke_width=0.7)
    drawing.add("line", x1=SIDE - 12, y1=RULE, x2=SIDE - 12, y2=FOOT - 4, stroke=FAINT, stroke_width=0.7)
    drawing.add("line", x1=EDGE, y1=FOOT - 4, x2=WIDTH - EDGE, y2=FOOT - 4, stroke=FAINT, stroke_width=0.7)


def _draw_reasons(drawing: Drawing, contents: Contents, y: float) -> float:
    """The strongest evidence in words, with its points; returns where the next part begins."""
    counted = [row for row in contents.evidence if abs(row["points"]) >= 0.05 and row["signal"] != BASE]
    told = sorted(counted, key=lambda row: (-abs(row["points"]), row["signal"]))[:STRONGEST]
    _heading(drawing, "Why this score", f"{_points(contents.cluster['points'])} points", y)
    y += 15
    left, room = SIDE + 30, WIDTH - EDGE - SIDE - 30
    strongest = max((abs(row["points"]) for row in told), default=1.0)
    for row in told:
        drawing.text(left - 5, y, _points(row["points"]), TEXT, bold=True, anchor="end")
        usual = "" if row["baseline"] is None else f"usual {percent(row['baseline'])}"
        wide = room - text_width(usual, SMALL) - 3
        drawing.text(left, y, shortened(row["title"], TEXT, wide, bold=True), TEXT, bold=True)
        drawing.text(WIDTH - EDGE, y, usual, SMALL, fill=SOFT_INK, anchor="end")
        for line in wrapped(str(row["fact"]).rstrip("."), SMALL, room, 3):
            y += 8.6
            drawing.text(left, y, line, SMALL, fill=SOFT_INK)
        y += 4.2
        drawing.add("rect", x=SIDE, y=y, width=WIDTH - EDGE - SIDE, height=1.3, fill=TRACK)
        long = (WIDTH - EDGE - SIDE) * abs(row["points"]) / strongest
        drawing.add("rect", x=SIDE, y=y, width=long, height=1.3, fill=DOWN if row["points"] > 0 else UP)
        y += 11.5
    drawing.text(SIDE, y - 1, _others(contents, counted[: len(told)], len(counted)), SMALL, fill=SOFT_INK)
    return y + 18


def _others(contents: Contents, told: list[Row], counted: int) -> str:
    """What the points do not show: how many signals there are, and where every cluster starts."""
    base = sum(row["points"] for row in contents.evidence if row["signal"] == BASE)
    some = f"{len(told)} of {counted} signals; " if len(told) < counted else ""
    return f"{some}{'every' if some else 'Every'} cluster starts at {_points(base)}"


def _points(points: float) -> str:
    return signed(points).replace("-", "\u2212")


def _heading(drawing: Drawing, text: str, more: str, y: float) -> None:
    drawing.text(SIDE, y, text, HEADING, bold=True)
    drawing.text(WIDTH - EDGE, y, more, TEXT, fill=SOFT_INK, anchor="end")


def _draw_legend(drawing: Drawing, contents: Contents, drawn: Drawn, y: float) -> float:
    _heading(drawing, "Legend", "", y)
    y = _draw_bands(drawing, contents, drawn, y + 9)
    counts = Counter(label for label in contents.label if label in SYMBOLS)
    entries = [(label, counts[label]) for label in SYMBOLS if counts[label]]
    step = (WIDTH - EDGE - SIDE) / 2
    for place, (label, count) in enumerate(entries):
        x, row = SIDE + (place % 2) * step, y + (place // 2) * Y_LEAST
        if not drawn.closed:
            draw_symbol(drawing, label, x + 5, row - 2.4, 4.2)
        indent = 0 if drawn.closed else 12
        drawing.text(x + indent, row, amount(count, SYMBOLS[label].words), SMALL)
    y += (len(entries) + 1) // 2 * Y_LEAST
    if draws_referrals(contents):
        drawing.add("line", x1=SIDE, y1=y - 2.4, x2=SIDE + 10, y2=y - 2.4, stroke=ACCENT, stroke_width=1.0)
        words = amount(len(contents.brought), ("referral, from who brought", "referrals, from who brought"))
        drawing.text(SIDE + 13, y, words, SMALL)
        y += Y_LEAST
    return y + 10


def _draw_bands(drawing: Drawing, contents: Contents, drawn: Drawn, y: float) -> float:
    """The colours of risk with how many organizations, or closed cells, are of each."""
    step = (WIDTH - EDGE - SIDE) / len(RISK_BANDS)
    if drawn.closed:
        values = 100 * contents.share
        what = f"{amount(drawn.closed, ('cell', 'cells'))} by share of members of risk {HIGH_RISK:.0f}+"
    else:
        values = contents.risk[contents.is_organization]
        what = f"{amount(len(values), ORGANIZATION_WORDS)} by risk of the member"
    counts = np.bincount([band(value) for value in values.tolist()], minlength=len(RISK_BANDS))
    for place, (name, colour) in enumerate(zip(RISK_BANDS, RISK_COLOURS, strict=True)):
        x = SIDE + place * step
        drawing.add("rect", x=x, y=y, width=step - 1.5, height=10.0, rx=1.5, fill=colour)
        middle = x + (step - 1.5) / 2
        drawing.text(
            middle, y + 7.6, f"{counts[place]:,}", SMALL, bold=True, fill=ON_RISK[place], anchor="middle"
        )
        label = f"{name}%" if drawn.closed else name
        drawing.text(middle, y + 18, label, SMALL, fill=SOFT_INK, anchor="middle")
    drawing.text(SIDE, y + 28, what, SMALL, fill=INK)
    return y + 41


def _draw_largest(drawing: Drawing, contents: Contents, y: float) -> None:
    """The largest cells and what their organizations share, as many as the column has room for."""
    total = len(contents.members)
    rows = min(total, int((FOOT - 12 - (y + 6)) // 20))
    if total < 2 or rows < 1:
        return
    _heading(drawing, "Cells", f"{rows} of {total:,}" if rows < total else f"{total}", y)
    room = WIDTH - EDGE - SIDE - 18
    for cell in range(rows):
        y += 13 if cell == 0 else 11
        drawing.text(SIDE + 13, y, str(cell + 1), TEXT, bold=True, anchor="end")
        members = amount(int(contents.members[cell]), ORGANIZATION_WORDS)
        risky = f", {percent(contents.share[cell])} of risk {HIGH_RISK:.0f}+" if contents.share[cell] else ""
        drawing.text(SIDE + 18, y, shortened(members + risky, SMALL, room), SMALL)
        y += 8.6
        shared = what_they_share(contents, cell, SMALL, room) or "nothing that two of them share"
        drawing.text(SIDE + 18, y, shared, SMALL, fill=SOFT_INK)


def _footnotes(contents: Contents, drawn: Drawn) -> list[str]:
    """What the picture shows of what there is, and how to read it."""
    organizations = int(contents.is_organization.sum())
    identifiers = len(contents.label) - organizations
    people, cells = amount(organizations, ORGANIZATION_WORDS), amount(drawn.closed, ("cell", "cells"))
    first = "Shared identifiers are those that at least two members use; others are left out. "
    if drawn.closed:
        first += f"Closed for size: {people} and {identifiers:,} shared identifiers in {cells}."
        second = "The area of a disc, and the number in it, are its organizations."
    else:
        noun = "identifier" if identifiers == 1 else "identifiers"
        first += f"Drawn: {people}, {_of(drawn.identifiers, identifiers)} shared {noun}."
        nodes = drawn.organizations + drawn.identifiers
        named = f"Named: {_of(drawn.labels, nodes)} nodes. " if drawn.labels else "Names do not fit. "
        second = f"{named}Larger shapes have more links within the cluster."
    if drawn.all_lines:
        second += (
            f" Lines between cells stand for the links between them, wider for more: "
            f"the strongest {_of(drawn.lines, drawn.all_lines)}."
        )
    if len(contents.brought) and not draws_referrals(contents):
        first += f" {amount(len(contents.brought), ('referral', 'referrals'))} among members left out."
    return [shortened(line, SMALL, WIDTH - 2 * EDGE) for line in (first, second)]


def _of(some: int, total: int) -> str:
    """`50 of 3,214`, or the total alone."""
    return f"{some:,} of {total:,}" if some < total else f"{total:,}"
