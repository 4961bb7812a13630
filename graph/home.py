"""Where one installation keeps its data, and the secret that its keys are made with."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from graph.errors import RingfenceError

PEPPER_BYTES = 32


@dataclass(frozen=True)
class Home:
    """The folder of one installation. Nothing is created until something is written."""

    path: Path

    @classmethod
    def resolve(cls, explicit: Path | None = None) -> Home:
        """The home that is meant: `explicit`, else `RINGFENCE_HOME`, else the user's data folder."""
        if explicit is not None:
            return cls(explicit.expanduser().absolute())
        named = os.environ.get("RINGFENCE_HOME")
        if named:
            return cls(Path(named).expanduser().absolute())
        data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
        return cls(data / "ringfence")

    @property
    def facts(self) -> Path:
        """Immutable events and what is derived from each file of them."""
        return self.path / "facts"

    @property
    def runs(self) -> Path:
        """One folder a run, and the pointer to the current one."""
        return self.path / "runs"

    @property
    def graph(self) -> Path:
        """The SQLite graph store."""
        return self.path / "graph.sqlite"

    @property
    def quarantine(self) -> Path:
        """Rows that could not be accepted."""
        return self.path / "quarantine"

    @property
    def settings_file(self) -> Path:
        """`ringfence.toml`, which need not exist."""
        return self.path / "ringfence.toml"

    def ensure(self) -> Home:
        """Create the folder (mode 0700) if it is missing."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise RingfenceError(
                f"cannot create the home folder {self.path}: {error.strerror}",
                "Name another one with --home DIR or RINGFENCE_HOME.",
            ) from error
        return self


def pepper_file() -> Path:
    """Where the pepper lies: `RINGFENCE_PEPPER_FILE`, else under the user's configuration folder."""
    named = os.environ.get("RINGFENCE_PEPPER_FILE")
    if named:
        return Path(named).expanduser()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return config / "ringfence" / "pepper"


def load_pepper(*, create: bool = True) -> bytes:
    """The secret under which identifiers are keyed; made on first use with mode 0600.

    It lies outside the home on purpose: a copy of the data alone cannot be searched by guessing values.
    Raises RingfenceError when the file is missing and `create` is false, unreadable, or too short.
    """
    path = pepper_file()
    try:
        if create and not path.exists():
            _create_pepper(path)
        pepper = path.read_bytes()
    except OSError as error:
        raise RingfenceError(
            f"cannot read the pepper {path}: {error.strerror}",
            "Restore it from a backup, or name its place with RINGFENCE_PEPPER_FILE.",
        ) from error
    if len(pepper) < PEPPER_BYTES:
        raise RingfenceError(
            f"the pepper {path} holds {len(pepper)} bytes, {PEPPER_BYTES} are needed",
            "Restore it from a backup; keys made under another pepper do not match.",
        )
    return pepper


def _create_pepper(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    scratch = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(secrets.token_bytes(PEPPER_BYTES))
        out.flush()
        os.fsync(out.fileno())
    try:
        os.link(scratch, path)  # fails if another process was first: then its pepper counts
    except FileExistsError:
        pass
    finally:
        scratch.unlink()
