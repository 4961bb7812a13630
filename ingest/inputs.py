"""One input, opened: its pieces, what is wrong with it, and whether it stayed the same meanwhile."""

from __future__ import annotations

import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO, Protocol

from graph.errors import RingfenceError
from ingest.fields import INTEGER_FIELDS, KNOWN_FIELDS, MONEY_FIELDS
from ingest.mapping import InputRule
from ingest.sources.blocks import BlockReader
from ingest.sources.delimited import DelimitedTask, Header, RecordBlocks, first_record, read_header
from ingest.sources.files import STANDARD_INPUT, Stamp, format_of, no_text, sniff
from ingest.sources.loglines import LogTask
from ingest.sources.ndjson import NdjsonTask
from ingest.sources.parquet import ParquetReader
from ingest.sources.rows import Block, Task
from ingest.sources.streams import (
    ByteStream,
    DamagedStreamError,
    UnreadableError,
    compression_of,
    open_file,
    open_standard_input,
)

_HEAD = 4096
_PIECE = 1 << 20
MEASURES = frozenset({*MONEY_FIELDS, *INTEGER_FIELDS, "occurred_at", "ingested_at"})


class InputError(RingfenceError):
    """One input cannot be ingested (further); the others can."""


class _Damaged(Protocol):
    damage: str | None


class OpenInput:
    """A file or standard input. Iterate over `tasks`, then look at `damage` and call `check_unchanged`."""

    def __init__(self, path: str, rule: InputRule | None, form: str | None, spool: Path) -> None:
        self.path = path
        self._rule = rule
        self._spool = spool
        self._stamp = _stamp(path)
        self._stream: ByteStream | None = None
        self._pipe: BinaryIO | None = None
        self._head = b""
        self._reader: _Damaged | None = None
        self._damage: str | None = None
        try:
            self.format = self._find_format(form)
        except UnreadableError as error:
            raise _cannot_read(path, error.__cause__) from error
        if self.format == "log" and rule is None:
            raise InputError(
                f"{path}: lines of a log need a mapping that says what they hold",
                "Add --mapping FILE (access_log for the combined format), or say --format ndjson or csv.",
            )

    @property
    def damage(self) -> str | None:
        """What was wrong with the input behind the rows that were read; None for a sound one."""
        later = self._reader.damage if self._reader is not None else None
        return self._damage or later

    def _find_format(self, form: str | None) -> str:
        named = (self._rule.format if self._rule is not None else None) or form or format_of(self.path)
        return named or sniff(self._peek())

    def _open(self) -> ByteStream:
        if self._stream is None:
            if self.path == STANDARD_INPUT:
                self._stream = open_standard_input()
            elif self._stamp is None:
                self._pipe = _open_pipe(self.path)
                self._stream = open_standard_input(self._pipe)
            else:
                self._stream = open_file(Path(self.path))
        return self._stream

    def _peek(self) -> bytes:
        if not self._head:
            try:
                self._head = self._open().read(_HEAD)
            except DamagedStreamError as error:
                self._damage = str(error)
        return self._head

    def tasks(self) -> Iterator[Task]:
        """The pieces in order. Raises InputError when the input cannot be read."""
        try:
            if self.format == "parquet":
                yield from self._parquet()
            else:
                yield from self._text()
        except UnreadableError as error:
            raise _cannot_read(self.path, error.__cause__) from error

    def _text(self) -> Iterator[Task]:
        foreign = no_text(self._peek())
        if foreign is not None:
            raise InputError(f"{self.path} is {foreign[0]}, not {self.format}", foreign[1])
        blocks = BlockReader(self._open(), head=self._head)
        self._reader = blocks
        if self.format == "csv":
            yield from self._delimited(blocks)
            return
        for block in blocks:
            yield self._line_task(block)

    def _line_task(self, block: Block) -> Task:
        if self._rule is not None and self._rule.pattern is not None:
            return LogTask(block, self.path, self._rule.pattern)
        return NdjsonTask(block, self.path, known_columns(self._rule), MEASURES)

    def _delimited(self, reader: BlockReader) -> Iterator[Task]:
        blocks = iter(reader)
        first = next(blocks, None)
        if first is None:
            return
        if not first.data:
            raise InputError(
                f"{self.path}: the header is too long or torn", "The first line names the columns."
            )
        record, rest = first_record(first)
        try:
            header = read_header(record, self.path)
        except RingfenceError as error:
            raise InputError(error.message, error.remedy) from error
        for block in RecordBlocks(_chain(rest, blocks)).split(header.delimiter):
            yield self._cells(block, header)

    def _cells(self, block: Block, header: Header) -> Task:
        return DelimitedTask(block, self.path, header)

    def _parquet(self) -> Iterator[Task]:
        try:
            yield from self._stored_or_streamed()
        except InputError:
            raise
        except RingfenceError as error:
            raise InputError(error.message, error.remedy) from error

    def _stored_or_streamed(self) -> Iterator[Task]:
        if self._stamp is not None and compression_of(Path(self.path)) is None:
            yield from self._rows_of(Path(self.path))
            return
        # Parquet is read from its end, so what comes as a stream is put down first.
        with tempfile.NamedTemporaryFile(dir=self._spool, suffix=".parquet") as file:
            self._copy(file)
            yield from self._rows_of(Path(file.name))

    def _copy(self, file: IO[bytes]) -> None:
        stream = self._open()
        file.write(self._head)
        try:
            while piece := stream.read(_PIECE):
                file.write(piece)
        except DamagedStreamError as error:
            self._damage = str(error)
        file.flush()

    def _rows_of(self, path: Path) -> Iterator[Task]:
        reader = ParquetReader(path, self.path)
        self._reader = reader
        yield from reader

    def check_unchanged(self) -> None:
        """Raises InputError when the file is no longer the one that was opened."""
        if self._stamp is not None and _stamp(self.path) != self._stamp:
            raise InputError(
                f"{self.path} changed while it was read; ingest it again",
                "Nothing of it since the last commit was kept. Ingest files that nobody is writing any more.",
            )

    def close(self) -> None:
        """Release the file."""
        if self._stream is not None and self.path != STANDARD_INPUT:
            self._stream.close()
        if self._pipe is not None:
            self._pipe.close()


def _open_pipe(path: str) -> BinaryIO:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise UnreadableError from error


def known_columns(rule: InputRule | None) -> frozenset[str]:
    """The columns that are taken out of objects; a mapping's own are among them."""
    if rule is None:
        return KNOWN_FIELDS
    parts = (rule, *rule.events)
    moved = {origin for part in parts for origin in part.columns.values()}
    asked = {one.column for event in rule.events for one in event.when}
    return KNOWN_FIELDS | moved | asked


def _chain(first: Block, rest: Iterator[Block]) -> Iterator[Block]:
    if first.data or first.bad:
        yield first
    yield from rest


def _stamp(path: str) -> Stamp | None:
    """What the file looks like now; None for what is no file on a disk."""
    if path == STANDARD_INPUT:
        return None
    try:
        return Stamp.of(path) if stat.S_ISREG(Path(path).stat().st_mode) else None
    except OSError as error:
        raise _cannot_read(path, error) from error


def _cannot_read(path: str, error: BaseException | None) -> InputError:
    why = getattr(error, "strerror", None) or error
    return InputError(f"cannot read {path}: {why}", "Check that the file is there and may be read.")
