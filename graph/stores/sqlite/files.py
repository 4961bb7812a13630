"""The files of the SQLite store: which one is served, who may replace it, and copies beside it."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from graph.durable import sync
from graph.errors import RingfenceError

COPIED_AT_ONCE = 1 << 30

Identity = tuple[int, int] | None


def identity(path: Path) -> Identity:
    """Which file lies at a path; another one once it was replaced, None if there is none."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def uri(path: Path, option: str) -> str:
    """A path with an option of how to open it, as SQLite reads it."""
    return f"{path.absolute().as_uri()}?{option}"


def check(path: Path, ours: bool, version: int, known: int) -> None:
    """Raise RingfenceError for a file that is not ours, or of a newer version of Ringfence."""
    if not ours:
        raise RingfenceError(
            f"{path} is not a graph of Ringfence", "Move it away, or name another home with --home DIR."
        )
    if version > known:
        raise RingfenceError(
            f"the graph {path} has schema {version}, this version of Ringfence knows {known}",
            "Upgrade Ringfence, or move the file away and publish again with `ringfence run`.",
        )


class Replaceable:
    """A file that is only ever replaced as a whole, by one process at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def held(self, busy: str, timeout: float = 0) -> Iterator[None]:
        """The right to replace it; whatever is half-built then belongs to nobody and is removed.

        Raises RingfenceError with the message `busy` when another process has it for longer than `timeout`.
        """
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(self._path.with_name(f"{self._path.name}.lock"))
        try:
            lock.acquire(timeout=timeout)
        except Timeout as error:
            raise RingfenceError(busy, "Wait until it is done.") from error
        try:
            for leftover in self._path.parent.glob(f"{self._path.name}.new-*"):
                leftover.unlink()
            yield
        finally:
            lock.release()

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """The name of a file beside it, which is removed in the end, with its logs, unless it was put in place."""
        path = self._path.with_name(f"{self._path.name}.new-{secrets.token_hex(4)}")
        try:
            yield path
        finally:
            for left in path.parent.glob(f"{path.name}*"):
                left.unlink()

    def put(self, scratch: Path) -> None:
        """Let a finished file take its place: on the disk first, then by one rename."""
        scratch.chmod(0o600)
        sync(scratch)
        scratch.replace(self._path)
        sync(self._path.parent)


def copy(source: Path, target: Path) -> None:
    """Copy a file inside the kernel, sharing blocks where the file system can."""
    with source.open("rb") as reading, target.open("wb") as writing:
        left = os.fstat(reading.fileno()).st_size
        try:
            while left > 0:
                done = os.copy_file_range(reading.fileno(), writing.fileno(), min(left, COPIED_AT_ONCE))
                if not done:
                    break
                left -= done
            return
        except (AttributeError, OSError):  # no such call, or not between these file systems
            if left != os.fstat(reading.fileno()).st_size:
                raise
    shutil.copyfile(source, target)
