"""Quarantined rows as a source: read again like the lines and rows that they were."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa

from ingest.mapped import as_text
from ingest.refused import RefusedRow
from ingest.sources.loglines import LogTask
from ingest.sources.ndjson import NdjsonTask
from ingest.sources.rows import MOST_LINE, Block, Rows, Task


def may_retry(row: RefusedRow) -> bool:
    """Whether enough of a row was kept."""
    return row.form != "none" and 0 < len(row.raw.encode("utf-8", "replace")) <= MOST_LINE


@dataclass(frozen=True)
class RetryTask:
    """Rows of one input. `pattern` is for lines of a log; ids that were derived before are used again."""

    rows: tuple[RefusedRow, ...]
    known: frozenset[str]
    measures: frozenset[str]
    id_column: str
    pattern: str | None

    def read(self) -> Rows:
        """One row of the batch for each, in order."""
        data = "\n".join(row.raw for row in self.rows).encode()
        block = Block(data, 1, 0)
        file = self.rows[0].file
        task: Task = NdjsonTask(block, file, self.known | {self.id_column}, self.measures)
        if self.pattern is not None:
            task = LogTask(block, file, self.pattern)
        rows = task.read()
        batch = rows.batch
        given = as_text(batch.columns.get(self.id_column), batch.rows).to_pylist()
        ids = [one or row.event_id for one, row in zip(given, self.rows, strict=True)]
        columns = {**batch.columns, self.id_column: pa.array(ids, pa.string())}
        lines = pa.array([row.line for row in self.rows], pa.int64())
        return replace(rows, batch=replace(batch, columns=columns, lines=lines))
