"""The cache of answers, and cursors that only their list can read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.paging import Cursors
from api.http.problems import Problem
from api.kept import Kept

PLACES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=5,
)


def test_an_answer_is_made_once_and_forgotten_when_room_is_needed() -> None:
    kept, made = Kept(room=100), []

    def ask(key: str, weight: int) -> None:
        kept.get(key, lambda: made.append(key), lambda _: weight)

    for key, weight in (
        ("a", 40),
        ("b", 40),
        ("a", 40),
        ("c", 40),
        ("a", 40),
        ("b", 40),
        ("huge", 101),
        ("a", 40),
    ):
        ask(key, weight)
    assert made == ["a", "b", "c", "b", "huge"]


def test_a_failure_is_not_kept() -> None:
    kept = Kept()
    with pytest.raises(ZeroDivisionError):
        kept.get("a", lambda: 1 // 0)
    assert kept.get("a", lambda: 1) == 1


@given(place=PLACES, asked=st.lists(st.none() | st.integers(-5, 5) | st.text(max_size=5), max_size=4))
def test_a_cursor_gives_back_its_place(place: object, asked: list[object]) -> None:
    asked = [each for each in asked if not isinstance(each, str) or each.isascii()]
    cursors = Cursors(b"secret")
    assert cursors.read(asked, cursors.make(asked, place)) == place


@given(st.text(max_size=300), st.binary(max_size=60))
def test_no_other_text_is_a_cursor(text: str, change: bytes) -> None:
    cursors, others = Cursors(b"secret"), Cursors(b"other")
    real = cursors.make(["list"], [1, "x"])
    forged = others.make(["list"], [1, "x"])
    for wrong in (text, forged, real + text[:1] + "A", real[:-1], change.hex()):
        if wrong == real:
            continue
        with pytest.raises(Problem, match="cursor"):
            cursors.read(["list"], wrong)
    with pytest.raises(Problem, match="cursor"):
        cursors.read(["another"], real)
