"""Rows of events from the network to the facts: spooled as they come, ingested one body at a time."""

from __future__ import annotations

import secrets
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import BoundedSemaphore, Lock
from typing import IO

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from api.http.problems import Problem
from api.settings import load_settings
from graph.errors import RingfenceError
from graph.home import Home, load_pepper
from ingest.job import ingest
from ingest.quarantine_file import stored_rows
from ingest.report import Counts

SHOWN = 1_000
"""Refused rows that an answer lists; all of them are in quarantine."""

BLOCK = 1 << 18


@dataclass(frozen=True)
class IntakeCaps:
    """Bounds of one body of events; a larger load goes through `ringfence ingest`."""

    inflated: int = 512 << 20
    rows: int = 1_000_000
    line: int = 1 << 20
    ratio: int = 200
    """Most bytes that a compressed byte may become: NDJSON reaches 30."""
    waiting: int = 8
    """Bodies that may wait for the one that is being ingested."""


@dataclass(frozen=True)
class Refused:
    """A row that went to quarantine: its number in the body from 1, and why."""

    row: int
    reason: str
    detail: str
    field: str | None


@dataclass(frozen=True)
class Taken:
    """What became of a body's rows. `refused` are the first of them."""

    ingest: str
    counts: Counts
    refused: tuple[Refused, ...]


class Intake:
    """Takes bodies into one home."""

    def __init__(self, home: Home, caps: IntakeCaps | None = None) -> None:
        self._home, self._caps = home, caps or IntakeCaps()
        self._threads = CapacityLimiter(1 + self._caps.waiting)
        self._places = BoundedSemaphore(1 + self._caps.waiting)
        self._one_at_a_time = Lock()

    async def take(self, body: AsyncIterator[bytes], source: str, *, packed: bool) -> Taken:
        """Store the rows of an NDJSON body, gzip-compressed if `packed`.

        Raises Problem for one that is too large, no gzip, or comes while too many wait; RingfenceError as `ingest`.
        """
        if not self._places.acquire(blocking=False):
            raise Problem(
                "busy", "too many bodies wait already", "Try again shortly.", headers={"Retry-After": "2"}
            )
        try:
            with self._spooled() as path:
                await _Spool(path, self._caps, packed).fill(body)
                return await run_sync(self._ingest, path, source, limiter=self._threads)
        finally:
            self._places.release()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other bodies waiting: the home takes one ingest at a time."""
        with self._one_at_a_time:
            yield

    @contextmanager
    def _spooled(self) -> Iterator[Path]:
        folder = self._home.ensure().path / "spool"
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / f"http-{secrets.token_hex(8)}.ndjson"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _ingest(self, path: Path, source: str) -> Taken:
        if path.stat().st_size == 0:
            raise Problem("invalid", "the body has no rows", "Send one JSON object a line.")
        settings = load_settings(self._home).ingest
        with self.alone():
            report = ingest(
                self._home,
                [str(path)],
                source=source,
                settings=settings,
                pepper=load_pepper(),
                format="ndjson",
            )
        for failed in report.errors:
            raise RingfenceError(
                failed.error or "the body cannot be read", "Send NDJSON in UTF-8.", exit_code=2
            )
        counts = report.totals
        found = sorted(self._refused(report.ingest), key=lambda each: each.row) if counts.quarantined else []
        return Taken(report.ingest, counts, tuple(found))

    def _refused(self, ingest_id: str) -> Iterator[Refused]:
        shown = 0
        for row in stored_rows(self._home):
            if row.ingest == ingest_id:
                yield Refused(row.line, row.reason, row.detail, row.field)
                shown += 1
            if shown == SHOWN:
                return


class _Spool:
    """One body on its way to a file, within its bounds."""

    def __init__(self, path: Path, caps: IntakeCaps, packed: bool) -> None:
        self._path, self._caps = path, caps
        self._inflate = zlib.decompressobj(wbits=31) if packed else None
        self._read = self._written = self._rows = self._line = 0

    async def fill(self, body: AsyncIterator[bytes]) -> None:
        """Write the body; in blocks, so that neither memory nor the event loop notices its size."""
        pending = bytearray()
        with self._path.open("wb") as out:
            async for chunk in body:
                pending += chunk
                if len(pending) >= BLOCK:
                    await run_sync(self._write, out, bytes(pending))
                    pending.clear()
            await run_sync(self._write, out, bytes(pending))
        if self._inflate is not None and not self._inflate.eof:
            raise Problem("bad_request", "the body is no whole gzip stream", "Send it again.")

    def _write(self, out: IO[bytes], block: bytes) -> None:
        self._read += len(block)
        for plain in self._plain(block):
            self._count(plain)
            out.write(plain)

    def _plain(self, block: bytes) -> Iterator[bytes]:
        if self._inflate is None:
            yield block
            return
        while block:
            try:
                piece = self._inflate.decompress(block, BLOCK)
            except zlib.error:
                raise Problem("bad_request", "the body is no gzip stream", "Compress it with gzip.") from None
            yield piece
            if self._written > self._read * self._caps.ratio + BLOCK:
                raise _too_large("the body inflates to far more than events do")
            block = self._inflate.unconsumed_tail
            if self._inflate.eof:
                if self._inflate.unused_data:
                    raise Problem("bad_request", "bytes follow the gzip stream", "Send one stream.")
                return

    def _count(self, plain: bytes) -> None:
        caps = self._caps
        self._written += len(plain)
        ends = plain.count(b"\n")
        self._rows += ends
        if ends:
            longest = max(len(line) for line in plain.split(b"\n"))
            self._line = len(plain) - plain.rfind(b"\n") - 1
        else:
            self._line += len(plain)
            longest = self._line
        if self._written > caps.inflated:
            raise _too_large(f"more than {caps.inflated} bytes of rows")
        if self._rows > caps.rows:
            raise _too_large(f"more than {caps.rows} rows")
        if longest > caps.line:
            raise _too_large(f"a row of more than {caps.line} bytes")


def _too_large(detail: str) -> Problem:
    return Problem("too_large", detail, "Send less at once, or use 'ringfence ingest'.")
