"""Decisions from files of rows: CSV with a header, or one JSON object a line."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import orjson

from graph.errors import RingfenceError

Row = dict[str, str]


def read_rows(
    name: str, required: Sequence[str], optional: Sequence[str] = (), *, text: str | None = None
) -> list[Row]:
    """The rows of a file (`-`: standard input), columns that are not asked for left out; `text` if it was read already.

    Text that starts with `{` is NDJSON, anything else CSV. Raises RingfenceError (exit 2) that names the file, the
    line and what is wrong.
    """
    text = read_text(name) if text is None else text
    rows = _ndjson(name, text) if text.lstrip().startswith("{") else _csv(name, text, required)
    wanted = {*required, *optional}
    return [{key: value for key, value in row.items() if key in wanted} for row in rows]


def read_text(name: str) -> str:
    """The text of a file (`-`: standard input). Raises RingfenceError (exit 2)."""
    try:
        raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise RingfenceError(
            f"cannot read {name}: {error.strerror or error}", "Name a readable file.", exit_code=2
        ) from error
    except UnicodeDecodeError as error:
        raise RingfenceError(f"{name} is not UTF-8 text", "Save it as UTF-8.", exit_code=2) from error


def _csv(name: str, text: str, required: Sequence[str]) -> list[Row]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        header = reader.fieldnames or []
        missing = [column for column in required if column not in header]
        if missing:
            raise RingfenceError(
                f"{name} has no column {', '.join(missing)}",
                f"Its first line names the columns: {','.join(required)}",
                exit_code=2,
            )
        rows = []
        for row in reader:
            if None in row or None in row.values():
                raise RingfenceError(
                    f"{name}, line {reader.line_num}: {len(header)} columns are named, but this line has"
                    " more or fewer",
                    "Quote texts that hold a comma.",
                    exit_code=2,
                )
            rows.append({key: value for key, value in row.items() if value})
    except csv.Error as error:
        raise RingfenceError(
            f"{name}, line {reader.line_num}: {error}", "Correct that line.", exit_code=2
        ) from error
    return rows


def _ndjson(name: str, text: str) -> list[Row]:
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise RingfenceError(
                f"{name}, line {number} is not JSON: {error}", "One object a line.", exit_code=2
            ) from error
        if not isinstance(row, dict) or not all(
            isinstance(value, str) for value in row.values() if value is not None
        ):
            raise RingfenceError(
                f"{name}, line {number} is no object of texts",
                'Write it as {"org_id": "org_1", "reason": "…"}.',
                exit_code=2,
            )
        rows.append({key: value for key, value in row.items() if value})
    return rows
