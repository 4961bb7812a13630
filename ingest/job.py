"""The ingest job: inputs in, facts and quarantine out, nothing lost and nothing doubled."""

from __future__ import annotations

import errno
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import filelock
import numpy as np
import pyarrow as pa

from graph.errors import RingfenceError
from graph.facts import FactsWriter, InputEntry
from graph.home import Home
from graph.tombstones import erased
from ingest.duplicates import judge
from ingest.inputs import InputError, OpenInput
from ingest.mapping import Ignored, InputRule, Mapping
from ingest.pipeline import Piece, Pipeline, frugal
from ingest.quarantine_file import QuarantineFile
from ingest.refused import RefusedRow
from ingest.repeats import RepeatCounts
from ingest.report import Counts, IngestReport, InputReport, Progress
from ingest.retried import RetryTask
from ingest.seen import SeenPrints
from ingest.settings import IngestSettings
from ingest.sources.files import expand, shown_name
from ingest.sources.rows import Task
from ingest.work import Keeper, Outcome, Plan, process, readable

COMMIT_ROWS = 4_000_000
_TOGETHER = 4
"""Pieces whose ids are looked up at once: every look goes through the whole index, and more would wait in memory."""
_POLL_SECONDS = 1.0


def ingest(
    home: Home,
    paths: Sequence[str],
    *,
    source: str = "default",
    mapping: Mapping | None = None,
    settings: IngestSettings,
    pepper: bytes,
    progress: Progress | None = None,
    arrived_at: datetime | None = None,
    format: str | None = None,  # noqa: A002 - as on the command line
) -> IngestReport:
    """Validate, canonicalise and store the rows of files, folders, globs or standard input (`-`).

    Every input is committed by itself, large ones in parts; what is committed stays, whatever happens after.
    Rows that cannot be stored go to quarantine; an input that cannot be read (to its end) has an `error` in
    its report. `arrived_at` (default: now) is `ingested_at` of rows without one.

    Raises RingfenceError when a path does not exist or may not be read, when another ingest holds the home
    for too long, and when the facts cannot be written (the disk is full).
    """
    began = time.monotonic()
    tell = progress or _silent
    _check_source(source)
    files = expand(paths)
    moment = (arrived_at or datetime.now(UTC)).astimezone(UTC)
    with Session(home, settings, pepper, tell, moment) as session:
        reports = [session.take(path, source, mapping, format) for path in files]
    return IngestReport(session.ingest, reports, time.monotonic() - began)


def _check_source(name: str) -> None:
    if not name.strip() or not name.isprintable():
        raise RingfenceError(
            "the name of a source is blank, or holds what cannot be printed",
            "Name it by a word, such as --source billing.",
            exit_code=2,
        )


def _silent(stage: str, done: int, total: int | None) -> None:
    """Progress that nobody watches."""


@contextmanager
def exclusive(home: Home, settings: IngestSettings, tell: Progress) -> Iterator[None]:
    """Hold the home against other ingests. Waits for one that is running, up to `settings.lock_timeout`."""
    home.ensure()
    lock = filelock.FileLock(home.path / "ingest.lock", fallback_to_soft=False)
    limit = settings.lock_timeout.total_seconds()
    began = time.monotonic()
    while True:
        left = limit - (time.monotonic() - began)
        try:
            lock.acquire(timeout=max(0.0, min(_POLL_SECONDS, left)))
            break
        except filelock.Timeout:
            waited = int(time.monotonic() - began)
            if left <= 0:
                raise RingfenceError(
                    f"another ingest into {home.path} did not end within {settings.lock_timeout}",
                    "Try again when it has ended, or raise lock_timeout in the settings.",
                ) from None
            tell("Waiting for another ingest into this home", waited, int(limit))
    try:
        yield
    finally:
        lock.release()


@contextmanager
def writing(home: Home) -> Iterator[None]:
    """Turns failures of the disk into an error that says what to do."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise RingfenceError(
            f"cannot write to {home.path}: {'the disk is full' if full else error.strerror or error}",
            "What was committed before is safe, and nothing is half written. "
            + ("Free some space" if full else "Correct that")
            + " and run the same command again: rows that are stored already count as duplicates.",
        ) from error


@dataclass
class Unit:
    """What was taken of one input since the last commit, and before it."""

    path: str
    source: str
    pending: Counts = field(default_factory=Counts)
    committed: Counts = field(default_factory=Counts)

    def entry(self) -> InputEntry:
        """What the next commit says about it."""
        counts = self.pending
        return InputEntry(
            self.path,
            self.source,
            counts.rows,
            counts.stored,
            counts.duplicates,
            counts.quarantined,
            counts.erased,
        )


class Session:
    """One ingest into one home: the lock, the writer, the workers. Use as a context."""

    def __init__(
        self, home: Home, settings: IngestSettings, pepper: bytes, tell: Progress, moment: datetime
    ) -> None:
        self.ingest = f"{datetime.now(UTC):%Y%m%dt%H%M%S}-{secrets.token_hex(4)}"
        self.moment = moment
        self._home = home
        self._settings = settings
        self._pepper = pepper
        self._tell = tell
        self.folder = home.facts / ".staging" / f"{self.ingest}-repeats"
        self._pipeline = Pipeline(settings.workers, home.facts / ".staging" / f"{self.ingest}-parcels")
        self._values = SeenPrints()

    def __enter__(self) -> Session:
        with ExitStack() as stack:
            with writing(self._home):
                stack.enter_context(exclusive(self._home, self._settings, self._tell))
                stack.enter_context(frugal())
                self.erased = erased(self._home)
                self._writer = FactsWriter(self._home, self.ingest)
                stack.callback(self._writer.close)
                self._refused = QuarantineFile(self._home, self.ingest)
                stack.callback(self._refused.close)
                stack.callback(self._pipeline.close)
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def take(self, path: str, source: str, mapping: Mapping | None, form: str | None) -> InputReport:
        """Ingest one input and commit it."""
        shown = shown_name(path)
        unit = Unit(shown, source)
        opened: OpenInput | None = None
        try:
            rule = _rule_for(path, mapping)
            if isinstance(rule, Ignored):
                return InputReport(shown, note=f"left out: {rule.because}")
            opened = OpenInput(path, rule, form, self._spool())
            unit.source = (rule.source if rule is not None else None) or source
            plan = self._plan(opened, unit.source, rule, mapping)
            self._take_all(plan, opened.tasks(), unit, opened)
            error = opened.damage and f"{shown}: {opened.damage}"
        except InputError as problem:
            self.abort()
            error = f"{shown_name(problem.message)}. {problem.remedy}"
        except BaseException:
            self.abort()
            raise
        finally:
            if opened is not None:
                opened.close()
        return InputReport.of(shown, unit.committed, error)

    def _spool(self) -> Path:
        folder = self._home.facts / ".staging"
        with writing(self._home):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _plan(self, opened: OpenInput, source: str, rule: InputRule | None, mapping: Mapping | None) -> Plan:
        return Plan(
            file=shown_name(opened.path),
            format=opened.format,
            source=source,
            settings=self._settings,
            pepper=self._pepper,
            arrived_at=self.moment,
            ingest=self.ingest,
            rule=rule,
            mapping=None if mapping is None else mapping.name,
            erased=self.erased,
        )

    def _take_all(self, plan: Plan, tasks: Iterable[Task], unit: Unit, opened: OpenInput) -> None:
        repeats = RepeatCounts(self.folder)
        with writing(self._home):
            for piece in self._looked_up(self._pipeline.run(plan, tasks)):
                # At every piece: a file that keeps growing would never end.
                opened.check_unchanged()
                self.take_piece(plan, piece.task, piece.whole(), repeats, unit)
                self._tell(f"Reading {unit.path}", unit.committed.rows + unit.pending.rows, None)
                if self._writer.pending_rows >= COMMIT_ROWS:
                    self.commit([unit])
            opened.check_unchanged()
            self.commit([unit])
            repeats.close()

    def _looked_up(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """The same, some at a time: their ids are looked up together."""
        while some := list(islice(pieces, _TOGETHER)):
            self._writer.look_up(np.concatenate([piece.outcome.ids for piece in some]))
            yield from some

    def take_piece(self, plan: Plan, task: Task, outcome: Outcome, repeats: RepeatCounts, unit: Unit) -> None:
        """Store what is new in a piece, and keep what is refused."""
        bases = repeats.bases(outcome.repeats)
        if bases:
            outcome = process(plan, task, outcome.epoch_unit, bases)
        repeats.add(outcome.repeats)
        verdict = judge(outcome.ids, outcome.content, self._writer.find)
        if verdict.conflict.any():
            keeper = Keeper(plan, task, readable(plan, task, bases))
            outcome.refused.extend(
                keeper.keep(int(row), "conflicting_duplicate", "event_id", _CONFLICT)
                for row in outcome.origin[verdict.conflict]
            )
        fresh = verdict.fresh
        stored = int(fresh.sum())
        if stored:
            events = outcome.events if fresh.all() else outcome.events.filter(pa.array(fresh))
            values = outcome.values.filter(pa.array(self._values.add_new(outcome.prints)))
            self._writer.add(events, values, (outcome.ids[fresh], outcome.content[fresh]))
        (self._refused.put_back if isinstance(task, RetryTask) else self._refused.add)(outcome.refused)
        duplicates, quarantined = int(verdict.duplicate.sum()), len(outcome.refused)
        rows = stored + duplicates + quarantined + outcome.erased
        unit.pending += Counts(rows, stored, duplicates, quarantined, outcome.records, outcome.erased)

    def keep(self, rows: Sequence[RefusedRow], unit: Unit) -> None:
        """Put rows back into quarantine without trying them."""
        self._refused.put_back(rows)
        unit.pending += Counts(rows=len(rows), quarantined=len(rows), records=len(rows))

    def commit(self, units: Sequence[Unit], replaced: Sequence[Path] = ()) -> None:
        """Make the rows of the units true. Where nothing is new there is nothing to commit."""
        entries = [one.entry() for one in units]
        if replaced or self._refused.grown or any(entry.stored for entry in entries):
            self._writer.commit(entries, quarantine=self._refused.sync(), replaced_quarantine=replaced)
            self._refused.committed()
        for one in units:
            one.committed += one.pending
            one.pending = Counts()

    def abort(self) -> None:
        """Forget the rows since the last commit."""
        self._values.clear()
        self._writer.abort()
        self._refused.abort()


def _rule_for(path: str, mapping: Mapping | None) -> InputRule | Ignored | None:
    try:
        return None if mapping is None else mapping.rule_for(path)
    except RingfenceError as error:
        raise InputError(error.message, error.remedy) from error


_CONFLICT = "another row with this event_id and other content is stored already; the first one stays"
