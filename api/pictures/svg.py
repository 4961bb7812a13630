"""Just enough SVG: elements, text that is safe whatever it says, and how wide text is."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from api.output import printable
from graph.spelling import show

SANS = "Inter, Helvetica, Arial, 'DejaVu Sans', sans-serif"
INK, SOFT_INK, FAINT, PAPER, ACCENT = "#131A26", "#5A6676", "#C9D0D9", "#FFFFFF", "#1F5FD6"
_NARROWEST = 222
# Advance widths of Helvetica for space to tilde, in thousandths of the font's size.
_WIDTHS = (
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556,
    556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278,
    500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469,
    556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500,
    278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
)  # fmt: skip
_WIDEST_FONT = 1.16
"""Other fonts of the family list are up to so much wider."""
_BOLD = 1.08


def safe(text: str) -> str:
    """Text as people see it: hidden, look-alike and unprintable characters written out as `<U+200B>`."""
    return printable(show(text))


def escaped(text: str) -> str:
    """Text as XML holds it."""
    plain = safe(text)
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        plain = plain.replace(character, entity)
    return plain


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """The width that a text takes at most, in the unit of `size`, once it is `safe`."""
    total = sum(map(_advance, text))
    return total * size / 1000 * _WIDEST_FONT * (_BOLD if bold else 1)


def _advance(character: str) -> int:
    if " " <= character <= "~":
        return _WIDTHS[ord(character) - 32]
    if unicodedata.combining(character):
        return 0
    return 1000 if unicodedata.east_asian_width(character) in "WF" else 780


def shortened(text: str, size: float, room: float, *, bold: bool = False) -> str:
    """A `safe` text that fits: its middle gives way to `…`, since ids differ at both ends."""
    text = safe(text)
    if text_width(text, size, bold=bold) <= room:
        return text
    keep = min(len(text) - 1, int(room / (size * _NARROWEST / 1000)))
    while keep > 1:
        head = (keep + 1) // 2
        cut = f"{text[:head]}…{text[len(text) - (keep - head) :]}"
        if text_width(cut, size, bold=bold) <= room:
            return cut
        keep -= 1
    return "…"


def wrapped(text: str, size: float, room: float, most: int) -> list[str]:
    """A `safe` text in at most so many lines, broken at spaces; what does not fit ends in `…`."""
    lines: list[str] = []
    line = ""
    words = [shortened(word, size, room) for word in safe(text).split(" ") if word]
    for number, word in enumerate(words):
        longer = f"{line} {word}" if line else word
        if text_width(longer, size) <= room:
            line = longer
        elif len(lines) == most - 1:
            return [*lines, _ended(" ".join([*([line] if line else []), *words[number:]]), size, room)]
        else:
            lines.append(line)
            line = word
    return [*lines, line] if line else lines


def _ended(text: str, size: float, room: float) -> str:
    """The beginning of a text that is too long, and `…`."""
    while text and text_width(f"{text}…", size) > room:
        text = text[:-1]
    return f"{text.rstrip()}…"


def num(value: float) -> str:
    """A coordinate with at most two decimals."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


class Drawing:
    """Elements in the order in which they are painted."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self._parts: list[str] = []

    def add(self, name: str, /, **attributes: str | float) -> None:
        """One empty element; `_` in the names of attributes stands for `-`."""
        self._parts.append(f"<{name}{_attributes(attributes)}/>")

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        *,
        bold: bool = False,
        fill: str = INK,
        anchor: str = "start",
        halo: bool = False,
    ) -> None:
        """One line of text; with `halo` it stays legible over lines."""
        more: dict[str, str | float] = {} if anchor == "start" else {"text_anchor": anchor}
        if bold:
            more["font_weight"] = 600
        if halo:
            more |= {
                "stroke": PAPER,
                "stroke_width": size * 0.35,
                "stroke_linejoin": "round",
                "paint_order": "stroke",
            }
        attributes = _attributes({"x": x, "y": y, "font_size": size, "fill": fill, **more})
        self._parts.append(f"<text{attributes}>{escaped(text)}</text>")

    def group(self, **attributes: str | float) -> None:
        """Begin a group; its attributes hold for what follows until `end`."""
        self._parts.append(f"<g{_attributes(attributes)}>")

    def end(self) -> None:
        """End the innermost group."""
        self._parts.append("</g>")

    def document(self, title: str, description: str) -> bytes:
        """The file: UTF-8, A4 across."""
        head = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<svg xmlns="http://www.w3.org/2000/svg" width="297mm" height="210mm" role="img" '
            f'viewBox="0 0 {num(self.width)} {num(self.height)}" font-family="{escaped(SANS)}">'
            f"<title>{escaped(title)}</title><desc>{escaped(description)}</desc>"
        )
        return "\n".join([head, *self._parts, "</svg>\n"]).encode()


def points(pairs: Iterable[Sequence[float]]) -> str:
    """Corners of a polygon."""
    return " ".join(f"{num(x)},{num(y)}" for x, y in pairs)


def _attributes(values: dict[str, str | float]) -> str:
    shown = (
        (name.replace("_", "-"), value if isinstance(value, str) else num(value))
        for name, value in values.items()
    )
    return "".join(f' {name}="{escaped(value)}"' for name, value in shown)
