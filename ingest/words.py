"""The short descriptive columns, one value at a time: folded words, closed lists, codes."""

from __future__ import annotations

import re
from collections.abc import Callable

from graph.identifiers import ENTITY_TYPES
from graph.spelling import fold, tidy
from graph.stop_values import is_stop
from ingest.fields import CHOICES, CURRENCIES, EVENT_TYPES, FREE_TEXT
from ingest.grammar import GrammarError

_COUNTRY = re.compile(r"^[A-Z][A-Z0-9]$")
_EVENT_TYPES = frozenset(EVENT_TYPES)
UNREAL_COUNTRIES = frozenset({"XX", "ZZ"})
"""What address databases write for "unknown"."""


def read_word(field: str, raw: str) -> str | None:
    """What is stored for a descriptive column's text; None for a placeholder. Raises GrammarError.

    Columns: `event_type`, `entity_type`, `country`, `currency`, and those of FOLDED_TEXT, FREE_TEXT and CHOICES.
    """
    if field == "event_type":
        return _read_event_type(raw)
    folded = fold(raw)
    if is_stop(folded):
        return None
    if field in FREE_TEXT:
        return tidy(raw)
    return _READERS[field](folded) if field in _READERS else _read_choice(field, folded)


def _read_event_type(raw: str) -> str:
    folded = fold(raw)
    if not folded:
        raise GrammarError("missing_event_type")
    if folded not in _EVENT_TYPES:
        raise GrammarError("unknown_event_type")
    return folded


def _read_entity_type(folded: str) -> str:
    kind = ENTITY_TYPES.get(folded)
    if kind is None:
        raise GrammarError("unknown_entity_type")
    return kind.value


def _read_country(folded: str) -> str | None:
    code = folded.upper()
    if not _COUNTRY.match(code):
        raise GrammarError("unknown_country")
    return None if code in UNREAL_COUNTRIES else code


def _read_currency(folded: str) -> str:
    code = folded.upper()
    if code not in CURRENCIES:
        raise GrammarError("unknown_currency")
    return code


def _read_choice(field: str, folded: str) -> str:
    if field in CHOICES and folded not in CHOICES[field]:
        raise GrammarError(f"unknown_{field}")
    return folded


def _read_bin(folded: str) -> str:
    return (
        folded[:8] if folded.isdigit() else folded
    )  # a whole card number in the wrong column must not be kept


_READERS: dict[str, Callable[[str], str | None]] = {
    "entity_type": _read_entity_type,
    "country": _read_country,
    "currency": _read_currency,
    "payment_bin": _read_bin,
}
