"""Skeletons: what looks the same to a person gets the same text (Unicode TS 39, section 4).

A skeleton suggests that two values may be meant to be read alike. It is coarser than equality and never identity.
The character table comes with the `confusable-homoglyphs` package and is read on first use.
"""

from __future__ import annotations

import json
import re
import unicodedata
from functools import cache
from importlib.resources import files

from graph.spelling import INVISIBLE, fold

# One shape each after case folding: i, l, 1 and | are all read as l.
_SHAPES = {"i": "l", "1": "l", "|": "l", "0": "o"}
_NUMBER = re.compile(r"[0-9]+")
_SPACE = re.compile(r"\s+")


def prototype(character: str) -> str:
    """The character (or, for a ligature, characters) that this one passes for, case folded; itself if none."""
    return _table().get(ord(character), character)


def skeleton(text: str) -> str:
    """What the text looks like, case, look-alikes, spacing and accents' spelling aside."""
    folded = fold(text)
    if folded.isascii():
        mapped = folded.translate(_ascii_shapes())
    else:
        spread = unicodedata.normalize("NFD", folded).translate(_table())
        mapped = INVISIBLE.sub("", spread).translate(_ascii_shapes())
    return _SPACE.sub(" ", mapped).strip()


def name_skeleton(text: str) -> str:
    """`skeleton` with numbers set aside: names made from one template share it.

    A run of digits between letters is letters in disguise (`g00gle`); every other run counts as "a number" and
    becomes `#`, so that `Acme Labs 0412` and `Acme Labs 0977` are the same template.
    """
    folded = fold(text)
    if not folded.isascii():
        folded = "".join(_ascii_digit(c) for c in folded)
    return skeleton(_NUMBER.sub(_number, folded))


def _ascii_digit(character: str) -> str:
    return str(unicodedata.digit(character)) if unicodedata.category(character) == "Nd" else character


def _number(match: re.Match[str]) -> str:
    text, start, end = match.string, match.start(), match.end()
    inside = start > 0 and end < len(text) and text[start - 1].isalpha() and text[end].isalpha()
    return match.group() if inside else "#"


@cache
def _ascii_shapes() -> dict[int, str]:
    return {ord(c): shape for c, shape in _SHAPES.items()}


@cache
def _table() -> dict[int, str]:
    """Non-ASCII code point to the case-folded ASCII it passes for, else to the smallest of its class."""
    raw = json.loads(files("confusable_homoglyphs").joinpath("confusables.json").read_text("utf-8"))
    table: dict[int, str] = {}
    for character, others in raw.items():
        if len(character) != 1 or character.isascii():
            continue
        looks = {INVISIBLE.sub("", other["c"]) for other in others}
        best = min(looks | {character}, key=_preference)
        table[ord(character)] = best.casefold()
    return table


def _preference(looks: str) -> tuple[bool, bool, int, str]:
    """ASCII before the rest, letters and digits before signs, short before long, then code point order."""
    return (not looks.isascii() or not looks, not looks.isalnum(), len(looks), looks)
