"""The short descriptive columns, one value at a time: folded words, closed lists, codes."""

from __future__ import annotations

import re

from graph.identifiers import ENTITY_TYPES
from graph.spelling import fold, tidy
from graph.stop_values import is_stop
from ingest.fields import CHOICES, CURRENCIES, EVENT_TYPES, FOLDED_TEXT
from ingest.grammar import Refused

_COUNTRY = re.compile(r"^[A-Z][A-Z0-9]$")
_EVENT_TYPES = frozenset(EVENT_TYPES)
UNREAL_COUNTRIES = frozenset({"XX", "ZZ"})
"""What address databases write for "unknown"."""


def read_word(field: str, raw: str) -> str | None:
    """What is stored for a descriptive column's text; None for a placeholder. Raises Refused.

    Columns: `event_type`, `entity_type`, `country`, `currency`, and those of FOLDED_TEXT, FREE_TEXT and CHOICES.
    """
    if field == "event_type":
        return _read_event_type(raw)
    folded = fold(raw)
    if is_stop(folded):
        return None
    if field == "entity_type":
        return _read_entity_type(folded)
    if field == "country":
        return _read_country(folded)
    if field == "currency":
        return _read_currency(folded)
    if field in CHOICES:
        if folded not in CHOICES[field]:
            raise Refused(f"unknown_{field}")
        return folded
    if field == "payment_bin" and folded.isdigit():
        return folded[:8]  # a whole card number in the wrong column must not be kept
    return folded if field in FOLDED_TEXT else tidy(raw)


def _read_event_type(raw: str) -> str:
    folded = fold(raw)
    if not folded:
        raise Refused("missing_event_type")
    if folded not in _EVENT_TYPES:
        raise Refused("unknown_event_type")
    return folded


def _read_entity_type(folded: str) -> str:
    kind = ENTITY_TYPES.get(folded)
    if kind is None:
        raise Refused("unknown_entity_type")
    return kind.value


def _read_country(folded: str) -> str | None:
    code = folded.upper()
    if not _COUNTRY.match(code):
        raise Refused("unknown_country")
    return None if code in UNREAL_COUNTRIES else code


def _read_currency(folded: str) -> str:
    code = folded.upper()
    if code not in CURRENCIES:
        raise Refused("unknown_currency")
    return code
