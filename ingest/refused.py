"""A row that was refused, in the form in which quarantine keeps it: with its reason, without its secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import orjson

Form = Literal["line", "object", "none"]


@dataclass(frozen=True)
class RefusedRow:
    """One quarantined row.

    `raw` is redacted. `form` says what it is: `line`, the input's line as it was; `object`, a JSON object of
    the input's columns; `none`, something of which too much is missing to be tried again. `event_id` is the
    id that was derived for a row without one, so that a retry gives the same. `mapping` is the name of the
    mapping that was used, `ingest` the ingest that first refused the row, `at` when (RFC 3339).
    """

    file: str
    line: int
    reason: str
    detail: str
    raw: str
    form: Form
    format: str
    source: str
    ingest: str
    at: str
    field: str | None = None
    offset: int | None = None
    event_id: str | None = None
    mapping: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """All of it by name, as it is listed and exported."""
        return asdict(self)

    def encode(self) -> bytes:
        """One line of a quarantine file."""
        return orjson.dumps(self, option=orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def decode(cls, line: bytes | str) -> RefusedRow:
        """Read back what `encode` wrote."""
        entry: Mapping[str, Any] = orjson.loads(line)
        return cls(**entry)
