"""The investigators' named queries: their headers, and the parameters that people give them.

`queries/cypher/NAME.cypher` holds the header and the Cypher, `queries/sqlite/NAME.sql` the same question for the
tables of SQLite. A header is made of `// word: value` lines; `//` and three spaces continue the line before:

    // title: …          // purpose: …          // example: name=value name=value
    // parameter: NAME TYPE [LOW..HIGH] [= DEFAULT] | meaning        (no default: required; `= none`: null)
    // column: NAME TYPE | meaning
"""

from __future__ import annotations

import difflib
import math
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from importlib.resources import files

Value = str | int | float | datetime | None

LANGUAGES: Mapping[str, tuple[str, str]] = {"cypher": ("cypher", ".cypher"), "sql": ("sqlite", ".sql")}
"""By language: folder and ending of the files."""

LIMIT = "limit"
LARGEST = 2**63 - 1

_LINE = re.compile(r"^// (?P<word>[a-z]+): (?P<value>.+)$")
_CONTINUED = re.compile(r"^//\s{3,}(?P<value>.+)$")
_PARAMETER = re.compile(
    r"^(?P<name>[a-z_0-9]+) (?P<type>[a-z]+)( (?P<low>[\d.]+?)\.\.(?P<high>[\d.]+))?( = (?P<default>\S+))?$"
)
_COLUMN = re.compile(r"^(?P<name>[a-z_0-9]+) (?P<type>[a-z]+)$")


class QueryError(ValueError):
    """Something about a named query that a person can put right: `message` says what, `hint` how."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ValueType(StrEnum):
    """What a parameter or a column holds."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"


@dataclass(frozen=True)
class Parameter:
    """One parameter; numbers lie between `low` and `high`."""

    name: str
    type: ValueType
    meaning: str
    required: bool = True
    default: Value = None
    low: float = 0
    high: float = LARGEST

    def value(self, given: object) -> Value:
        """What was given as a value of the type; text is read. Raises QueryError where it is none."""
        if given is None and not self.required and self.default is None:
            return None
        try:
            value = _READERS[self.type](given)
        except (TypeError, ValueError, OverflowError) as error:
            raise QueryError(
                f"{self.name} is {_shown(given)}, which is not {_WORDS[self.type]}", self.usage
            ) from error
        if isinstance(value, int | float) and not self.low <= value <= self.high:
            raise QueryError(f"{self.name} is {_shown(given)}, which is not {self.range}", self.usage)
        return value

    @property
    def range(self) -> str:
        """What its numbers have to be, in words; empty for other types."""
        if self.type not in (ValueType.INTEGER, ValueType.NUMBER):
            return ""
        return f"{self.low:,g} or more" if self.high == LARGEST else f"{self.low:,g} to {self.high:,g}"

    @property
    def usage(self) -> str:
        """A sentence about it."""
        return f"{self.name} ({', '.join(part for part in (self.type.value, self.range) if part)}): {self.meaning}"


@dataclass(frozen=True)
class Column:
    """One column of the answer."""

    name: str
    type: ValueType
    meaning: str


@dataclass(frozen=True)
class NamedQuery:
    """A question with its header, and its text by language."""

    name: str
    title: str
    purpose: str
    parameters: tuple[Parameter, ...]
    example: Mapping[str, str]
    columns: tuple[Column, ...]
    texts: Mapping[str, str] = field(default_factory=dict)

    def text(self, language: str) -> str:
        """What a store of that language is asked. Raises QueryError where it cannot answer this one."""
        if language not in self.texts:
            raise QueryError(
                f"{self.name} cannot be asked in {language}", f"It can in: {', '.join(sorted(self.texts))}."
            )
        return self.texts[language]

    def bind(self, given: Mapping[str, object]) -> dict[str, Value]:
        """Values for all parameters, from those given and the defaults.

        Raises QueryError for an unknown, missing or unfit one.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in given:
            if name not in known:
                nearest = _nearest(name, known)
                raise QueryError(
                    f"{self.name} has no parameter {_shown(name)}", nearest or f"It has: {', '.join(known)}."
                )
        missing = [one for one in self.parameters if one.required and one.name not in given]
        if missing:
            raise QueryError(f"{self.name} needs {missing[0].name}", missing[0].usage)
        return {name: one.value(given[name]) if name in given else one.default for name, one in known.items()}


def names() -> list[str]:
    """Every named query, sorted."""
    folder, ending = LANGUAGES["cypher"]
    return sorted(
        entry.name.removesuffix(ending)
        for entry in (files("queries") / folder).iterdir()
        if entry.name.endswith(ending)
    )


def catalogue() -> list[NamedQuery]:
    """Every named query in the order of names."""
    return [load(name) for name in names()]


@cache
def load(name: str) -> NamedQuery:
    """A named query. Raises QueryError for an unknown one, with the nearest name as a hint."""
    known = names()
    if name not in known:
        raise QueryError(
            f"there is no query {_shown(name)}",
            _nearest(name, known) or "'ringfence query list' names them all.",
        )
    texts = {}
    for language, (folder, ending) in LANGUAGES.items():
        file = files("queries") / folder / f"{name}{ending}"
        if file.is_file():
            texts[language] = file.read_text(encoding="utf-8")
    return parse(name, texts)


def parse(name: str, texts: Mapping[str, str]) -> NamedQuery:
    """Read the header of the Cypher; `texts` are the files by language. Raises ValueError for an unfit header."""
    lines, body = _split(texts["cypher"])
    words: dict[str, list[str]] = {}
    for word, value in lines:
        words.setdefault(word, []).append(value)
    missing = {"title", "purpose", "parameter", "example", "column"} - words.keys()
    if missing:
        raise ValueError(f"{name}: the header lacks {', '.join(sorted(missing))}")
    return NamedQuery(
        name=name,
        title=words["title"][0],
        purpose=words["purpose"][0],
        parameters=tuple(_parameter(name, line) for line in words["parameter"]),
        example=dict(pair.split("=", 1) for pair in shlex.split(words["example"][0])),
        columns=tuple(_column(name, line) for line in words["column"]),
        texts={language: body if language == "cypher" else text for language, text in texts.items()},
    )


def markdown() -> str:
    """The page of the docs that describes every named query."""
    parts = [
        "# Named queries\n",
        "What investigators ask of the graph. `ringfence query run NAME -p name=value` runs one, from a notebook"
        " `home.query(NAME, name=value)`; both stores give the same rows. Parameters without a default are"
        f" required. `{LIMIT}` bounds the rows; an answer says when there are more.\n",
        *(_markdown(query) for query in catalogue()),
    ]
    return "\n".join(parts)


def _markdown(query: NamedQuery) -> str:
    given = "".join(f" -p {shlex.quote(f'{name}={value}')}" for name, value in query.example.items())
    parameters = [
        f"| `{one.name}` | {one.type} | {_default(one)} | {one.meaning} |" for one in query.parameters
    ]
    columns = [f"| `{one.name}` | {one.type} | {one.meaning} |" for one in query.columns]
    return "\n".join(
        [
            f"## {query.title} (`{query.name}`)\n",
            f"{query.purpose}\n",
            f"```sh\nringfence query run {query.name}{given}\n```\n",
            *("| parameter | type | default | meaning |", "|---|---|---|---|", *parameters, ""),
            *("| column | type | meaning |", "|---|---|---|", *columns, ""),
        ]
    )


def _default(parameter: Parameter) -> str:
    if parameter.required:
        return "required"
    if parameter.default is None:
        return "none"
    return f"`{parameter.default:g}`" if isinstance(parameter.default, float) else f"`{parameter.default}`"


def _split(text: str) -> tuple[list[tuple[str, str]], str]:
    """The header's lines as word and value, and what follows it."""
    lines: list[tuple[str, str]] = []
    rest = text.splitlines()
    for place, line in enumerate(rest):
        if found := _LINE.match(line):
            lines.append((found["word"], found["value"].strip()))
        elif lines and (found := _CONTINUED.match(line)):
            word, value = lines[-1]
            lines[-1] = (word, f"{value} {found['value'].strip()}")
        else:
            return lines, "\n".join(rest[place:]) + "\n"
    return lines, ""


def _parameter(query: str, line: str) -> Parameter:
    declared, _, meaning = (part.strip() for part in line.partition("|"))
    found = _PARAMETER.match(declared)
    if found is None or not meaning or found["type"] not in _READERS:
        raise ValueError(f"{query}: cannot read the parameter {line!r}")
    parameter = Parameter(
        name=found["name"],
        type=ValueType(found["type"]),
        meaning=meaning,
        required=found["default"] is None,
        low=float(found["low"] or 0),
        high=float(found["high"]) if found["high"] else LARGEST,
    )
    if found["default"] in (None, "none"):
        return parameter
    values = vars(parameter) | {"default": parameter.value(found["default"])}
    return Parameter(**values)


def _column(query: str, line: str) -> Column:
    declared, _, meaning = (part.strip() for part in line.partition("|"))
    found = _COLUMN.match(declared)
    if found is None or not meaning or found["type"] not in set(ValueType):
        raise ValueError(f"{query}: cannot read the column {line!r}")
    return Column(found["name"], ValueType(found["type"]), meaning)


def _text(given: object) -> str:
    if not isinstance(given, str):
        raise TypeError
    given.encode()
    return given


def _integer(given: object) -> int:
    if isinstance(given, bool):
        raise TypeError
    if isinstance(given, str):
        return int(given.replace(",", ""))
    value = int(given)  # type: ignore[call-overload]  # whatever numbers a notebook has
    if value != given:
        raise ValueError
    return int(value)


def _number(given: object) -> float:
    if isinstance(given, bool):
        raise TypeError
    value = float(given)  # type: ignore[arg-type]  # the same
    if not math.isfinite(value):
        raise ValueError
    return value


def _timestamp(given: object) -> datetime:
    moment = datetime.fromisoformat(given) if isinstance(given, str) else given
    if not isinstance(moment, datetime):
        raise TypeError
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


_READERS: Mapping[ValueType, Callable[[object], Value]] = {
    ValueType.TEXT: _text,
    ValueType.INTEGER: _integer,
    ValueType.NUMBER: _number,
    ValueType.TIMESTAMP: _timestamp,
}
_WORDS = {
    ValueType.TEXT: "text",
    ValueType.INTEGER: "a whole number",
    ValueType.NUMBER: "a number",
    ValueType.TIMESTAMP: "a time, as in 2026-03-04T12:00:00Z",
}


def _shown(given: object) -> str:
    """What was given, short, with nothing that moves a cursor."""
    text = ascii(given)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _nearest(name: str, known: Mapping[str, object] | list[str]) -> str:
    found = difflib.get_close_matches(name, list(known), 1, 0.5)
    return f"Did you mean {found[0]}?" if found else ""
