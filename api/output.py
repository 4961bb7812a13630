"""What a command says: text and tables for people, one JSON object for programs.

Text goes to stdout, problems to stderr. On a terminal tables fit its width; elsewhere they are plain and as
wide as they need to be, so that `grep` and `awk` see whole rows. No identifier is ever cut short.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from graph.errors import RingfenceError

TEXT_WIDTH = 100
"""Columns at which paragraphs are broken where there is no terminal to ask."""

NARROWEST_TEXT_COLUMN = 24
"""A wrapped last column narrower than this is set under its row instead."""

GAP = "  "


@dataclass(frozen=True)
class Column:
    """A table's column: its title, whether it is numeric (set to the right), and its colour on a terminal."""

    title: str
    number: bool = False
    style: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of text under titles. The last column may be wrapped; the others are shown whole."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]


class Output:
    """One command's voice."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self._out = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._err = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)

    @property
    def width(self) -> int:
        """Columns available for paragraphs."""
        return self._out.width if self._out.is_terminal else TEXT_WIDTH

    def json(self, answer: Mapping[str, Any]) -> None:
        """Write the command's one object."""
        sys.stdout.write(as_json(answer).decode())
        sys.stdout.flush()

    def line(self, text: str = "", style: str = "") -> None:
        """Write one line as it is."""
        self._out.print(Text(text, style=style))

    def heading(self, text: str) -> None:
        """Write a title with an empty line before it."""
        self.line()
        self.line(text, "bold")

    def paragraph(self, text: str, indent: str = "") -> None:
        """Write text broken at spaces, never inside a word (an identifier is a word)."""
        self.line("\n".join(wrap(text, self.width, indent)))

    def facts(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Write `label  value` lines with the values aligned."""
        left = max((cell_len(label) for label, _ in pairs), default=0) + len(GAP)
        for label, value in pairs:
            lines = wrap(value, max(self.width - left, NARROWEST_TEXT_COLUMN)) or [""]
            self._out.print(Text.assemble((pad(label, left), "dim"), lines[0]))
            for line in lines[1:]:
                self.line(" " * left + line)

    def table(self, table: Table) -> None:
        """Write a table; an empty one writes only its titles."""
        limit = self._out.width if self._out.is_terminal else None
        for text in render(table, limit):
            self._out.print(text)

    def warn(self, message: str, remedy: str = "") -> None:
        """Say on stderr that something deserves a look; the command still succeeds."""
        if self.as_json:
            self._problem({"warning": message, "remedy": remedy})
            return
        self._err.print(Text.assemble(("warning: ", "bold yellow"), message))
        if remedy:
            self._err.print(Text(f"  {remedy}"))

    def error(self, message: str, remedy: str = "") -> None:
        """Say on stderr what is wrong and what to do next."""
        if self.as_json:
            self._problem({"message": message, "remedy": remedy})
            return
        self._err.print(Text.assemble(("error: ", "bold red"), message))
        if remedy:
            self._err.print(Text(f"  {remedy}"))

    def _problem(self, problem: Mapping[str, str]) -> None:
        sys.stderr.write(orjson.dumps(problem).decode() + "\n")
        sys.stderr.flush()


def as_json(answer: Mapping[str, Any]) -> bytes:
    """The answer as indented JSON: times in RFC 3339 UTC, keys as 32 hex digits, decimals as numbers."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC | orjson.OPT_SERIALIZE_NUMPY
    return orjson.dumps(plain(answer), option=options | orjson.OPT_APPEND_NEWLINE)


def plain(value: Any) -> Any:
    """A value that JSON has a word for."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, Path | str):
        return str(value).encode("utf-8", "replace").decode()
    if isinstance(value, UUID | bytes):
        return value.hex if isinstance(value, UUID) else value.hex()
    return float(value) if isinstance(value, Decimal) else value


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Text filled with spaces to a width in terminal cells."""
    space = " " * max(width - cell_len(text), 0)
    return space + text if right else text + space


def wrap(text: str, width: int, indent: str = "") -> list[str]:
    """Lines of at most `width` cells where spaces allow it."""
    return textwrap.wrap(
        text,
        max(width, len(indent) + NARROWEST_TEXT_COLUMN),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def render(table: Table, limit: int | None) -> list[Text]:
    """The table's lines; `limit` is the terminal's width, None for no limit and no colour."""
    widths = [
        max([cell_len(column.title), *(cell_len(row[place]) for row in table.rows)])
        for place, column in enumerate(table.columns)
    ]
    fixed = sum(widths[:-1]) + len(GAP) * (len(widths) - 1)
    if limit is None or fixed + widths[-1] <= limit:
        return _lines(table, widths, None)
    room = limit - fixed
    if room >= max(NARROWEST_TEXT_COLUMN, cell_len(table.columns[-1].title)):
        return _lines(table, [*widths[:-1], room], room)
    return _stacked(table, widths, limit)


def _lines(table: Table, widths: Sequence[int], room: int | None) -> list[Text]:
    lines = [_title(table.columns, widths)]
    for row in table.rows:
        last = [row[-1]] if room is None or table.columns[-1].number else wrap(row[-1], room) or [""]
        lines.append(_row(table.columns, widths, [*row[:-1], last[0]]))
        left = sum(widths[:-1]) + len(GAP) * (len(widths) - 1)
        lines.extend(Text(" " * left + more, style=table.columns[-1].style) for more in last[1:])
    return lines


def _stacked(table: Table, widths: Sequence[int], limit: int) -> list[Text]:
    """The last column under each row: for terminals too narrow to hold it beside the others."""
    lines = [_title(table.columns[:-1], widths)]
    for row in table.rows:
        lines.append(_row(table.columns, widths, row[:-1]))
        lines.extend(Text(line, style="dim") for line in wrap(row[-1], limit, indent="    "))
    return lines


def _title(columns: Sequence[Column], widths: Sequence[int]) -> Text:
    cells = [
        pad(column.title, width, right=column.number) for column, width in zip(columns, widths, strict=False)
    ]
    return Text(GAP.join(cells).rstrip(), style="bold")


def _row(columns: Sequence[Column], widths: Sequence[int], row: Sequence[str]) -> Text:
    line = Text()
    for place, cell in enumerate(row):
        last = place == len(row) - 1
        width = 0 if last and not columns[place].number else widths[place]
        line.append(pad(cell, width, right=columns[place].number), style=columns[place].style)
        if not last:
            line.append(GAP)
    line.rstrip()
    return line


def printable(text: str) -> str:
    """Text that cannot move the cursor, colour the terminal or hide: such characters become `<U+XXXX>`."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else f"<U+{ord(one):04X}>" for one in text)


def number(value: float | None, places: int = 0) -> str:
    """A number with thousands separated; `-` where there is none."""
    return "-" if value is None else f"{value:,.{places}f}"


def counted(count: int, what: str) -> str:
    """A number and what it counts: `1 row`, `2,000 rows`."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def percent(share: float) -> str:
    """A share of one as `0.04%`, `7.2%` or `100%`: two digits that say something."""
    hundredths = 100 * share
    return f"{hundredths:.0f}%" if hundredths >= 10 else f"{hundredths:.2g}%"


def signed(value: float) -> str:
    """Points with their sign, one decimal."""
    return f"{value:+,.1f}"


def moment(value: datetime | None) -> str:
    """A time in UTC to the second; `-` where there is none."""
    if value is None:
        return "-"
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    return aware.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def span(seconds: float) -> str:
    """A length of time in the unit that suits it: `45 s`, `12 min`, `3.5 h`, `4.2 d`."""
    seconds = abs(seconds)
    for unit, length, form in (("d", 86400, ".1f"), ("h", 3600, ".1f"), ("min", 60, ".0f")):
        if seconds >= length:
            return f"{seconds / length:{form}} {unit}"
    return f"{seconds:.0f} s"


def one_of(value: str, choices: Sequence[str], what: str) -> str:
    """`value` when it is one of the choices; else a RingfenceError (exit 2) that lists them."""
    if value in choices:
        return value
    raise RingfenceError(
        f"{printable(value)!r} is not a {what}", f"Choose one of: {', '.join(choices)}.", exit_code=2
    )
