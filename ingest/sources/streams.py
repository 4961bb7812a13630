"""Bytes of an input, decompressed as they are read; damage is reported after everything before it was read."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

PIECE = 1 << 16
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_SUFFIXES = {".gz": "gzip", ".zst": "zstd"}


class DamagedStreamError(Exception):
    """A compressed stream ends too early or holds what cannot be decompressed."""


class UnreadableError(Exception):
    """The system cannot read an input (any further); the cause is an OSError."""


class ByteStream:
    """Reads an input forward. `read` raises DamagedStreamError once all intact bytes have been given out,
    and UnreadableError when the system fails.
    """

    def __init__(self, opener: Callable[[], BinaryIO], compression: str | None, *, again: bool) -> None:
        self._opener = opener
        self._compression = compression
        self._again = again
        self._given = 0
        self._damage: DamagedStreamError | None = None
        self._stream = self._open()

    def _open(self) -> BinaryIO:
        try:
            raw = self._opener()
        except OSError as error:
            raise UnreadableError from error
        if self._compression is None:
            return raw
        stream: BinaryIO = pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), self._compression)
        return stream

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; empty at the end."""
        parts = []
        while size > 0 and (piece := self._piece(min(size, PIECE))):
            parts.append(piece)
            size -= len(piece)
        if not parts and self._damage is not None:
            raise self._damage
        return b"".join(parts)

    def _piece(self, size: int) -> bytes:
        if self._damage is not None:
            return b""
        try:
            piece = self._stream.read(size)
        except OSError as error:
            if self._compression is None:
                raise UnreadableError from error
            self._damage = DamagedStreamError(
                f"the {self._compression} stream is damaged or cut off ({error})"
            )
            return self._rescue(size)
        self._given += len(piece)
        return piece

    def _rescue(self, size: int) -> bytes:
        """The intact bytes of a piece that failed as a whole: read again, byte by byte."""
        if not self._again:
            return b""
        self._stream.close()
        self._stream = self._open()
        rescued = bytearray()
        try:
            skip = self._given
            while skip > 0:
                skip -= len(self._stream.read(min(skip, PIECE)))
            while len(rescued) < size and (byte := self._stream.read(1)):
                rescued += byte
        except OSError:
            pass
        return bytes(rescued)

    def close(self) -> None:
        """Release the file."""
        self._stream.close()


def compression_of(path: Path) -> str | None:
    """`gzip`, `zstd` or None, by the name of the file."""
    return _SUFFIXES.get(path.suffix.lower())


def open_file(path: Path) -> ByteStream:
    """A file, decompressed when its name ends in .gz or .zst, or when it starts like one of them."""
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except OSError as error:
        raise UnreadableError from error
    return ByteStream(lambda: path.open("rb"), compression_of(path) or _packed(head), again=True)


def _packed(head: bytes) -> str | None:
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)


def open_standard_input(stream: BinaryIO | None = None) -> ByteStream:
    """Standard input, decompressed when it starts like gzip or zstd."""
    given = sys.stdin.buffer if stream is None else stream
    buffered = io.BufferedReader(_Raw(given), PIECE)
    return ByteStream(lambda: buffered, _packed(buffered.peek(4)[:4]), again=False)


class _Raw(io.RawIOBase):
    """Makes any binary stream peekable without closing it at the end."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
