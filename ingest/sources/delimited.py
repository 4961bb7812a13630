"""Delimited text (CSV): a header, then records that may span lines within quotes."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from graph.errors import RingfenceError
from ingest.batch import RawBatch
from ingest.sources.rows import MOST_LINE, Block, LazyText, Rows, number, text_problem

DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class Header:
    """The first record: names of the columns, and what separates them."""

    names: tuple[str, ...]
    delimiter: str


@dataclass(frozen=True)
class DelimitedTask:
    """Parses a block of whole records. Empty cells are absent values."""

    block: Block
    file: str
    header: Header

    def read(self) -> Rows:
        """Every record is a row of the batch, in order; ragged and unreadable ones are among its errors."""
        numbered = number(self.block)
        errors: dict[int, str] = {}
        details: dict[int, str] = {}
        width = len(self.header.names)
        cells: list[list[str]] = []
        for at, record in enumerate(numbered.records):
            parsed = _parse(record, self.header.delimiter, width)
            if isinstance(parsed, list):
                cells.append(parsed)
            else:
                errors[at], details[at] = parsed
                cells.append([""] * width)
        columns = {
            name: pa.array([row[index] or None for row in cells], pa.string())
            for index, name in enumerate(self.header.names)
        }
        batch = RawBatch(
            columns=columns,
            rows=len(cells),
            file=self.file,
            lines=pa.array(numbered.lines, pa.int64()),
            raw=LazyText(numbered.records),
            errors=errors,
        )
        return Rows(batch, numbered.bad, {}, details)


def _parse(record: bytes, delimiter: str, width: int) -> list[str] | tuple[str, str]:
    """The cells of one record, or reason and detail."""
    problem = text_problem(record)
    if problem is not None:
        return problem
    text = record.decode("utf-8").removesuffix("\r")
    if '"' not in text and "\r" not in text:
        cells = text.split(delimiter)
    else:
        try:
            rows = list(csv.reader([text], delimiter=delimiter, strict=True))
        except csv.Error as error:
            return "invalid_csv", f"the quotes of the row do not add up ({error})"
        if len(rows) != 1:
            return "invalid_csv", "a carriage return breaks the row in two; put the cell in quotes"
        cells = rows[0]
    if len(cells) != width:
        return "ragged_row", f"the row has {len(cells)} cells, the header {width}"
    return cells


def read_header(record: bytes, file: str) -> Header:
    """Names and delimiter from the first record. Raises RingfenceError for one that cannot be a header."""
    problem = text_problem(record)
    if problem is not None:
        raise RingfenceError(
            f"{file}: the header cannot be read: {problem[1]}", "Save the file as CSV in UTF-8."
        )
    text = record.decode("utf-8").removesuffix("\r")
    unquoted = re.sub(r'"(?:[^"]|"")*"', "", text)
    delimiter = max(DELIMITERS, key=lambda one: (unquoted.count(one), -DELIMITERS.index(one)))
    try:
        names = tuple(name.strip() for name in next(csv.reader([text], delimiter=delimiter, strict=True)))
    except csv.Error as error:
        raise RingfenceError(
            f"{file}: the header cannot be read: {error}", "The first line must name the columns."
        ) from error
    names = tuple(name or f"column_{at}" for at, name in enumerate(names, 1))
    if len(set(names)) < len(names):
        twice = next(name for name, times in Counter(names).items() if times > 1)
        raise RingfenceError(
            f"{file}: the header names the column {twice!r} twice", "Give every column one name of its own."
        )
    return Header(names, delimiter)


class RecordBlocks:
    """Turns blocks of lines into blocks of records: a quoted cell may hold line feeds, and span blocks."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        self._blocks = blocks
        self._held: Block | None = None

    def split(self, delimiter: str) -> Iterator[Block]:
        """The same bytes, cut where records end."""
        opening = re.compile(
            b"(?:\\A|(?<=[\n" + re.escape(delimiter.encode()) + b']))"[^"]*+(?:""[^"]*+)*+("?)'
        )
        for block in self._blocks:
            if block.bad:
                yield from self._release()
                yield block
                continue
            joined = _join(self._held, block)
            self._held = None
            if b'"' not in joined.data:
                yield joined
            else:
                yield from self._cut(joined, opening)
        yield from self._release()

    def _release(self) -> Iterator[Block]:
        """What was held for a closing quote that never came: its lines stand for themselves."""
        held, self._held = self._held, None
        if held is not None:
            yield held

    def _cut(self, block: Block, opening: re.Pattern[bytes]) -> Iterator[Block]:
        """Cut behind the last complete record; hold the rest until its quote is closed."""
        data = block.data
        feeds = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == 10)
        inside = np.zeros(len(feeds), dtype=np.bool_)
        open_at = len(data)
        at = 0
        while (cell := opening.search(data, at)) is not None:
            if cell.group(1):
                first, last = np.searchsorted(feeds, cell.span())
                # A record over the limit has a quote too much: its first line is refused, the others stand.
                if cell.end() - cell.start() <= MOST_LINE:
                    inside[first:last] = True
                    at = cell.end()
                else:
                    at = cell.start() + 1
            else:
                open_at = cell.start()
                break
        yield from self._divide(block, feeds[~inside] + 1, open_at)

    def _divide(self, block: Block, ends: npt.NDArray[np.int64], open_at: int) -> Iterator[Block]:
        data = block.data
        whole = ends[ends <= open_at]
        cut = int(whole[-1]) if len(whole) else 0
        if open_at == len(data) or len(data) - cut > MOST_LINE:
            # Nothing is open, or what is open is too long to wait for.
            last = [] if len(ends) and ends[-1] == len(data) else [len(data)]
            yield replace(block, ends=np.append(ends, last).astype(np.int64))
            return
        if cut:
            yield replace(block, data=data[:cut], ends=whole.astype(np.int64))
        lines = data.count(b"\n", 0, cut)
        self._held = Block(data[cut:], block.line + lines, block.offset + cut)


def _join(held: Block | None, block: Block) -> Block:
    if held is None:
        return block
    return Block(held.data + block.data, held.line, held.offset)


def first_record(block: Block) -> tuple[bytes, Block]:
    """The header's bytes and the rest of the block."""
    end = block.data.find(b"\n") + 1 or len(block.data)
    rest = Block(block.data[end:], block.line + 1, block.offset + end)
    return block.data[:end].removesuffix(b"\n"), rest
