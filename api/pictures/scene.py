"""The graph on the page: nodes one by one in their cells or, above some thousands, each cell as a disc."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from api.pictures.contents import Contents, Floats
from api.pictures.labels import Box, Room, around, boxes, line_at
from api.pictures.svg import ACCENT, INK, SOFT_INK, Drawing, num, shortened, text_width
from api.pictures.symbols import (
    ON_RISK,
    ORGANIZATION_WORDS,
    RISK_COLOURS,
    SYMBOLS,
    amount,
    band,
    draw_organization,
    draw_symbol,
)

DETAILED = 3_000
"""Nodes up to which all are drawn one by one."""
WIDEST_UNIT = 58.0
"""Points that a unit of the layout takes at most: a pair does not fill the page."""
LARGEST, LEAST_LABEL, LABEL = 9.5, 5.2, 6.6
LABEL_ROOM, TIGHT_ROOM = 92.0, 66.0
CAPTION = 7.4
FEW = 260
"""Nodes up to which organizations are labelled too."""
MUST, MOST_LABELS, HUBS = 5, 110, 48
MOST_REFERRALS = 160
CAPTIONED = 14
"""Cells up to which captions say what is shared; the list beside says it for the largest."""
BUNDLED, BUNDLES = 14, 2.5
"""Cells from which links between them are bundled into lines, the strongest, at most so many a cell."""
LINK, BUNDLE = "#AEB7C2", "#D5DBE2"
CELL_FILL, CELL_EDGE = "#F6F8FA", "#C9D0D9"


@dataclass(frozen=True)
class Drawn:
    """What of the cluster the picture shows: nodes that are drawn and labelled, closed cells, lines between cells.

    `lines` of `all_lines` between cells are drawn where these stand for links; both are 0 where links are drawn.
    """

    organizations: int
    identifiers: int
    labels: int
    closed: int
    lines: int
    all_lines: int


@dataclass(frozen=True)
class _Frame:
    """From the units of the layout to the page."""

    scale: float
    left: float
    top: float

    def x(self, value: Floats) -> Floats:
        return self.left + value * self.scale

    def y(self, value: Floats) -> Floats:
        return self.top + value * self.scale


def draw_scene(drawing: Drawing, contents: Contents, region: Box) -> Drawn:
    """Draw the cluster into a region of the page; says what was drawn."""
    shown = nodes_shown(contents)
    if shown is None:
        return _draw_closed(drawing, contents, region)
    return _draw_open(drawing, contents, shown, region)


def nodes_shown(contents: Contents) -> npt.NDArray[np.bool_] | None:
    """By node: whether it is drawn on its own; None where cells are closed.

    Of too many identifiers those that most members use are drawn, as long as organizations leave them half the nodes.
    """
    mine = contents.is_organization
    room = DETAILED - int(mine.sum())
    shown = np.ones(len(mine), dtype=np.bool_)
    if len(mine) <= DETAILED:
        return shown
    if room < DETAILED // 2:
        return None
    identifiers = np.flatnonzero(~mine)
    shown[identifiers[np.argsort(-contents.degree[identifiers], kind="stable")][room:]] = False
    return shown


def draws_referrals(contents: Contents) -> bool:
    """Whether referrals are drawn: not so many that they hide all else."""
    return 0 < len(contents.brought) <= MOST_REFERRALS and nodes_shown(contents) is not None


def _frame(contents: Contents, region: Box, closed: bool) -> _Frame:
    """As large as the region allows."""
    several = len(contents.radius) > 1
    x, y, r = (
        (contents.centre[:, 0], contents.centre[:, 1], contents.radius)
        if several or closed
        else (contents.x, contents.y, np.full(len(contents.x), 0.5))
    )
    left, right, top, bottom = (x - r).min(), (x + r).max(), (y - r).min(), (y + r).max()
    room = Box(region.left + 8, region.top + 20, region.right - 8, region.bottom - 14)
    if not several:  # labels stand beside the outermost nodes
        room = replace(room, left=region.left + 90, right=region.right - 90)
    wide, high = room.right - room.left, room.bottom - room.top
    scale = min(wide / (right - left), high / (bottom - top), WIDEST_UNIT)
    middle_x, middle_y = (room.left + room.right) / 2, (room.top + room.bottom) / 2
    return _Frame(scale, middle_x - (left + right) / 2 * scale, middle_y - (top + bottom) / 2 * scale)


def _radii(contents: Contents, scale: float) -> Floats:
    """Sizes of nodes by degree; nodes of a cell are a unit apart at least, so none overlap."""
    most = min(LARGEST, 0.47 * scale)
    worth = np.log2(1 + contents.degree)
    return np.asarray(most * (0.55 + 0.45 * worth / max(float(worth.max(initial=0)), 1.0)))


def _draw_open(drawing: Drawing, contents: Contents, shown: npt.NDArray[np.bool_], region: Box) -> Drawn:
    frame = _frame(contents, region, closed=False)
    x, y, radius = frame.x(contents.x), frame.y(contents.y), _radii(contents, frame.scale)
    lines = (0, 0)
    bundled = len(contents.radius) > BUNDLED
    if bundled:
        lines = _draw_bundles(drawing, contents, *_middles(contents, frame))
    if len(contents.radius) > 1:
        _draw_cells(drawing, contents, frame)
    _draw_links(drawing, contents, shown, frame, (x, y), bundled)
    if draws_referrals(contents):
        _draw_referrals(drawing, contents, frame, (x, y), radius)
    mine = contents.is_organization
    for node in np.flatnonzero(shown & ~mine).tolist():
        draw_symbol(drawing, contents.label[node], x[node], y[node], radius[node] * 1.08)
    for node in np.flatnonzero(mine).tolist():
        draw_organization(drawing, x[node], y[node], radius[node], contents.risk[node])
    room = Room(region)
    if len(contents.radius) > 1:
        _caption_cells(drawing, contents, frame, room)
    labels = _label_nodes(drawing, contents, shown, (x, y, radius), room)
    return Drawn(int(mine.sum()), int((shown & ~mine).sum()), labels, 0, *lines)


def _middles(contents: Contents, frame: _Frame) -> tuple[Floats, Floats]:
    return frame.x(contents.centre[:, 0]), frame.y(contents.centre[:, 1])


def _draw_cells(drawing: Drawing, contents: Contents, frame: _Frame) -> None:
    drawing.group(fill=CELL_FILL, stroke=CELL_EDGE, stroke_width=0.7)
    for (x, y), r in zip(contents.centre, contents.radius, strict=True):
        drawing.add("circle", cx=float(frame.x(x)), cy=float(frame.y(y)), r=r * frame.scale)
    drawing.end()


def _draw_links(
    drawing: Drawing,
    contents: Contents,
    shown: npt.NDArray[np.bool_],
    frame: _Frame,
    at: tuple[Floats, Floats],
    bundled: bool,
) -> None:
    """All links as two paths, those between cells fainter; only those inside cells where the others are bundled."""
    x, y = at
    width = max(0.3, min(0.9, frame.scale * 0.06))
    inside = contents.cell[contents.source] == contents.cell[contents.target]
    visible = shown[contents.target]
    groups = ((visible & inside, 0.8),) if bundled else ((visible & ~inside, 0.4), (visible & inside, 0.8))
    for which, opacity in groups:
        ends = zip(contents.source[which].tolist(), contents.target[which].tolist(), strict=True)
        lines = "".join(f"M{num(x[a])} {num(y[a])}L{num(x[b])} {num(y[b])}" for a, b in ends)
        if lines:
            drawing.add("path", d=lines, fill="none", stroke=LINK, stroke_width=width, opacity=opacity)


def _draw_referrals(
    drawing: Drawing, contents: Contents, frame: _Frame, at: tuple[Floats, Floats], radius: Floats
) -> None:
    """An arrow from who brought to who was brought, bowed so that it does not hide links."""
    x, y = at
    lines = []
    for brought, bringer in contents.brought.tolist():
        dx, dy = x[brought] - x[bringer], y[brought] - y[bringer]
        length = max(float(np.hypot(dx, dy)), 1e-6)
        ux, uy = dx / length, dy / length
        head = min(3.2, frame.scale * 0.3)
        tip_x, tip_y = x[brought] - ux * radius[brought], y[brought] - uy * radius[brought]
        mid_x, mid_y = (
            (x[bringer] + tip_x) / 2 - uy * length * 0.1,
            (y[bringer] + tip_y) / 2 + ux * length * 0.1,
        )
        back_x, back_y = tip_x - ux * head, tip_y - uy * head
        lines.append(
            f"M{num(x[bringer])} {num(y[bringer])}Q{num(mid_x)} {num(mid_y)} {num(tip_x)} {num(tip_y)}"
            f"M{num(back_x - uy * head * 0.5)} {num(back_y + ux * head * 0.5)}L{num(tip_x)} {num(tip_y)}"
            f"L{num(back_x + uy * head * 0.5)} {num(back_y - ux * head * 0.5)}"
        )
    if lines:
        width = max(0.3, min(0.9, frame.scale * 0.06))
        drawing.add("path", d="".join(lines), fill="none", stroke=ACCENT, stroke_width=width, opacity=0.75)


def _caption_cells(drawing: Drawing, contents: Contents, frame: _Frame, room: Room) -> None:
    """Number and organizations above each cell, and what they share where there is room."""
    radius = contents.radius * frame.scale
    cells = boxes(*_middles(contents, frame), radius * 0.8)
    many = len(radius) > CAPTIONED
    size = LABEL if many else CAPTION
    for cell, members in enumerate(contents.members.tolist()):
        x, y = (float(middle[cell]) for middle in _middles(contents, frame))
        head = f"{cell + 1} · {amount(members, ORGANIZATION_WORDS)}"
        room_for_more = 2 * radius[cell] if many else max(150.0, 2.2 * radius[cell])
        more = what_they_share(contents, cell, LEAST_LABEL if many else LABEL, room_for_more)
        others = np.delete(cells, cell, axis=0)
        short = f"{cell + 1} · {members:,}"
        tries = ((short, more), (short,)) if many else ((head, more), (head,), (short,))
        for lines in tries:
            if "" not in lines and _caption(drawing, lines, size, (x, y, radius[cell]), room, others):
                break


def _caption(
    drawing: Drawing,
    lines: tuple[str, ...],
    size: float,
    circle: tuple[float, float, float],
    room: Room,
    others: Floats,
) -> bool:
    x, y, r = circle
    step = size * 1.15
    wide = max(text_width(line, size * 0.88) for line in lines)
    wide = max(wide, text_width(lines[0], size, bold=True))
    high = step * len(lines)
    for top in (y - r - high - 2, y + r + 2):
        box = Box(x - wide / 2, top, x + wide / 2, top + high)
        if not room.is_free(box, others):
            continue
        room.take(box)
        for number, line in enumerate(lines):
            place = line_at(x, top + step * (number + 0.5), wide, size, "middle")
            bold, high, fill = (True, size, INK) if number == 0 else (False, size * 0.88, SOFT_INK)
            drawing.text(x, place.baseline, line, high, bold=bold, fill=fill, anchor="middle", halo=True)
        return True
    return False


def what_they_share(contents: Contents, cell: int, size: float, room: float) -> str:
    """`48 share device dev_41ce`: the identifier that most organizations of a cell use; empty if no two share one."""
    node, users = int(contents.common[cell]), int(contents.users[cell])
    if node < 0 or users < 2:
        return ""
    all_of_them = users == contents.members[cell]
    who = ("both" if users == 2 else f"all {users:,}") if all_of_them else f"{users:,}"
    start = f"{who} share {SYMBOLS[contents.label[node]].words[0]} "
    left = room - text_width(start, size)
    if left > 24:
        return f"{start}{shortened(contents.name[node], size, left)}"
    return start.strip() if left > 0 else ""


def _label_nodes(
    drawing: Drawing,
    contents: Contents,
    shown: npt.NDArray[np.bool_],
    at: tuple[Floats, Floats, Floats],
    room: Room,
) -> int:
    """Label what most members use, then organizations, the riskiest first, as long as nothing is covered.

    Of many nodes only what very many use is labelled: the rest would hide the picture.
    """
    x, y, radius = at
    few = len(x) <= FEW
    size = LABEL if few else LEAST_LABEL
    nodes = boxes(x, y, radius * 0.9)[shown]
    hubs = np.flatnonzero(shown & ~contents.is_organization)
    hubs = hubs[np.argsort(-contents.degree[hubs], kind="stable")]
    people = np.flatnonzero(contents.is_organization)
    people = people[np.lexsort((people, -contents.degree[people], -contents.risk[people]))]
    must = set(
        hubs[: MUST if few else 0].tolist()
    )  # over small neighbours if need be, never over one another
    done = 0
    chosen = np.concatenate([hubs, people]) if few else hubs[:HUBS]
    for node in chosen.tolist():
        if done == MOST_LABELS:
            break
        if not contents.name[node]:
            continue
        text = shortened(contents.name[node], size, LABEL_ROOM if few else TIGHT_ROOM)
        wide = text_width(text, size)
        places = list(around(x[node], y[node], radius[node], wide, size))
        place = room.first_free(places, nodes)
        if place is None and node in must:
            place = room.first_free(places)
        if place is not None:
            drawing.text(place.x, place.baseline, text, size, anchor=place.anchor, halo=True)
            done += 1
    return done


def _draw_closed(drawing: Drawing, contents: Contents, region: Box) -> Drawn:
    frame = _frame(contents, region, closed=True)
    x, y = _middles(contents, frame)
    radius = _disc_radii(contents) * frame.scale
    lines = _draw_bundles(drawing, contents, x, y)
    drawing.group(stroke="#FFFFFF", stroke_width=0.6)
    for cell, share in enumerate(contents.share.tolist()):
        drawing.add("circle", cx=x[cell], cy=y[cell], r=radius[cell], fill=RISK_COLOURS[band(100 * share)])
    drawing.end()
    for cell, members in enumerate(contents.members.tolist()):
        _count_in_disc(drawing, (x[cell], y[cell], radius[cell]), cell, members, contents.share[cell])
    return Drawn(0, 0, 0, len(radius), *lines)


def _disc_radii(contents: Contents) -> Floats:
    """Areas follow organizations; a disc stays in its cell."""
    wanted = np.sqrt(np.maximum(contents.members, 1))
    factor = float(np.quantile(contents.radius / wanted, 0.25))
    return np.asarray(np.minimum(wanted * factor, contents.radius))


def _count_in_disc(
    drawing: Drawing, disc: tuple[float, float, float], cell: int, members: int, share: float
) -> None:
    x, y, r = disc
    fill = ON_RISK[band(100 * share)]
    if r >= 16:
        drawing.text(x, y - 1, f"{members:,}", min(9.0, r * 0.42), bold=True, fill=fill, anchor="middle")
        drawing.text(x, y + 7, f"cell {cell + 1}", min(6.4, r * 0.32), fill=fill, anchor="middle")
    elif r >= 5.5:
        size = min(6.4, r * 0.62)
        if text_width(f"{members:,}", size) < 1.8 * r:
            drawing.text(x, y + size * 0.36, f"{members:,}", size, fill=fill, anchor="middle")


def _draw_bundles(drawing: Drawing, contents: Contents, x: Floats, y: Floats) -> tuple[int, int]:
    """The strongest lines between cells, as wide as they have many links; says how many of how many."""
    count = len(x)
    one, other = contents.cell[contents.source], contents.cell[contents.target]
    apart = one != other
    low, high = np.minimum(one[apart], other[apart]), np.maximum(one[apart], other[apart])
    pairs, links = np.unique(low * count + high, return_counts=True)
    strongest = np.argsort(-links, kind="stable")[: int(BUNDLES * count)]
    drawing.group(stroke=BUNDLE, fill="none")
    for pair, number in zip(pairs[strongest].tolist(), links[strongest].tolist(), strict=True):
        a, b = divmod(pair, count)
        width = min(0.3 + 0.2 * float(np.log2(1 + number)), 2.2)
        drawing.add("path", d=f"M{num(x[a])} {num(y[a])}L{num(x[b])} {num(y[b])}", stroke_width=width)
    drawing.end()
    return len(strongest), len(pairs)
