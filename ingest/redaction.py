"""Raw rows without their secrets: what quarantine may keep.

Each secret is replaced by its token (`graph.secret_values`), which ingest reads back as the same secret: a row that
is retried from quarantine gets the same keys. What cannot be parsed is cut off after the first secret field's name.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from graph.identifiers import ENTITY_TYPES, SECRET_KINDS, Kind
from graph.secret_values import Hasher
from graph.spelling import fold
from graph.stop_values import is_stop
from ingest.fields import SECRET_FIELDS
from ingest.grammar import GrammarError, as_text

MASK = "[masked]"
_NAME = re.compile(
    r"api[_\- ]?key|payment[_\- ]?method|(?<![a-z_])phone(?![a-z_])|entity[_\- ]?key", re.IGNORECASE
)
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')


def secret_kind(column: str, aliases: Mapping[str, str] | None = None) -> str | None:
    """The secret field (or `entity_key`) that a column is or is meant to be, however its name is spelled."""
    if aliases and column in aliases:
        return aliases[column]
    name = re.sub(r"[\s\-]+", "_", fold(column))
    return name if name in SECRET_FIELDS or name == "entity_key" else None


class Redactor:
    """Redacts under one pepper. `aliases` names a source's own columns that a mapping turns into secret fields."""

    def __init__(
        self, pepper: bytes, aliases: Mapping[str, str] | None = None, region: str | None = None
    ) -> None:
        self._hasher = Hasher(pepper)
        self._aliases = dict(aliases or {})
        self._region = region

    def value(self, field: str, value: Any, entity_type: str | None = None) -> Any:
        """One value of a secret field as its token; `entity_key` only where its type is, or may be, a secret's."""
        if field == "entity_key":
            known = ENTITY_TYPES.get(fold(entity_type or ""))
            if known is not None and known not in SECRET_KINDS:
                return value
            field = known.value if known is not None else Kind.API_KEY.value
        try:
            text = as_text(value)
        except GrammarError:
            return MASK
        if text is None or is_stop(fold(text)):
            return value
        secret = self._hasher.read(field, text, self._region)
        return MASK if secret is None else secret.token  # a placeholder, as the mask is

    def row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A parsed or mapped row."""
        entity_type = next(
            (str(v) for k, v in row.items() if fold(k) == "entity_type" and v is not None), None
        )
        return {name: self._any(name, value, entity_type) for name, value in row.items()}

    def _any(self, name: str, value: Any, entity_type: str | None) -> Any:
        field = secret_kind(name, self._aliases)
        if field is not None:
            return self.value(field, value, entity_type)
        if isinstance(value, Mapping):
            return self.row(value)
        if isinstance(value, list):
            return [self._any("", item, entity_type) for item in value]
        return value

    def json_line(self, line: str) -> str:
        """A line of NDJSON; every other character of a valid line stays as it is, numbers included."""
        if not _NAME.search(_unescape(line)) and not self._names_alias(line):
            return line if line.isascii() or not self._is_disguised(line) else MASK
        try:
            parsed = orjson.loads(line)
        except orjson.JSONDecodeError:
            return self._cut(line)
        if not isinstance(parsed, dict):
            return self._cut(line)
        return "".join(self._rewrite(line, _entity_type(parsed)))

    def _names_alias(self, line: str) -> bool:
        return any(alias in line for alias in self._aliases)

    def _is_disguised(self, line: str) -> bool:
        return _NAME.search(fold(line)) is not None

    def _rewrite(self, line: str, entity_type: str | None) -> Iterator[str]:
        place, skip, depth, field = 0, -1, 0, None
        tokens = list(_TOKENS.finditer(line))
        for i, token in enumerate(tokens):
            text = token.group()
            if skip >= 0:  # inside a list or object that is a secret's value
                depth += (text in "{[") - (text in "}]")
                if depth == 0:
                    yield f'"{MASK}"'
                    place, skip = token.end(), -1
                continue
            follows = tokens[i + 1].group() if i + 1 < len(tokens) else ""
            if text[0] == '"' and follows == ":":
                field = secret_kind(json.loads(text), self._aliases)
            elif text == ":" or field is None:
                continue
            elif text in "{[":
                yield line[place : token.start()]
                skip, depth, field = i, 1, None
            else:
                value = json.loads(text) if text[0] == '"' else None if text == "null" else text
                new = "null" if value is None else json.dumps(self.value(field, value, entity_type))
                yield line[place : token.start()] + new
                place, field = token.end(), None
        yield line[place:]

    def csv_cells(self, header: Sequence[str], cells: Sequence[str]) -> list[str]:
        """The cells of a CSV row. Where their number is not the header's, all that may be a secret is masked."""
        secret = [i for i, name in enumerate(header) if secret_kind(name, self._aliases) is not None]
        if not secret:
            return list(cells)
        if len(cells) != len(header):
            start = min(secret[0], secret[0] + len(cells) - len(header))
            return [cell if i < start else MASK for i, cell in enumerate(cells)]
        redacted = self.row(dict(zip(header, cells, strict=True)))
        return [str(redacted[name]) for name in header]

    def csv_line(self, header: Sequence[str], line: str, delimiter: str = ",") -> str:
        """A CSV line (without its end); unchanged where no column is a secret."""
        if not any(secret_kind(name, self._aliases) for name in header):
            return line
        try:
            records = list(csv.reader(io.StringIO(line, newline=""), delimiter=delimiter, strict=True))
        except csv.Error:
            return MASK
        if len(records) != 1:
            return MASK
        out = io.StringIO()
        csv.writer(out, delimiter=delimiter, lineterminator="").writerow(self.csv_cells(header, records[0]))
        return out.getvalue()

    def text(self, line: str) -> str:
        """A line in no known format: cut after the first secret field's name."""
        return self._cut(line)

    def _cut(self, line: str) -> str:
        plain = _unescape(line)
        match = _NAME.search(plain)
        if match is None:
            match = _NAME.search(plain := fold(plain))
        ends = [match.end()] if match else []
        ends += [plain.index(alias) + len(alias) for alias in self._aliases if alias in plain]
        return plain[: min(ends)] + MASK if ends else line


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda m: chr(int(m.group(1), 16)), text) if "\\u" in text else text


def _entity_type(parsed: Mapping[str, Any]) -> str | None:
    for name, value in parsed.items():
        if fold(name) == "entity_type" and isinstance(value, str):
            return value
        if isinstance(value, Mapping):
            found = _entity_type(value)
            if found is not None:
                return found
    return None


def redact(raw: str | Mapping[str, Any], pepper: bytes, header: Sequence[str] | None = None) -> Any:
    """A raw row without its secrets: a mapping, a CSV line (where `header` is given) or a line of JSON or text."""
    redactor = Redactor(pepper)
    if isinstance(raw, Mapping):
        return redactor.row(raw)
    return redactor.csv_line(header, raw) if header is not None else redactor.json_line(raw)
