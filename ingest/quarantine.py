"""Quarantine: the rows that could not be stored. They can be listed, exported, and tried again after a fix."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from graph.errors import RingfenceError
from graph.facts import FactsReader
from graph.home import Home
from ingest.inputs import MEASURES, known_columns
from ingest.job import Session, Unit, writing
from ingest.mapping import EPOCH_UNITS, Ignored, InputRule, Mapping, load_mapping, recipes
from ingest.quarantine_file import stored_rows
from ingest.refused import RefusedRow
from ingest.repeats import RepeatCounts
from ingest.report import IngestReport, InputReport, Progress
from ingest.retried import RetryTask, may_retry
from ingest.settings import IngestSettings
from ingest.work import Plan, process

_CHUNK = 50_000


@dataclass(frozen=True)
class QuarantineSummary:
    """How many rows of one file were refused for one reason; `ingest` is the one that refused them first."""

    ingest: str
    file: str
    reason: str
    rows: int


@dataclass(frozen=True)
class _Group:
    """Neighbouring rows that are read alike."""

    file: str
    source: str
    format: str
    form: str
    mapping: str | None

    @classmethod
    def of(cls, row: RefusedRow) -> _Group:
        return cls(row.file, row.source, row.format, row.form, row.mapping)


class Quarantine:
    """The committed quarantine of a home."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def rows(self) -> Iterator[RefusedRow]:
        """All rows, in the order in which they were refused."""
        return stored_rows(self._home)

    def list(self) -> Sequence[QuarantineSummary]:
        """Counts by ingest, file and reason, in order of appearance."""
        counts = Counter((row.ingest, row.file, row.reason) for row in self.rows())
        return [QuarantineSummary(*key, rows) for key, rows in counts.items()]

    def export(self, out: Path) -> int:
        """Write all rows to a file, one JSON object a line; returns how many. Secrets are hashed in it, too."""
        rows = 0
        try:
            with out.open("wb") as file:
                for row in self.rows():
                    file.write(row.encode())
                    rows += 1
        except OSError as error:
            raise RingfenceError(
                f"cannot write {out}: {error.strerror}", "Name a file in a folder that may be written."
            ) from error
        return rows

    def retry(
        self,
        *,
        settings: IngestSettings,
        pepper: bytes,
        mapping: Mapping | None = None,
        progress: Progress | None = None,
        arrived_at: datetime | None = None,
    ) -> IngestReport:
        """Read all rows again, with other settings or another mapping if given (else the one of before).

        Rows that now pass, or that are stored already, leave quarantine; the rest stay, with their new reason.
        All of it happens in one commit. Without a row there is nothing to do (RingfenceError, exit code 3).
        """
        began = time.monotonic()
        moment = (arrived_at or datetime.now(UTC)).astimezone(UTC)
        tell = progress or (lambda _stage, _done, _total: None)
        with Session(self._home, settings, pepper, tell, moment) as session:
            files = [path for path, _ in FactsReader(self._home).quarantine_files()]
            if not files:
                raise RingfenceError("quarantine is empty", "There is nothing to try again.", exit_code=3)
            retry = _Retry(session, settings, pepper, mapping, moment)
            with writing(self._home):
                done = 0
                for group, rows in groupby(self.rows(), _Group.of):
                    done = retry.take(group, rows, done, tell)
                units = list(retry.units.values())
                if any(unit.pending.stored or unit.pending.duplicates for unit in units):
                    session.commit(units, files)
                else:
                    session.abort()
        reports = [InputReport.of(unit.path, unit.committed + unit.pending) for unit in units]
        return IngestReport(session.ingest, reports, time.monotonic() - began)


class _Retry:
    """The rows of one retry on their way back."""

    def __init__(
        self,
        session: Session,
        settings: IngestSettings,
        pepper: bytes,
        mapping: Mapping | None,
        moment: datetime,
    ) -> None:
        self.units: dict[tuple[str, str], Unit] = {}
        self._session = session
        self._settings = settings
        self._pepper = pepper
        self._mapping = mapping
        self._moment = moment

    def take(self, group: _Group, rows: Iterable[RefusedRow], done: int, tell: Progress) -> int:
        """Try the rows of a group; returns how many rows were seen in all."""
        rule = self._rule(group)
        unit = self.units.setdefault((group.file, group.source), Unit(group.file, group.source))
        ready: list[RefusedRow] = []
        for row in rows:
            done += 1
            if isinstance(rule, Ignored) or not may_retry(row) or _stays_mixed(row, rule):
                self._session.keep([row], unit)
                continue
            ready.append(row)
            if len(ready) == _CHUNK:
                self._try(group, rule, ready, unit)
                ready = []
                tell("Retrying quarantined rows", done, None)
        if ready and not isinstance(rule, Ignored):
            self._try(group, rule, ready, unit)
        tell("Retrying quarantined rows", done, None)
        return done

    def _rule(self, group: _Group) -> InputRule | Ignored | None:
        mapping = self._mapping
        if mapping is None and group.mapping is not None:
            if group.mapping not in recipes():
                raise RingfenceError(
                    f"rows of {group.file} were read with the mapping {group.mapping}",
                    "Give it, or a corrected one, with --mapping FILE.",
                    exit_code=2,
                )
            mapping = load_mapping(group.mapping)
        return None if mapping is None else mapping.rule_for(group.file)

    def _try(self, group: _Group, rule: InputRule | None, rows: list[RefusedRow], unit: Unit) -> None:
        plan = Plan(
            file=group.file,
            format=group.format,
            source=(rule.source if rule is not None else None) or group.source,
            settings=self._settings,
            pepper=self._pepper,
            arrived_at=self._moment,
            ingest=self._session.ingest,
            rule=rule,
            mapping=None if self._mapping is None else self._mapping.name,
            erased=self._session.erased,
        )
        is_line = group.format == "log" and group.form == "line"
        task = RetryTask(
            rows=tuple(rows),
            known=known_columns(rule),
            measures=MEASURES,
            id_column=plan.id_column,
            pattern=rule.pattern if is_line and rule is not None else None,
        )
        repeats = RepeatCounts(self._session.folder)
        self._session.take_piece(plan, task, process(plan, task, None, {}), repeats, unit)


def _stays_mixed(row: RefusedRow, rule: InputRule | Ignored | None) -> bool:
    """A row in another epoch unit than its file cannot be judged without the file, unless a unit is stated."""
    stated = isinstance(rule, InputRule) and rule.time_format in EPOCH_UNITS
    return row.reason == "mixed_epoch_units" and not stated
