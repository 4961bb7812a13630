"""From a piece of an input to events: what a worker process does, and nothing that depends on other pieces."""

from __future__ import annotations

from collections.abc import Mapping as Map
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from graph.facts_schema import EVENTS, VALUES
from ingest.batch import Normalised, RawBatch
from ingest.erased import Tombstones
from ingest.fingerprints import derived_event_id
from ingest.mapped import MappedBatch, apply_rule, as_text, secret_columns, take_rows
from ingest.mapping import EPOCH_UNITS, InputRule
from ingest.normalise import Normaliser
from ingest.redaction import MASK, Redactor
from ingest.refused import Form, RefusedRow
from ingest.retried import RetryTask
from ingest.settings import IngestSettings
from ingest.sources.delimited import DelimitedTask
from ingest.sources.rows import BadRow, Rows, Task
from ingest.strings import combine, hash_strings

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
_SEED = 0x52696E67


@dataclass(frozen=True)
class Plan:
    """How the pieces of one input are read; picklable. `ingest` and `arrived_at` go into refused rows."""

    file: str
    format: str
    source: str
    settings: IngestSettings
    pepper: bytes
    arrived_at: datetime
    ingest: str
    rule: InputRule | None = None
    mapping: str | None = None
    erased: frozenset[bytes] = frozenset()
    """The keys of organizations about which nothing is taken in."""

    @property
    def id_column(self) -> str:
        """The input's column that becomes `event_id`."""
        return "event_id" if self.rule is None else self.rule.columns.get("event_id", "event_id")

    def aliases(self) -> dict[str, str]:
        """The input's own columns that the rule turns into secret fields."""
        return {} if self.rule is None else secret_columns(self.rule)

    def unit(self) -> str | None:
        """The epoch unit that the rule states."""
        return EPOCH_UNITS.get(self.rule.time_format or "") if self.rule is not None else None


@dataclass(frozen=True)
class Repeats:
    """Rows without an id, by fingerprint of their text: sorted fingerprints and how often each occurs."""

    fingerprints: U64
    counts: U64


@dataclass(frozen=True)
class Outcome:
    """What became of a piece: events and refused rows together are its rows.

    `origin` is the row of the piece (see `readable`) that each event came from. `prints` are fingerprints of
    the rows of `values`. `records` are the rows of the input, of which each may have become several events.
    """

    events: pa.Table
    values: pa.Table
    prints: U64
    ids: U64
    content: U64
    origin: I64
    refused: list[RefusedRow]
    records: int
    repeats: Repeats
    epoch_unit: str | None
    erased: int = 0


@dataclass(frozen=True)
class Readable:
    """The rows of a piece, each with an id, and those that the source refuses."""

    rows: Rows
    batch: RawBatch
    derived: dict[int, str] = field(default_factory=dict)
    repeats: Repeats = field(
        default_factory=lambda: Repeats(np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.uint64))
    )


def readable(plan: Plan, task: Task, bases: Map[int, int]) -> Readable:
    """Parse a piece and give each row without an id one of its own.

    The id is the SHA-256 of source, raw row and the row's ordinal among identical rows of the input: `bases`
    says how many earlier pieces held, by fingerprint.
    """
    rows = task.read()
    batch = rows.batch
    ids = as_text(batch.columns.get(plan.id_column), batch.rows)
    present = pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(ids), ""), False)
    lacking = np.flatnonzero(~present.to_numpy(zero_copy_only=False))
    if not len(lacking):
        return Readable(rows, batch)
    texts = batch.row_texts(lacking.tolist())
    fingerprints = hash_strings(pa.array(texts, pa.string()), _SEED)
    distinct, codes, counts = np.unique(fingerprints, return_inverse=True, return_counts=True)
    start = [bases.get(one, 0) for one in distinct.tolist()] if bases else [0] * len(distinct)
    given = ids.to_pylist()
    derived: dict[int, str] = {}
    for row, text, code in zip(lacking.tolist(), texts, codes.tolist(), strict=True):
        derived[row] = given[row] = derived_event_id(plan.source, text, start[code])
        start[code] += 1
    columns = {**batch.columns, plan.id_column: pa.array(given, pa.string())}
    repeats = Repeats(distinct, counts.astype(np.uint64))
    return Readable(rows, replace(batch, columns=columns), derived, repeats)


def process(plan: Plan, task: Task, epoch_unit: str | None, bases: Map[int, int]) -> Outcome:
    """Turn a piece into events. `epoch_unit` is that of the input, as far as it is known."""
    piece = readable(plan, task, bases)
    keeper = Keeper(plan, task, piece)
    batch = piece.batch
    good = _others(batch.rows, np.fromiter(batch.errors, np.int64, len(batch.errors)))
    mapped = _mapped(plan, take_rows(batch, good))
    normaliser = Normaliser(
        plan.pepper,
        plan.source,
        plan.arrived_at,
        plan.settings,
        timezone=plan.rule.timezone if plan.rule else None,
        epoch_unit=epoch_unit or plan.unit(),
    )
    done, buried = [], [np.empty(0, dtype=np.int64)]
    tombstones = Tombstones(plan.erased, plan.pepper) if plan.erased else None
    for mapping in mapped:
        part = mapping
        if tombstones is not None:
            part, rows = tombstones.living(mapping)
            buried.append(good[rows])
        result = normaliser.normalise(part.batch)
        normaliser.epoch_unit = result.epoch_unit or normaliser.epoch_unit
        done.append((good[part.rows], result))
    wrong = _first_problems(done)
    refused = keeper.source_errors()
    refused.extend(keeper.keep(row, *problem) for row, problem in sorted(wrong.items()))
    gone = np.concatenate(buried)
    covered = _marked(batch.rows, np.concatenate([_covered(done), gone]))
    refused.extend(keeper.keep(int(row), *_NO_EVENT) for row in good[~covered[good]])
    records = batch.rows + len(piece.rows.bad)
    erased = len(gone)
    if tombstones is not None:
        kept = tombstones.kept(refused)
        erased, refused = erased + len(refused) - len(kept), kept
    dropped = np.fromiter(wrong, np.int64, len(wrong))
    outcome = _outcome(done, dropped, refused, records, piece.repeats, normaliser.epoch_unit)
    return replace(outcome, erased=erased) if erased else outcome


def _marked(rows: int, some: I64) -> npt.NDArray[np.bool_]:
    marked = np.zeros(rows, dtype=bool)
    marked[some] = True
    return marked


def _others(rows: int, some: I64) -> I64:
    return np.flatnonzero(~_marked(rows, some))


_NO_EVENT = ("no_event", None, "the conditions of none of the mapping's events hold for this row")


def _mapped(plan: Plan, batch: RawBatch) -> list[MappedBatch]:
    if plan.rule is None:
        return [MappedBatch(batch, np.arange(batch.rows), 0)]
    return apply_rule(plan.rule, batch)


def _covered(done: list[tuple[I64, Normalised]]) -> I64:
    return np.concatenate([np.empty(0, dtype=np.int64), *(rows for rows, _ in done)])


def _first_problems(done: list[tuple[I64, Normalised]]) -> dict[int, tuple[str, str | None, str]]:
    """Row to reason, field, detail. A row is refused as a whole, once, if any of its events is."""
    wrong: dict[int, tuple[str, str | None, str]] = {}
    for rows, result in done:
        for one in result.rejected:
            wrong.setdefault(int(rows[one.row]), (one.reason, one.field, one.detail))
    return wrong


def _outcome(
    done: list[tuple[I64, Normalised]],
    wrong: I64,
    refused: list[RefusedRow],
    records: int,
    repeats: Repeats,
    unit: str | None,
) -> Outcome:
    parts = []
    for rows, result in done:
        origin = rows[result.rows]
        keep = ~np.isin(origin, wrong) if len(wrong) else np.ones(len(origin), dtype=bool)
        events = result.events if keep.all() else result.events.filter(pa.array(keep))
        parts.append((events, result.ids[keep], result.content[keep], origin[keep]))
    values = pa.concat_tables([result.values for _, result in done]) if done else VALUES.empty_table()
    events = pa.concat_tables([part[0] for part in parts]) if parts else EVENTS.empty_table()
    empty = np.empty(0, dtype=np.uint64)
    return Outcome(
        events=events,
        values=values,
        prints=value_prints(values),
        ids=np.concatenate([empty, *(part[1] for part in parts)]),
        content=np.concatenate([empty, *(part[2] for part in parts)]),
        origin=np.concatenate([np.empty(0, dtype=np.int64), *(part[3] for part in parts)]),
        refused=refused,
        records=records,
        repeats=repeats,
        epoch_unit=unit,
    )


def value_prints(values: pa.Table) -> U64:
    """A fingerprint of each row of the values table: key and raw text; the organization, too, where hidden."""
    key = combine(*_words(values["key"]))
    raw = combine(key, hash_strings(values["raw"].combine_chunks(), _SEED))
    hidden = pc.fill_null(values["hidden"], False).to_numpy()
    return np.where(hidden, combine(raw, combine(*_words(values["organization"]))), raw)


def _words(column: pa.ChunkedArray) -> tuple[U64, U64]:
    """The two halves of each key; zero where it is null."""
    keys = column.combine_chunks()
    halves = np.frombuffer(keys.storage.buffers()[1], dtype=np.uint64).reshape(-1, 2)
    halves = halves[keys.offset : keys.offset + len(keys)].copy()
    halves[keys.is_null().to_numpy(zero_copy_only=False)] = 0
    return halves[:, 0].copy(), halves[:, 1].copy()


class Keeper:
    """Makes refused rows of the rows of one piece."""

    def __init__(self, plan: Plan, task: Task, piece: Readable) -> None:
        self._plan = plan
        self._piece = piece
        self._header = task.header if isinstance(task, DelimitedTask) else None
        self._earlier = task.rows if isinstance(task, RetryTask) else None
        self._aliases = plan.aliases()
        self._redactor = Redactor(plan.pepper, self._aliases, plan.settings.phone_region)
        self._lines = piece.batch.lines.to_pylist()

    def source_errors(self) -> list[RefusedRow]:
        """The rows that the source itself refuses."""
        refused = [self._bad(one) for one in self._piece.rows.bad]
        rows = self._piece.rows
        for row, reason in sorted(self._piece.batch.errors.items()):
            at_field, detail = rows.fields.get(row), rows.details.get(row, "")
            if self._earlier is not None:
                refused.append(self.keep(row, reason, at_field, detail))
            else:
                refused.append(self._refuse(row, reason, at_field, detail, *self._line(row)))
        return refused

    def keep(self, row: int, reason: str, at_field: str | None, detail: str) -> RefusedRow:
        """A row that was read but may not be stored."""
        if self._earlier is not None:
            return replace(self._earlier[row], reason=reason, field=at_field, detail=detail)
        raw, form = self._line(row) if self._plan.format == "ndjson" else (self._object(row), "object")
        return self._refuse(row, reason, at_field, detail, raw, form)

    def _refuse(
        self, row: int, reason: str, at_field: str | None, detail: str, raw: str, form: Form
    ) -> RefusedRow:
        return RefusedRow(
            file=self._plan.file,
            line=self._lines[row],
            reason=reason,
            detail=detail,
            raw=raw,
            form=form,
            format=self._plan.format,
            source=self._plan.source,
            ingest=self._plan.ingest,
            at=self._plan.arrived_at.isoformat(),
            field=at_field,
            event_id=self._piece.derived.get(row),
            mapping=self._plan.mapping,
        )

    def _bad(self, one: BadRow) -> RefusedRow:
        return RefusedRow(
            file=self._plan.file,
            line=one.line,
            reason=one.reason,
            detail=one.detail,
            raw=MASK if self._aliases else self._redactor.text(one.raw),
            form="none",
            format=self._plan.format,
            source=self._plan.source,
            ingest=self._plan.ingest,
            at=self._plan.arrived_at.isoformat(),
            offset=one.offset,
            mapping=self._plan.mapping,
        )

    def _line(self, row: int) -> tuple[str, Form]:
        """The row as it was written, as far as it may be kept."""
        line = self._piece.batch.row_texts([row])[0]
        if self._plan.format == "ndjson":
            return self._redactor.json_line(line), "line"
        if self._header is not None:
            return self._redactor.csv_line(self._header.names, line, self._header.delimiter), "none"
        # Nothing tells where in a line that no pattern fits a secret would stand.
        kept = MASK if self._aliases else self._redactor.text(line)
        return kept, "line" if kept == line else "none"

    def _object(self, row: int) -> str:
        """The row's columns as a JSON object."""
        columns = dict(self._piece.batch.columns)
        if row in self._piece.derived:
            columns.pop(self._plan.id_column)
        typed = replace(self._piece.batch, columns=columns, raw=None)
        return orjson.dumps(self._redactor.row(orjson.loads(typed.row_texts([row])[0]))).decode()
