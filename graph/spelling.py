"""How text is compared: what is removed, what is folded, and what counts as hidden.

Unicode 14 (that of Python 3.11): `Default_Ignorable_Code_Point` from DerivedCoreProperties.txt, NFKC and case
folding from UAX 15 and the Unicode Standard, section 3.13.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_DEFAULT_IGNORABLE = (
    "\u00ad\u034f\u061c\u115f-\u1160\u17b4-\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# Not default-ignorable, yet nothing is seen: controls that are no white space, annotations, the empty Braille cell.
_UNSEEN = "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufff9-\ufffb\u2800"
INVISIBLE = re.compile(f"[{_DEFAULT_IGNORABLE}{_UNSEEN}]")
"""Every character that is removed before anything is compared."""

_WORD = re.compile(r"\w+")
_JOINERS = "\u200c\u200d"
_EMOJI_SELECTORS = "\ufe0e\ufe0f"


def is_plain(text: str) -> bool:
    """Whether all is printable ASCII: nothing to normalise, nothing hidden."""
    return text.isascii() and text.isprintable()


def tidy(text: str) -> str:
    """NFKC, invisible characters removed, trimmed; case kept. Idempotent."""
    if is_plain(text):
        return text.strip()
    seen = INVISIBLE.sub("", unicodedata.normalize("NFKC", INVISIBLE.sub("", text)))
    return unicodedata.normalize("NFKC", seen).strip()


def fold(text: str) -> str:
    """`tidy`, and case folded: equal for two spellings of what people read as the same. Idempotent."""
    if is_plain(text):
        return text.strip().lower()
    folded = tidy(text)
    for _ in range(3):  # case folding may undo NFKC and the other way round; a few characters need two rounds
        again = tidy(folded.casefold())
        if again == folded:
            break
        folded = again
    return folded


def has_hidden(text: str) -> bool:
    """Whether the text holds invisible or look-alike characters that its reader would not expect.

    Joiners inside scripts and emoji that need them are no sign, nor are presentation selectors after a symbol;
    full-width words are how some keyboards write. A look-alike is a character that passes for an ASCII one in a word
    that has real ASCII letters too, or a letter from the mathematical and similar alphabets.
    """
    if is_plain(text):
        return False
    return any(True for _ in _hidden_spans(text))


def show(text: str) -> str:
    """The text for people's eyes, each hidden character written out as `<U+200B>`."""
    if is_plain(text):
        return text
    shown, last = [], 0
    for place in sorted(_hidden_spans(text)):
        shown.append(text[last:place])
        shown.append(f"<U+{ord(text[place]):04X}>")
        last = place + 1
    shown.append(text[last:])
    return "".join(shown)


def _hidden_spans(text: str) -> set[int]:
    places = {match.start() for match in INVISIBLE.finditer(text) if not _is_expected(text, match.start())}
    if text.isascii():
        return places
    visible = "".join(" " if i in places else c for i, c in enumerate(text)) if places else text
    for match in _WORD.finditer(visible):
        places.update(match.start() + i for i in _look_alikes(match.group()))
    return places


def _is_expected(text: str, place: int) -> bool:
    character = text[place]
    before = text[place - 1] if place else ""
    if not before:
        return False
    if character in _EMOJI_SELECTORS:
        return unicodedata.category(before) in {"So", "Sm", "Sk"} or before in "0123456789#*"
    if character not in _JOINERS:
        return False
    after = text[place + 1] if place + 1 < len(text) else ""
    if unicodedata.category(before) in {"So", "Sk"} or before in _EMOJI_SELECTORS:
        return bool(after) and unicodedata.category(after) in {"So", "Sk"}
    return ord(before) > 0x590 and unicodedata.category(before)[0] in "LM"


def _look_alikes(word: str) -> list[int]:
    if word.isascii():
        return []
    has_ascii = any(c.isascii() and c.isalpha() for c in word)
    full_width = not has_ascii and all("\uff01" <= c <= "\uff5e" for c in word)
    if full_width:
        return []
    return [i for i, c in enumerate(word) if not c.isascii() and _passes_for_ascii(c, has_ascii)]


@lru_cache(maxsize=8192)
def _passes_for_ascii(character: str, among_ascii: bool) -> bool:
    from graph.confusables import prototype  # the table is read only when there is something to look up

    if unicodedata.category(character) not in {"Lu", "Ll", "Lo", "Lm", "Nd", "Nl"}:
        return False
    compatible = unicodedata.normalize("NFKC", character)
    if compatible != character:
        # Mathematical alphabets, full-width letters among ASCII ones; ª and º are honest.
        return len(compatible) == 1 and compatible.isascii() and character not in "ªº"
    if not among_ascii or not character.isalpha():
        return False
    phonetic = "\u0250" <= character <= "\u02af" or "\u1d00" <= character <= "\u1dbf"
    ordinary = unicodedata.name(character, "").startswith("LATIN ") and not phonetic
    return not ordinary and prototype(character).isascii()
