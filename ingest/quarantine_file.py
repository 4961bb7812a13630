"""The file into which one ingest writes the rows that it refuses."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from graph.durable import sync
from graph.errors import RingfenceError
from graph.facts import FactsReader
from graph.home import Home
from ingest.refused import RefusedRow


class QuarantineFile:
    """Appends refused rows. What is not committed is cut off again; the file appears with its first row.

    A row that lies in quarantine already, from the same place for the same reason, is not kept twice: an input
    that is ingested again changes nothing.
    """

    def __init__(self, home: Home, ingest: str) -> None:
        self._home = home
        self._path = home.quarantine / f"{ingest}.ndjson"
        self._file: BinaryIO | None = None
        self._committed = 0
        self._known: set[int] | None = None

    def add(self, rows: Iterable[RefusedRow]) -> None:
        """Append the rows that are not there yet."""
        for row in rows:
            if self._known is None:
                self._known = {_digest(one) for one in stored_rows(self._home)}
            digest = _digest(row)
            if digest not in self._known:
                self._known.add(digest)
                self._open().write(row.encode())

    def put_back(self, rows: Iterable[RefusedRow]) -> None:
        """Append rows whose old files a commit is going to replace."""
        for row in rows:
            self._open().write(row.encode())

    def _open(self) -> BinaryIO:
        if self._file is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = self._path.open("ab")
        return self._file

    @property
    def grown(self) -> bool:
        """Whether rows were added since the last commit."""
        return self._file is not None and self._file.tell() > self._committed

    def sync(self) -> tuple[Path, int] | None:
        """Have all rows on the disk; the file and its length. None while there is no row."""
        if self._file is None:
            return None
        self._file.flush()
        os.fsync(self._file.fileno())
        sync(self._path.parent)
        return self._path, self._file.tell()

    def committed(self) -> None:
        """What is there now stays."""
        if self._file is not None:
            self._committed = self._file.tell()

    def abort(self) -> None:
        """Cut off what is not committed."""
        self._known = None
        try:
            self.close()
            if self._committed:
                os.truncate(self._path, self._committed)
                self._file = self._path.open("ab")
            else:
                self._path.unlink(missing_ok=True)
        except OSError:
            # The next ingest cuts it off: no commit names these bytes.
            self._file = None

    def close(self) -> None:
        """Release the file."""
        file, self._file = self._file, None
        if file is not None:
            file.close()


def stored_rows(home: Home) -> Iterator[RefusedRow]:
    """The committed rows of quarantine, in the order in which they were refused."""
    for path, size in FactsReader(home).quarantine_files():
        yield from _read(path, size)


def _read(path: Path, size: int) -> Iterator[RefusedRow]:
    try:
        with path.open("rb") as file:
            while file.tell() < size and (line := file.readline()):
                yield RefusedRow.decode(line)
    except (OSError, ValueError, TypeError) as error:
        raise RingfenceError(
            f"the quarantine file {path} cannot be read: {error}", "Restore it from a backup, or remove it."
        ) from error


def _digest(row: RefusedRow) -> int:
    text = "\0".join((row.source, row.file, str(row.line), row.reason, row.raw))
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big")
