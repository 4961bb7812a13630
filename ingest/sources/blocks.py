"""Cuts a stream of text into blocks of whole lines, holding at most a few MiB however long a line is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from ingest.sources.rows import KEPT_OF_LONG, MOST_LINE, BadRow, Block, long_line
from ingest.sources.streams import ByteStream, DamagedStreamError

BLOCK = 8 << 20
MOST_ROWS = 131_072
_BOM = b"\xef\xbb\xbf"


class BlockReader:
    """Iterates over the blocks of a stream. `damage` says, after the last block, what was wrong with it."""

    def __init__(self, stream: ByteStream, head: bytes = b"", size: int = BLOCK) -> None:
        """`head` are bytes of the stream that were read already."""
        self._stream = stream
        self._size = size
        self._tail = head
        self._line = 1
        self._offset = 0
        self._ended = False
        self.damage: str | None = None

    def __iter__(self) -> Iterator[Block]:
        first = True
        while not self._ended:
            data = self._tail + self._read(self._size)
            if first and data.startswith(_BOM):
                data = data[len(_BOM) :]
                self._offset = len(_BOM)
            first = False
            yield from self._cut(data)

    def _read(self, size: int) -> bytes:
        try:
            data = self._stream.read(size)
        except DamagedStreamError as error:
            self.damage = str(error)
            data = b""
        self._ended = not data
        return data

    def _cut(self, data: bytes) -> Iterator[Block]:
        end = data.rfind(b"\n") + 1
        self._tail = data[end:]
        if end:
            yield from self._blocks(data[:end])
        if self._ended and self._tail:
            yield from self._last(self._tail)
        elif len(self._tail) > MOST_LINE:
            yield self._skip_long()

    def _last(self, data: bytes) -> Iterator[Block]:
        """What follows the last line feed: the last row of a whole file, the torn row of a damaged one."""
        if self.damage is None:
            yield from self._blocks(data)
            return
        detail = f"the input ends in the middle of this row: {self.damage}"
        raw = data[:KEPT_OF_LONG].decode("utf-8", "replace")
        yield self._refusal(BadRow(self._line, "truncated_input", detail, raw, self._offset))

    def _blocks(self, data: bytes) -> Iterator[Block]:
        """Whole lines as blocks of at most MOST_ROWS rows."""
        count = data.count(b"\n")
        cuts = [len(data)]
        if count > MOST_ROWS:
            feeds = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == 10)
            cuts = sorted({*(int(at) + 1 for at in feeds[MOST_ROWS - 1 :: MOST_ROWS]), len(data)})
        start = 0
        for cut in cuts:
            part = data if len(cuts) == 1 else data[start:cut]
            yield Block(part, self._line, self._offset)
            self._line += part.count(b"\n")
            self._offset += len(part)
            start = cut

    def _skip_long(self) -> Block:
        """Read past a line that exceeds the limit, keeping its digest, length and beginning."""
        digest, length, head = hashlib.sha256(self._tail), len(self._tail), self._tail[:KEPT_OF_LONG]
        rest = b""
        while piece := self._read(MOST_LINE):
            end = piece.find(b"\n")
            part = piece if end < 0 else piece[:end]
            digest.update(part)
            length += len(part)
            if end >= 0:
                rest = piece[end + 1 :]
                break
        bad = long_line(self._line, self._offset, length, digest.hexdigest(), head)
        block = self._refusal(bad)
        self._line += 1
        self._offset += length + 1
        self._tail = rest
        return block

    def _refusal(self, bad: BadRow) -> Block:
        return Block(b"", self._line, self._offset, bad=(bad,))
