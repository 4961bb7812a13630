"""Tables that fit, text that cannot hurt, JSON that is complete."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from api.output import Column, Table, as_json, moment, number, percent, printable, render, span

ID = "cl_4t6hq2mzxa"
TABLE = Table(
    [Column("#", number=True), Column("cluster"), Column("strongest evidence")],
    [["1", ID, "missing client, sign-up burst, shared payment method"], ["10", ID, "trial burn"]],
)


def _text(limit: int | None, table: Table = TABLE) -> list[str]:
    return [line.plain for line in render(table, limit)]


def test_without_a_terminal_rows_are_whole() -> None:
    assert _text(None) == [
        " #  cluster        strongest evidence",
        f" 1  {ID}  missing client, sign-up burst, shared payment method",
        f"10  {ID}  trial burn",
    ]


def test_a_wide_enough_terminal_wraps_the_last_column() -> None:
    assert _text(50) == [
        " #  cluster        strongest evidence",
        f" 1  {ID}  missing client, sign-up burst,",
        "                   shared payment method",
        f"10  {ID}  trial burn",
    ]


def test_a_narrow_terminal_stacks_it() -> None:
    assert _text(36)[:3] == [" #  cluster", f" 1  {ID}", "    missing client, sign-up burst,"]


@given(st.integers(20, 200), st.text("abc -", max_size=80))
def test_nothing_is_cut_and_lines_fit(limit: int, words: str) -> None:
    lines = _text(limit, Table(TABLE.columns, [["1", ID, words]]))
    assert ID in lines[1]
    assert "".join(words.split()) in "".join("".join(lines).split())
    longest = max((len(word) for word in words.split()), default=0)
    assert all(cell_len(line) <= max(limit, 28 + longest) for line in lines)


def test_wide_characters_keep_columns_aligned() -> None:
    lines = _text(None, Table([Column("name"), Column("n", number=True)], [["日本", "1"], ["abcd", "2"]]))
    assert [cell_len(line) for line in lines] == [7, 7, 7]


@given(st.text())
def test_printable_text_has_no_control_characters(text: str) -> None:
    assert printable(text).isprintable()


@pytest.mark.parametrize(
    ("raw", "shown"),
    [("a\u200bb", "a<U+200B>b"), ("\x1b[2J", "<U+001B>[2J"), ("\u202ex", "<U+202E>x"), ("Zoë", "Zoë")],
)
def test_hidden_characters_are_shown(raw: str, shown: str) -> None:
    assert printable(raw) == shown


def test_json_has_a_word_for_everything() -> None:
    answer = {
        "key": UUID(int=255),
        "bytes": b"\x01",
        "money": Decimal("1.50"),
        "at": datetime(2026, 1, 2, tzinfo=UTC),
        "lone surrogate": "a\ud800",
        "nothing": None,
    }
    assert json.loads(as_json(answer)) == {
        "key": "0" * 30 + "ff",
        "bytes": "01",
        "money": 1.5,
        "at": "2026-01-02T00:00:00Z",
        "lone surrogate": "a?",
        "nothing": None,
    }


def test_numbers_times_and_spans() -> None:
    assert (number(None), number(1234.5, 1), number(1234)) == ("-", "1,234.5", "1,234")
    assert (moment(None), moment(datetime(2026, 1, 2, 3, 4, 5))) == ("-", "2026-01-02 03:04:05")
    assert [span(each) for each in (45, -720, 12_600, 360_000)] == ["45 s", "12 min", "3.5 h", "4.2 d"]


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0, "0%"), (0.000412, "0.041%"), (0.0716, "7.2%"), (0.0999, "10%"), (0.714, "71%"), (1, "100%")],
)
def test_shares_are_shown_in_per_cent(share: float, shown: str) -> None:
    assert percent(share) == shown
