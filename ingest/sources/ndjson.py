"""One JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa

from ingest.batch import JSON, RawBatch
from ingest.sources.rows import Block, LazyText, Rows, number, text_problem

# Below this a double tells millionths apart, which is as exact as measures are kept.
_EXACT = 2**31


@dataclass(frozen=True)
class NdjsonTask:
    """Parses a block. `known` are the columns to take out; all other keys go to `extra`.

    `measures` are those of `known` that hold numbers: there 1.50 and 1.5 are the same. Everywhere else a
    number is kept digit for digit, because it is a name.
    """

    block: Block
    file: str
    known: frozenset[str]
    measures: frozenset[str]

    def read(self) -> Rows:
        """Every line is a row of the batch, in order; what cannot be parsed is among the batch's errors."""
        numbered = number(self.block)
        parser = _Parser(self.known, self.measures)
        objects = [parser.load(at, record) for at, record in enumerate(numbered.records)]
        names = set().union(*objects)
        columns = {
            name: pa.array(parser.column(name, objects), pa.string()) for name in sorted(names & self.known)
        }
        batch = RawBatch(
            columns=columns,
            rows=len(objects),
            file=self.file,
            lines=pa.array(numbered.lines, pa.int64()),
            raw=LazyText(numbered.records),
            errors=parser.errors,
            extra=parser.rest(objects) if names - self.known else None,
        )
        return Rows(batch, numbered.bad, parser.fields, parser.details)


class _Parser:
    """Parses the lines of one block and collects what is wrong with them."""

    def __init__(self, known: Collection[str], measures: Collection[str]) -> None:
        self._known = known
        self._measures = measures
        self._records: list[bytes] = []
        self.errors: dict[int, str] = {}
        self.fields: dict[int, str] = {}
        self.details: dict[int, str] = {}

    def load(self, at: int, record: bytes) -> dict[str, Any]:
        """The object of a line; empty after entering an error."""
        self._records.append(record)
        try:
            parsed = orjson.loads(record)
        except orjson.JSONDecodeError as error:
            reason, detail = text_problem(record) or _diagnose(record, error)
            self._refuse(at, reason, detail)
            return {}
        if not isinstance(parsed, dict):
            self._refuse(at, "not_an_object", 'a row must be one JSON object, as in {"event_type": ...}')
            return {}
        return parsed

    def _refuse(self, at: int, reason: str, detail: str, name: str | None = None) -> None:
        if at not in self.errors:
            self.errors[at] = reason
            self.details[at] = detail
            if name is not None:
                self.fields[at] = name

    def column(self, name: str, objects: list[dict[str, Any]]) -> list[str | None]:
        """The text forms of one key."""
        values = [one.get(name) for one in objects]
        if all(value is None or type(value) is str for value in values):
            return values
        return [
            value if value is None or type(value) is str else self._text(at, name, value)
            for at, value in enumerate(values)
        ]

    def _text(self, at: int, name: str, value: Any) -> str | None:
        """The text form of a value that is neither a string nor null."""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int):
            return str(value)
        if isinstance(value, float):
            if name in self._measures and abs(value) < _EXACT:
                return repr(value)
            exact = _exact(self._records[at], name)
            return exact if exact is not None else repr(value)
        self._refuse(at, "nested_value", f"{name} must be a single value, not a list or an object", name)
        return None

    def rest(self, objects: list[dict[str, Any]]) -> pa.Array:
        """The keys that are no columns, as a JSON object a row."""
        texts: list[str | None] = []
        for at, one in enumerate(objects):
            rest = {key: value for key, value in one.items() if key not in self._known}
            texts.append(self._dumped(at, rest) if rest else None)
        return pa.array(texts, pa.string())

    def _dumped(self, at: int, rest: dict[str, Any]) -> str | None:
        try:
            return orjson.dumps(rest, option=JSON).decode()
        except orjson.JSONEncodeError:
            self._refuse(at, "nested_too_deep", "the row is nested too deeply")
            return None


def _exact(record: bytes, name: str) -> str | None:
    """The digits of a number as they were written."""
    try:
        written = json.loads(record, parse_float=str, parse_int=str).get(name)
    except RecursionError:
        return None
    return written if isinstance(written, str) else None


def _diagnose(record: bytes, error: orjson.JSONDecodeError) -> tuple[str, str]:
    """Reason and detail for a line that is no JSON."""
    text = str(error).lower()
    if "depth limit" in text:
        return "nested_too_deep", "the row is nested too deeply"
    if "number is infinity" in text:
        return "number_out_of_range", "a number of the row is larger than any that can be stored"
    if "surrogate" in text:
        return "lone_surrogate", "the row holds half of a surrogate pair, which is no character"
    try:
        json.loads(record, parse_constant=_refuse_constant)
    except _ConstantError as constant:
        return "not_a_number", f"{constant} is no JSON; leave the value out"
    except (ValueError, RecursionError):
        pass
    return "invalid_json", f"not valid JSON at character {error.pos + 1}"


class _ConstantError(Exception):
    pass


def _refuse_constant(word: str) -> None:
    raise _ConstantError(word)
