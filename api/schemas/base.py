"""What all schemas share: strictness, pages, money, texts."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

T = TypeVar("T")
MOST = 1_000
"""Largest page."""

AT = "2026-03-04T12:00:00Z"
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


class Given(BaseModel):
    """What a client sends: nothing unknown, nothing coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Answered(BaseModel):
    """What a client gets."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Page(Answered, Generic[T]):
    """Some items of a list. `next` is the cursor of the next page, null on the last; `total` null if not counted."""

    items: list[T]
    next: str | None = None
    total: int | None = None


def example(*values: dict[str, Any]) -> dict[str, Any]:
    """The `json_schema_extra` of a model with examples."""
    return {"examples": list(values)}


def _visible(text: str) -> str:
    if any(not (char.isprintable() or char in "\n\t") for char in text):
        raise ValueError("holds control characters or lone surrogates")
    if not text.strip():
        raise ValueError("is empty")
    return text


def _exact(text: str) -> str:
    if "\x00" in text or any(0xD800 <= ord(char) <= 0xDFFF for char in text):
        raise ValueError("holds a NUL character or a lone surrogate")
    return text


def _rfc3339(value: object) -> object:
    """Numbers, and texts that hold one, would pass for seconds since 1970."""
    if not isinstance(value, datetime) and not (isinstance(value, str) and _RFC3339.fullmatch(value)):
        raise ValueError("is no moment of RFC 3339 with its zone")
    return value


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("lies outside the years 1 to 9999") from None


Words = Annotated[str, StringConstraints(max_length=2_000), AfterValidator(_visible)]
"""A sentence that others will read."""

ExactId = Annotated[str, StringConstraints(min_length=1, max_length=512), AfterValidator(_exact)]
"""Somebody's own id, kept exactly."""

GivenMoment = Annotated[
    AwareDatetime,
    BeforeValidator(_rfc3339),
    AfterValidator(_utc),
    Field(strict=False, description="RFC 3339 with its zone.", examples=[AT]),
]

Money = Annotated[
    str,
    Field(
        pattern=r"^-?\d+\.\d{6}$",
        description="A decimal number, in the home's currency.",
        examples=["12.340000"],
    ),
]
Moment = Annotated[datetime, Field(description="RFC 3339, UTC.", examples=[AT])]


def money(amount: float | Decimal | None) -> str | None:
    """An amount as exact text: programs must not take it for a float."""
    return None if amount is None else f"{amount:.6f}"
