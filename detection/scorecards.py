"""The scorecards of one home: trained versions, and which of them scores. Nothing there: the one that ships."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from detection.scoring import Scorecard, shipped
from detection.settings import AdmissionSettings
from graph.durable import write_atomically
from graph.errors import RingfenceError
from graph.home import Home

FOLDER = "scorecards"
ACTIVE = "active"
SHIPPED = "shipped"
_VERSION = re.compile(r"^v[0-9]{4}$")


class Trained(BaseModel):
    """A trained scorecard, and how it came about.

    `based_on` is the version of the shipped card that was refitted, `replaced` the one in use before, `labels` how many
    clusters of each label it saw, `old` and `new` what both cards reached on held-out labels, `forced` whether it was
    kept although it was worse.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    scorecard: Scorecard
    trained_at: datetime
    run_id: str
    based_on: str
    replaced: str
    labels: dict[str, int]
    old: dict[str, Any]
    new: dict[str, Any]
    forced: bool


def admission_with(settings: AdmissionSettings, card: Scorecard) -> AdmissionSettings:
    """The settings of admission, with the threshold of a card whose labels ask for more."""
    if card.threshold is None:
        return settings
    return settings.model_copy(
        update={
            "cluster_risk": max(settings.cluster_risk, card.threshold),
            "member_risk": max(settings.member_risk, card.threshold),
        }
    )


class Scorecards:
    """Versions `v0001`, `v0002` … of one home, and a pointer to the one in use."""

    def __init__(self, home: Home) -> None:
        self._folder = home.path / FOLDER

    def all(self) -> list[Trained]:
        """Every trained version, oldest first."""
        return [self._read(path) for path in sorted(self._folder.glob("v[0-9]*.json"))]

    def active_version(self) -> str:
        """The version in use; `shipped` where none was trained, or the home went back to that."""
        try:
            named = (self._folder / ACTIVE).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return SHIPPED
        except OSError as error:
            raise RingfenceError(
                f"cannot read {self._folder / ACTIVE}: {error.strerror or error}", "Make it readable."
            ) from error
        return named

    def active(self) -> Scorecard:
        """The scorecard in use. Raises RingfenceError when it is damaged."""
        version = self.active_version()
        return shipped() if version == SHIPPED else self.open(version).scorecard

    def open(self, version: str) -> Trained:
        """One trained version. Raises RingfenceError (exit 2) where there is none of that name."""
        path = self._folder / f"{version}.json"
        if not _VERSION.match(version) or not path.exists():
            raise RingfenceError(
                f"there is no scorecard {version!r}", "List them: ringfence train --list", exit_code=2
            )
        return self._read(path)

    def next_version(self) -> str:
        """The name of the version that is trained next."""
        used = [int(path.stem[1:]) for path in self._folder.glob("v[0-9]*.json") if _VERSION.match(path.stem)]
        return f"v{max(used, default=0) + 1:04d}"

    def add(self, trained: Trained) -> None:
        """Keep a trained version and use it from the next run on."""
        path = self._folder / f"{trained.scorecard.version}.json"
        self._write(path, trained.model_dump_json(indent=2).encode())
        self.use(trained.scorecard.version)

    def use(self, version: str) -> None:
        """Use a version, or `shipped`, from the next run on. Raises RingfenceError (exit 2) for an unknown one."""
        if version != SHIPPED:
            self.open(version)
        self._write(self._folder / ACTIVE, f"{version}\n".encode())

    def _write(self, path: Path, content: bytes) -> None:
        try:
            write_atomically(path, content)
        except OSError as error:
            raise RingfenceError(
                f"cannot write {path}: {error.strerror or error}", "Free some space or correct that."
            ) from error

    def _read(self, path: Path) -> Trained:
        try:
            return Trained.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise RingfenceError(
                f"the scorecard {path} cannot be read",
                "Go back to the one that ships: ringfence train --revert shipped",
            ) from error
