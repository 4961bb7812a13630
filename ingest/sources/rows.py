"""What the sources have in common: blocks of whole lines, rows that cannot be read, and the tasks of workers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, overload

import numpy as np
import numpy.typing as npt

from ingest.batch import RawBatch

MOST_LINE = 1 << 20
KEPT_OF_LONG = 1 << 16


@dataclass(frozen=True)
class BadRow:
    """A row that no batch can hold. `raw` is what is kept of it, secrets not yet redacted."""

    line: int
    reason: str
    detail: str
    raw: str
    offset: int | None = None


@dataclass(frozen=True)
class Block:
    """Whole lines of a text input. `line` is the number of the first one, `offset` its place in the stream.

    `ends` are the places in `data` after each record, for formats whose records may span lines; None: every
    line feed ends a record. `bad` are rows that were refused while the block was cut.
    """

    data: bytes
    line: int
    offset: int
    ends: npt.NDArray[np.int64] | None = None
    bad: tuple[BadRow, ...] = ()


@dataclass(frozen=True)
class Rows:
    """What one task yields: a batch, the rows that could not become part of it, and notes on its errors.

    `fields` and `details` say more about rows in `batch.errors`.
    """

    batch: RawBatch
    bad: list[BadRow] = field(default_factory=list)
    fields: dict[int, str] = field(default_factory=dict)
    details: dict[int, str] = field(default_factory=dict)


class Task(Protocol):
    """A picklable piece of an input, small enough for memory, that a worker turns into rows."""

    def read(self) -> Rows:
        """Parse the piece."""
        ...


def long_line(line: int, offset: int, length: int, digest: str, head: bytes) -> BadRow:
    """A line over the limit: where it is, how long, its digest, and the beginning."""
    detail = (
        f"the line is {length} bytes long, more than {MOST_LINE}; offset {offset}, SHA-256 {digest}; "
        f"only the first {min(length, KEPT_OF_LONG)} bytes are kept"
    )
    return BadRow(line, "line_too_long", detail, head[:KEPT_OF_LONG].decode("utf-8", "replace"), offset)


def refuse_long(line: int, offset: int, data: bytes) -> BadRow:
    """`long_line` of a line that is in memory."""
    return long_line(line, offset, len(data), hashlib.sha256(data).hexdigest(), data)


def records(block: Block) -> list[bytes]:
    """The records of a block, without the line feed that ends each."""
    if block.ends is None:
        parts = block.data.split(b"\n")
        if parts and not parts[-1]:
            parts.pop()
        return parts
    starts = [0, *block.ends[:-1].tolist()]
    return [
        block.data[start:end].removesuffix(b"\n")
        for start, end in zip(starts, block.ends.tolist(), strict=True)
    ]


class LazyText(Sequence[str]):
    """Rows as bytes that become text only when asked for: few ever are."""

    def __init__(self, rows: list[bytes]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[str]: ...
    def __getitem__(self, at: int | slice) -> str | Sequence[str]:
        if isinstance(at, slice):
            return LazyText(self._rows[at])
        return self._rows[at].decode("utf-8", "replace")


def text_problem(record: bytes) -> tuple[str, str] | None:
    """Why bytes cannot be the text of a row, as reason and detail; None when they can."""
    if 0 in record:
        return "nul_character", f"byte {record.index(0) + 1} of the row is a NUL character"
    try:
        record.decode("utf-8")
    except UnicodeDecodeError as error:
        return (
            "invalid_utf8",
            f"byte {error.start + 1} of the row is not UTF-8; convert the file, for example with iconv",
        )
    return None


@dataclass(frozen=True)
class Numbered:
    """The records of a block that may become rows, with their line numbers, and those that may not."""

    records: list[bytes]
    lines: list[int]
    bad: list[BadRow]


def number(block: Block) -> Numbered:
    """Number the records; blank ones are no rows, overlong ones are refused."""
    kept: list[bytes] = []
    lines: list[int] = []
    bad = list(block.bad)
    line, offset = block.line, block.offset
    spanning = block.ends is not None
    for record in records(block):
        if len(record) > MOST_LINE:
            bad.append(refuse_long(line, offset, record))
        elif record and not record.isspace():
            kept.append(record)
            lines.append(line)
        line += 1 + (record.count(b"\n") if spanning else 0)
        offset += len(record) + 1
    return Numbered(kept, lines, bad)
