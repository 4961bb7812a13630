"""Lines of text that a mapping's regular expression takes apart."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ingest.batch import RawBatch
from ingest.sources.rows import Block, LazyText, Rows, number, text_problem


@dataclass(frozen=True)
class LogTask:
    """Matches each line of a block; the named groups become columns, an unused or empty group is null.

    RE2 does it, whose time grows with the length of a line and no more, whatever the expression.
    """

    block: Block
    file: str
    pattern: str

    def read(self) -> Rows:
        """Every line is a row of the batch, in order; those that do not match are among its errors."""
        numbered = number(self.block)
        errors: dict[int, str] = {}
        details: dict[int, str] = {}
        lines: list[str | None] = []
        for at, record in enumerate(numbered.records):
            problem = text_problem(record)
            if problem is not None:
                errors[at], details[at] = problem
            lines.append(None if problem is not None else record.decode("utf-8").removesuffix("\r"))
        found = take_apart(pa.array(lines, pa.string()), self.pattern)
        for at, matched in enumerate(found.is_valid().to_pylist()):
            if not matched and at not in errors:
                errors[at], details[at] = "pattern_mismatch", "the line does not match the mapping's pattern"
        batch = RawBatch(
            columns={group.name: found.field(group.name) for group in found.type},
            rows=len(lines),
            file=self.file,
            lines=pa.array(numbered.lines, pa.int64()),
            raw=LazyText(numbered.records),
            errors=errors,
        )
        return Rows(batch, numbered.bad, {}, details)


def take_apart(lines: pa.StringArray, pattern: str) -> pa.StructArray:
    """The named groups of each line that the pattern fits as a whole; null where it does not.

    Raises pa.ArrowInvalid for a pattern that RE2 cannot use, or of which a group has no name.
    """
    found = pc.extract_regex(lines, rf"\A(?:{pattern})\z")
    groups = [pc.if_else(pc.equal(group, ""), None, group) for group in found.flatten()]
    return pa.StructArray.from_arrays(groups, found.type.names, mask=found.is_null())
