"""Lines of text that a mapping's regular expression takes apart."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa

from ingest.batch import RawBatch
from ingest.sources.rows import Block, LazyText, Rows, number, text_problem

MOST_MATCHED = 65_536
"""Longer lines are refused before matching: the time of a careless expression grows with the line."""


@dataclass(frozen=True)
class LogTask:
    """Matches each line of a block; the named groups become columns, an unused group is null."""

    block: Block
    file: str
    pattern: str

    def read(self) -> Rows:
        """Every line is a row of the batch, in order; those that do not match are among its errors."""
        numbered = number(self.block)
        pattern = re.compile(self.pattern)
        errors: dict[int, str] = {}
        details: dict[int, str] = {}
        found: list[tuple[str | None, ...]] = []
        empty = (None,) * pattern.groups
        for at, record in enumerate(numbered.records):
            matched = _match(pattern, record)
            if isinstance(matched, re.Match):
                found.append(matched.groups())
            else:
                errors[at], details[at] = matched
                found.append(empty)
        columns = {
            name: pa.array([groups[index - 1] for groups in found], pa.string())
            for name, index in pattern.groupindex.items()
        }
        batch = RawBatch(
            columns=columns,
            rows=len(found),
            file=self.file,
            lines=pa.array(numbered.lines, pa.int64()),
            raw=LazyText(numbered.records),
            errors=errors,
        )
        return Rows(batch, numbered.bad, {}, details)


def _match(pattern: re.Pattern[str], record: bytes) -> re.Match[str] | tuple[str, str]:
    problem = text_problem(record)
    if problem is not None:
        return problem
    if len(record) > MOST_MATCHED:
        return "pattern_mismatch", f"lines of more than {MOST_MATCHED} bytes are not matched"
    matched = pattern.fullmatch(record.decode("utf-8").removesuffix("\r"))
    return matched or ("pattern_mismatch", "the line does not match the mapping's pattern")
