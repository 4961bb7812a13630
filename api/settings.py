"""All settings, composed: defaults < `HOME/ringfence.toml` < `RINGFENCE_*` < what flags say.

A variable names a section and a key: `RINGFENCE_DETECTION__RESOLUTION=0.001` is `resolution` under
`[detection]`; more double underscores go deeper. A word that nothing knows is an error, never ignored.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from actions.settings import ActionSettings
from detection.settings import DetectionSettings, SourceSettings, default_sources
from graph.errors import RingfenceError
from graph.home import Home
from ingest.settings import IngestSettings

PREFIX = "RINGFENCE_"
DEEPER = "__"
RECORDS = "records"
"""The sink from which applied effects become events and statuses of the graph: every plan has it."""


class CommandSettings(BaseModel):
    """A command as a sink: the arguments, the first of them a file of `folder`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    argv: tuple[str, ...] = Field(min_length=1)
    folder: Path


class ActionsSection(ActionSettings):
    """Mass actions: their rules, where they are kept, and where effects can go."""

    ledger: str = ""
    """A file, or a URL such as `postgresql+psycopg://ringfence@db/ringfence`; nothing: `HOME/ledger.sqlite`."""
    ledger_password_file: Path | None = None
    """A file with the password for a ledger at a URL, so that no variable and no settings file holds it."""
    file: Path | None = None
    """What the sink `file` appends to; nothing: `HOME/effects.ndjson`."""
    feed_acknowledged: bool = False
    """Whether effects in the feed count as applied only once a reader acknowledged them."""
    commands: dict[str, CommandSettings] = Field(default_factory=dict)
    """Commands that can be sinks (`command:NAME`), each with `argv` and `folder`."""
    webhook_hosts: tuple[str, ...] = ()
    """Hosts to which webhooks may be sent, as `name` or `name:port`."""
    webhook_exceptions: tuple[str, ...] = ()
    """Private networks in which such a host may be, as `HOST NETWORK`."""

    def rules(self, *, single_operator: bool | None = None) -> ActionSettings:
        """The rules alone, every plan's effects recorded."""
        alone = self.single_operator if single_operator is None else single_operator
        own = {name: getattr(self, name) for name in ActionSettings.model_fields}
        sinks = tuple(dict.fromkeys((*self.default_sinks, RECORDS)))
        return ActionSettings(**{**own, "default_sinks": sinks, "single_operator": alone})


class Settings(BaseModel):
    """Everything that can be set, by section."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ingest: IngestSettings = Field(default_factory=IngestSettings)
    detection: DetectionSettings = Field(default_factory=DetectionSettings)
    sources: dict[str, SourceSettings] = Field(default_factory=default_sources)
    actions: ActionsSection = Field(default_factory=ActionsSection)


def load_settings(
    home: Home,
    flags: Mapping[str, Mapping[str, Any]] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """The settings that hold for one command. `flags` are given by section, and win.

    Raises RingfenceError (exit 2) that names the file or variable, the key and what is wrong with it.
    """
    variables = os.environ if environment is None else environment
    layers: list[tuple[str, Mapping[str, Any]]] = [
        (str(home.settings_file), _file(home)),
        ("the environment", _environment(variables)),
        ("the command line", flags or {}),
    ]
    settings = Settings()
    merged: dict[str, Any] = settings.model_dump()  # so that one entry of a table can be set alone
    for name, layer in layers:
        merged = _merge(merged, layer)
        try:
            settings = Settings.model_validate(merged)
        except ValidationError as error:
            raise _explained(name, error) from error
    return settings


def _file(home: Home) -> dict[str, Any]:
    try:
        text = home.settings_file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise RingfenceError(
            f"cannot read {home.settings_file}: {error}",
            "Make it a readable UTF-8 file, or remove it.",
            exit_code=2,
        ) from error
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RingfenceError(
            f"{home.settings_file} is not TOML: {error}",
            "Correct that line, or remove the file.",
            exit_code=2,
        ) from error


def _environment(variables: Mapping[str, str]) -> dict[str, Any]:
    """Variables with a section in their name; `RINGFENCE_HOME` and its like are no settings."""
    nested: dict[str, Any] = {}
    for name in sorted(variables):
        if not name.startswith(PREFIX) or DEEPER not in name:
            continue
        *sections, key = name.removeprefix(PREFIX).lower().split(DEEPER)
        place = nested
        for section in sections:
            place = place.setdefault(section, {})
        place[key] = variables[name]
    return nested


def _merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(below, value) if both and isinstance(below, Mapping) else value
    return merged


def _explained(layer: str, error: ValidationError) -> RingfenceError:
    """The first problem in words, without the value: it might be a secret in the wrong place."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return RingfenceError(
            f"{layer} sets {place}, which is no setting", "See docs/settings.md for all of them.", exit_code=2
        )
    return RingfenceError(
        f"{layer} sets {place} wrongly: {first['msg']}",
        "See docs/settings.md for what it may be.",
        exit_code=2,
    )
