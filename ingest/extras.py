"""Unknown columns: kept as one JSON object a row, so that nothing a source says is lost."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ingest.batch import JSON, RawBatch, plain_value, plain_values
from ingest.columns import Problems, is_bytes, is_text, to_string, where
from ingest.fields import KNOWN_FIELDS
from ingest.grammar import GrammarError, as_text
from ingest.redaction import Redactor, secret_kind
from ingest.strings import parts

_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_SUSPECT = r"(?i)api|payment|phone|entity|\\u|[^\x00-\x7f]"


def read_extra(batch: RawBatch, redactor: Redactor, problems: Problems) -> pa.StringArray:
    """The unknown columns of each row as JSON with sorted keys; null where a row has none.

    A column whose name is a secret field's in another spelling is redacted. Rows with NUL characters or bytes that
    are no UTF-8 are rejected.
    """
    unknown = {
        name: column
        for name, column in batch.columns.items()
        if name not in KNOWN_FIELDS and column.null_count < len(column)
    }
    given = None
    if batch.extra is not None:
        given = _redacted(to_string(batch.extra, "extra", problems), redactor)
    if not unknown:
        merged = given if given is not None else pa.nulls(batch.rows, pa.string())
    else:
        merged = _merged(batch.rows, unknown, given, redactor, problems)
    suspects = pc.match_substring(merged, "\\u0000")
    if pc.any(suspects).as_py():
        rows = where(suspects)
        problems.add((row for row in rows if _NUL.search(merged[row].as_py())), "nul_character", "extra")
    return merged


def _redacted(given: pa.StringArray, redactor: Redactor) -> pa.StringArray:
    suspects = where(pc.match_substring_regex(given, _SUSPECT))
    if not suspects:
        return given
    texts = given.to_pylist()
    for row in suspects:
        texts[row] = redactor.json_line(texts[row])
    return pa.array(texts, pa.string())


def _merged(
    rows: int,
    unknown: dict[str, pa.Array],
    given: pa.StringArray | None,
    redactor: Redactor,
    problems: Problems,
) -> pa.StringArray:
    records: dict[int, dict[str, Any]] = {}
    if given is not None:
        records = {row: orjson.loads(given[row].as_py()) for row in where(given.is_valid())}
    for name, column in unknown.items():
        hide = _hider(name, redactor)
        for row, value in _present(column, name, problems):
            records.setdefault(row, {})[name] = hide(value)
    texts: list[str | None] = [None] * rows
    for row, record in records.items():
        texts[row] = orjson.dumps(record, default=plain_value, option=JSON).decode()
    return pa.array(texts, pa.string())


def _hider(name: str, redactor: Redactor) -> Callable[[Any], Any]:
    field = secret_kind(name)
    return (lambda value: value) if field is None else (lambda value: redactor.value(field, value))


def _present(column: pa.Array, name: str, problems: Problems) -> list[tuple[int, Any]]:
    """(row, value) of every value that is there; blank text is none."""
    if pa.types.is_nested(column.type):
        return _each(column, name, problems)
    if not _is_text(column.type):
        return [(row, value) for row, value in enumerate(plain_values(column)) if value is not None]
    text = to_string(column, name, problems)
    _, data = parts(text)
    if data.size and data.min() == 0:
        problems.add(where(pc.match_substring(text, "\0")), "nul_character", name)
    return [(row, value) for row, value in enumerate(text.to_pylist()) if value and value.strip()]


def _is_text(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return is_text(inner) or is_bytes(inner)


def _each(column: pa.Array, name: str, problems: Problems) -> list[tuple[int, Any]]:
    found: list[tuple[int, Any]] = []
    for row in where(column.is_valid()):
        try:
            value = column[row].as_py()
            _check(value)
        except (UnicodeDecodeError, GrammarError):
            problems.add((row,), "invalid_utf8", name)
            continue
        except (OverflowError, ValueError):  # a time beyond the calendar, or in nanoseconds
            problems.add((row,), "number_out_of_range", name)
            continue
        found.append((row, value))
    return found


def _check(value: Any) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _check(key)
            _check(item)
    elif isinstance(value, list):
        for item in value:
            _check(item)
    elif isinstance(value, str) and "\0" not in value:
        as_text(value)
