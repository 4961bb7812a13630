"""Which files are meant, and of which format they are."""

from __future__ import annotations

import errno
import glob
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from graph.errors import RingfenceError

STANDARD_INPUT = "-"
FORMATS = ("ndjson", "csv", "parquet", "log")
_BY_SUFFIX = {
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "ndjson",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".log": "log",
}
_PACKED = (".gz", ".zst")
_GLOB = frozenset("*?[")
_OF_A_HOME = "facts/commits"


def format_of(name: str) -> str | None:
    """The format that a file's name tells, behind .gz or .zst; None if it tells none."""
    path = Path(name)
    if path.suffix.lower() in _PACKED:
        path = path.with_suffix("")
    return _BY_SUFFIX.get(path.suffix.lower())


def sniff(head: bytes) -> str:
    """The format that the first bytes tell."""
    if head.startswith(b"PAR1"):
        return "parquet"
    return "ndjson" if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{" else "csv"


_FOREIGN = {
    b"PAR1": ("Parquet", "Name it .parquet, or say --format parquet."),
    b"PK\x03\x04": ("a ZIP archive or a spreadsheet", "Unpack it, or save the sheet as CSV."),
    b"\x1f\x8b": ("gzip within gzip", "Unpack it once."),
    b"\x28\xb5\x2f\xfd": ("compressed twice", "Unpack it once."),
    b"\xfd7zXZ\x00": ("compressed with xz", "Unpack it, or pack it with gzip or zstd."),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", "Unpack it."),
    b"ARROW1\x00\x00": ("an Arrow file", "Save it as Parquet."),
    b"Obj\x01": ("Avro", "Save it as Parquet or NDJSON."),
    b"SQLite format 3\x00": ("an SQLite database", "Export its tables as CSV."),
    b"\xff\xfe": ("text in UTF-16", "Convert it: iconv -f UTF-16 -t UTF-8."),
    b"\xfe\xff": ("text in UTF-16", "Convert it: iconv -f UTF-16 -t UTF-8."),
}
_BZIP2 = re.compile(rb"BZh[1-9]1AY&SY")
_TAR_MARK = slice(257, 262)


def no_text(head: bytes) -> tuple[str, str] | None:
    """What an input is that was taken for text, judged by its first bytes, and what to do; None if it may be text."""
    if _BZIP2.match(head):
        return "compressed with bzip2", "Unpack it, or pack it with gzip or zstd."
    if head[_TAR_MARK] == b"ustar":
        return "a tar archive", "Unpack it, and ingest the folder."
    return next((known for magic, known in _FOREIGN.items() if head.startswith(magic)), None)


def expand(paths: Sequence[str]) -> list[str]:
    """The files behind files, folders and globs, each once, in a stable order; `-` stays.

    Folders are searched to any depth for files of known formats, but for homes of Ringfence in them; a file that
    is named itself, or by a glob, is taken whatever its name. Raises RingfenceError for what does not exist or may
    not be read.
    """
    found: dict[str, None] = {}
    for path in paths:
        for file in _expand_one(path):
            found.setdefault(file)
    if not found:
        raise RingfenceError(
            "nothing to ingest: no path was given, or the folders hold no file of a known format",
            f"Known are files that end in {', '.join(_BY_SUFFIX)}, also with {' or '.join(_PACKED)} behind.",
            exit_code=3,
        )
    return list(found)


def _expand_one(path: str) -> Iterator[str]:
    if path == STANDARD_INPUT:
        yield path
    elif _holds(path, Path.is_dir):
        yield from _walk(path)
    elif _holds(path, Path.exists):
        yield _readable(path)
    elif _GLOB & set(path):
        matches = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 - keeps the path as it was written
        if not matches:
            raise RingfenceError(f"no file matches {path}", "Check the pattern and the folder it is for.")
        for match in matches:
            yield from _walk(match) if Path(match).is_dir() else [_readable(match)]
    else:
        raise RingfenceError(f"{path} does not exist", "Check the path, or name a folder or a glob.")


def _holds(path: str, question: Callable[[Path], bool]) -> bool:
    try:
        return question(Path(path))
    except OSError as error:
        raise _unreadable(path, error) from error


def _walk(folder: str) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise _unreadable(error.filename or folder, error) from error

    for place, folders, files in os.walk(folder, onerror=refuse):
        if (Path(place) / _OF_A_HOME).is_dir():
            folders.clear()
            continue
        folders.sort()
        for name in sorted(files):
            if format_of(name) is not None:
                yield _readable(str(Path(place) / name), in_folder=True)


def _readable(path: str, *, in_folder: bool = False) -> str:
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        if not Path(path).is_symlink():
            raise _unreadable(path, error) from error
        raise RingfenceError(
            f"{path} is a link that leads nowhere", "Remove it, or have it lead to a file."
        ) from error
    if in_folder and not stat.S_ISREG(mode):
        raise RingfenceError(
            f"{path} is a pipe, a socket or a device, which a folder search does not wait for",
            "Name it by itself if it is meant, else move it out of the folder.",
        )
    # Asking, not opening: the other end of a pipe would see it closed again.
    if not os.access(path, os.R_OK):
        raise _unreadable(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    return path


def _unreadable(path: str, error: OSError) -> RingfenceError:
    return RingfenceError(
        f"cannot read {path}: {error.strerror}",
        "Give the account that ingests permission to read it (and to enter its folders).",
    )


@dataclass(frozen=True)
class Stamp:
    """What tells whether a file is still the one that was opened."""

    device: int
    inode: int
    size: int
    changed_ns: int

    @classmethod
    def of(cls, path: str) -> Stamp:
        """The stamp of the file as it is now. Raises OSError when it is gone."""
        status = Path(path).stat()
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def shown_name(path: str) -> str:
    """A path as it may be written down: bytes that are no UTF-8 as escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
