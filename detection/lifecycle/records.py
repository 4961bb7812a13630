"""What is known of each detector of a home: its state, who moved it when and why, and its latest backtest.

One small file, replaced as a whole under a lock. It holds no code: a detector is its file, and a state holds for
exactly the bytes whose digest stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from detection.scoring import Bin
from graph.durable import write_atomically
from graph.errors import RingfenceError
from graph.home import Home

FOLDER = "detectors"
STATE = "state.json"
LOCK_TIMEOUT_S = 30

State = Literal["draft", "shadow", "active", "retired"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Move(_Frozen):
    """One change of state, by a named person."""

    at: datetime
    by: str
    reason: str
    before: State
    after: State
    digest: str


class BacktestRecord(_Frozen):
    """A backtest of the file with this digest: on which runs, what was wrong, and the points that follow from it."""

    digest: str
    at: datetime
    runs: tuple[str, ...]
    problems: tuple[str, ...]
    doubts: tuple[str, ...]
    bins: tuple[Bin, ...]
    baseline: float

    @property
    def passed(self) -> bool:
        """Whether it ran properly on every run."""
        return not self.problems


class Record(_Frozen):
    """One detector. `digest` is the file's for which the state holds; a file with another one is a draft."""

    state: State = "draft"
    digest: str = ""
    history: tuple[Move, ...] = ()
    backtest: BacktestRecord | None = None


class _Records(_Frozen):
    format: Literal[1] = 1
    detectors: dict[str, Record] = {}


def folder(home: Home) -> Path:
    """Where the detectors of a home are."""
    return home.path / FOLDER


def read(home: Home) -> dict[str, Record]:
    """Every record by id. Raises RingfenceError when the file is damaged."""
    path = folder(home) / STATE
    try:
        return dict(_Records.model_validate_json(path.read_bytes()).detectors)
    except FileNotFoundError:
        return {}
    except (OSError, ValidationError) as error:
        raise RingfenceError(
            f"{path} cannot be read, so that no detector of the home is known to be promoted",
            "Restore it from a backup, or remove it: all of them are drafts then.",
        ) from error


@contextmanager
def changing(home: Home) -> Iterator[dict[str, Record]]:
    """The records to change; what they are at the end is written, wholly or not at all."""
    place = folder(home)
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(place / ".lock", timeout=LOCK_TIMEOUT_S):
            records = read(home)
            yield records
            content = _Records(detectors=dict(sorted(records.items())))
            write_atomically(place / STATE, content.model_dump_json(indent=2).encode())
    except Timeout as error:
        raise RingfenceError(
            "another process is changing the detectors of this home", "Try again."
        ) from error
    except OSError as error:
        raise RingfenceError(
            f"cannot write to {place}: {error.strerror or error}", "Correct that, then try again."
        ) from error
