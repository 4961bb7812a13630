"""Mapping files: how somebody else's columns become events. YAML in, validated models out."""

from __future__ import annotations

import difflib
import re
from datetime import datetime
from fnmatch import fnmatchcase
from importlib.resources import files
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa
import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from graph.errors import RingfenceError
from ingest.fields import EVENT_TYPES, KNOWN_FIELDS
from ingest.sources.loglines import take_apart

_MOST_DEPTH = 20
_MOST_NODES = 50_000
EPOCH_UNITS = {"epoch_s": "s", "epoch_ms": "ms", "epoch_us": "us"}


def _known(name: str) -> str:
    if name not in KNOWN_FIELDS:
        near = difflib.get_close_matches(name, KNOWN_FIELDS, 1)
        raise ValueError(
            f"{name!r} is no column of an event" + (f"; did you mean {near[0]!r}?" if near else "")
        )
    return name


def _event_type(name: str) -> str:
    if name not in EVENT_TYPES:
        near = difflib.get_close_matches(name, EVENT_TYPES, 1)
        raise ValueError(f"{name!r} is no event type" + (f"; did you mean {near[0]!r}?" if near else ""))
    return name


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone; write one like Europe/Berlin or UTC") from error
    return name


def _pattern(text: str) -> str:
    try:
        groups = re.compile(text).groupindex
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"not a regular expression: {error}") from error
    if not groups:
        raise ValueError("the pattern has no named group, as in (?P<org_id>[^ ]+)")
    try:
        take_apart(pa.array([""]), text)
    except pa.ArrowInvalid as error:
        raise ValueError(
            f"{str(error).strip().splitlines()[0]}; name every group or write (?:...), and do without looking "
            "ahead or behind, references to groups, and huge repetitions"
        ) from error
    return text


def _time_format(text: str) -> str:
    try:
        datetime.strptime("", text)
    except (ValueError, re.error) as error:
        if "does not match" not in str(error):
            raise ValueError(f"not a time format: {error}") from error
    return text


Column = Annotated[str, AfterValidator(_known)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class When(_Model):
    """A condition on a column of the input, compared as text."""

    column: str
    present: bool | None = Field(None, description="Whether the column must hold something.")
    equals: tuple[str, ...] | str | None = Field(None, description="One of these.")
    not_equals: tuple[str, ...] | str | None = Field(None, description="Something, and none of these.")

    @model_validator(mode="after")
    def _one(self) -> When:
        given = [one for one in (self.present, self.equals, self.not_equals) if one is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of present, equals and not_equals")
        return self


class _Columns(_Model):
    columns: dict[Column, str] = Field(
        default_factory=dict, description="Column of the event: column of the input that it comes from."
    )
    constants: dict[Column, str] = Field(default_factory=dict, description="Column of the event: its value.")
    values: dict[Column, dict[str, str | None]] = Field(
        default_factory=dict, description="Column of the event: what stands for which value; others stay."
    )


class EventRule(_Columns):
    """One event that a row becomes, if all conditions hold."""

    event_type: Annotated[str, AfterValidator(_event_type)]
    when: tuple[When, ...] = ()


class InputRule(_Columns):
    """What to make of the files whose name matches."""

    match: str = Field("*", description="File name, with * and ?; standard input is called -.")
    format: Literal["ndjson", "csv", "parquet", "log"] | None = None
    source: str | None = Field(None, min_length=1, description="Where the rows come from.")
    timezone: Annotated[str, AfterValidator(_zone)] | None = Field(
        None, description="Zone of times without one."
    )
    time_format: Annotated[str, AfterValidator(_time_format)] | None = Field(
        None, description="Of occurred_at: directives of strptime, or epoch_s, epoch_ms, epoch_us."
    )
    pattern: Annotated[str, AfterValidator(_pattern)] | None = Field(
        None, description="Regular expression for a whole line; its named groups are the input's columns."
    )
    events: tuple[EventRule, ...] = Field(
        (), description="The events of one row; without any, a row is one event."
    )

    @model_validator(mode="after")
    def _consistent(self) -> InputRule:
        if (self.pattern is None) != (self.format != "log"):
            raise ValueError("format log and a pattern belong together")
        return self


class Ignored(_Model):
    """Files that are left out, and why."""

    match: str
    because: str = Field(min_length=1)


class Mapping(_Model):
    """A mapping file. The first entry whose `match` fits a file's name counts."""

    name: str = Field("mapping", description="Set to the file's name.")
    title: str = ""
    notes: tuple[str, ...] = Field((), description="What the mapping decides or makes up, for people.")
    inputs: tuple[InputRule, ...] = Field(min_length=1)
    ignore: tuple[Ignored, ...] = ()

    def rule_for(self, path: str) -> InputRule | Ignored:
        """What to do with a file. Raises RingfenceError when no entry matches its name."""
        name = PurePath(path).name
        for ignored in self.ignore:
            if fnmatchcase(name, ignored.match):
                return ignored
        for rule in self.inputs:
            if fnmatchcase(name, rule.match):
                return rule
        known = ", ".join(rule.match for rule in self.inputs)
        raise RingfenceError(
            f"{path}: no entry of the mapping {self.name} matches the name {name}",
            f"It knows {known}. Add an entry under inputs, or one under ignore that says why not.",
        )


class _TextLoader(yaml.SafeLoader):
    """Reads every scalar as the text that was written, but for null: a date or an id stays what it is."""


_TextLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.endswith((":null", ":merge"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def recipes() -> list[str]:
    """Names of the mappings that come with Ringfence."""
    folder = files("ingest") / "recipes"
    return sorted(PurePath(one.name).stem for one in folder.iterdir() if one.name.endswith(".yaml"))


def load_mapping(name: str | Path) -> Mapping:
    """The mapping in a file, or the recipe of that name. Raises RingfenceError that names file and line."""
    if str(name) in recipes():
        text = (files("ingest") / "recipes" / f"{name}.yaml").read_text("utf-8")
        return parse_mapping(text, str(name), f"recipe {name}")
    path = Path(name)
    try:
        return parse_mapping(path.read_text("utf-8"), path.stem, str(path))
    except FileNotFoundError as error:
        known = ", ".join(recipes())
        raise RingfenceError(
            f"the mapping {name} does not exist", f"Name a YAML file, or one of the recipes: {known}."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise RingfenceError(
            f"cannot read the mapping {name}: {error}", "It must be a readable file in UTF-8."
        ) from error


def parse_mapping(text: str, name: str, place: str) -> Mapping:
    """The mapping that a YAML text is; `place` is what errors call it."""
    loader = _TextLoader(text)
    try:
        node = loader.get_single_node()
        _refuse_excess(node, place)
        data = loader.construct_document(node) if node is not None else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        raise _invalid(place, line, error.problem or "not valid YAML") from error
    except yaml.YAMLError as error:
        raise _invalid(place, 1, f"not valid YAML: {error}") from error
    except RecursionError as error:
        raise _invalid(place, 1, "nested too deeply for a mapping") from error
    finally:
        loader.dispose()
    if not isinstance(data, dict):
        raise _invalid(place, 1, "a mapping file holds the keys inputs, ignore, title, notes")
    _refuse_repeated_keys(node, place)
    try:
        return Mapping.model_validate({"name": name, **data})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise _invalid(place, _line_of(node, first["loc"]), f"{where}: {message}") from error


def _invalid(place: str, line: int, what: str) -> RingfenceError:
    return RingfenceError(
        f"{place}, line {line}: {what}", "Correct the mapping; docs/mapping.md lists its keys.", exit_code=2
    )


def _refuse_excess(root: Any, place: str) -> None:
    """Refuse what refers to itself, or grows beyond all bounds by references to references."""
    waiting, seen = [(root, 0)], 0
    while waiting:
        node, depth = waiting.pop()
        seen += 1
        if depth > _MOST_DEPTH or seen > _MOST_NODES:
            raise _invalid(place, 1, "nested too deeply, or too large, for a mapping")
        if isinstance(node, yaml.MappingNode):
            waiting += [(part, depth + 1) for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += [(part, depth + 1) for part in node.value]


def _refuse_repeated_keys(node: Any, place: str) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                raise _invalid(place, key.start_mark.line + 1, f"the key {key.value} is there twice")
            seen.add(str(key.value))
            _refuse_repeated_keys(value, place)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_repeated_keys(value, place)


def _line_of(node: Any, location: tuple[int | str, ...]) -> int:
    """The line of the innermost part of a location that the text holds."""
    line: int = node.start_mark.line
    for part in location:
        if isinstance(node, yaml.MappingNode):
            entry = next((pair for pair in node.value if pair[0].value == part), None)
            if entry is None:
                break
            line, node = entry[0].start_mark.line, entry[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
        else:
            break
    return line + 1
