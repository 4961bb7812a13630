"""What an ingest did, input by input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

Progress = Callable[[str, int, int | None], None]
"""Stage, how much of it is done, and of how much (None: unknown)."""

FAILED, NOTHING_TO_DO, PARTIAL = 1, 3, 7


@dataclass(frozen=True)
class Counts:
    """rows = stored + duplicates + quarantined + erased; `erased` ones are about organizations that were erased.

    A row that a mapping turns into k events counts k times in `rows`, a row that is refused once; `records`
    are the input's rows as they stand in it.
    """

    rows: int = 0
    stored: int = 0
    duplicates: int = 0
    quarantined: int = 0
    records: int = 0
    erased: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.rows + other.rows,
            self.stored + other.stored,
            self.duplicates + other.duplicates,
            self.quarantined + other.quarantined,
            self.records + other.records,
            self.erased + other.erased,
        )


@dataclass(frozen=True)
class InputReport:
    """One input. Counts are of what is committed; `error` says what went wrong, `note` what was decided."""

    path: str
    rows: int = 0
    stored: int = 0
    duplicates: int = 0
    quarantined: int = 0
    error: str | None = None
    note: str | None = None
    records: int = 0
    erased: int = 0

    @classmethod
    def of(cls, path: str, counts: Counts, error: str | None = None) -> InputReport:
        """The report of an input with these counts."""
        return replace(cls(path, error=error), **vars(counts))


@dataclass(frozen=True)
class IngestReport:
    """All inputs of one ingest, in order."""

    ingest: str
    inputs: list[InputReport]
    seconds: float

    @property
    def totals(self) -> Counts:
        """The sums over all inputs."""
        total = Counts()
        for one in self.inputs:
            total += Counts(one.rows, one.stored, one.duplicates, one.quarantined, one.records, one.erased)
        return total

    @property
    def errors(self) -> list[InputReport]:
        """The inputs that could not be read, or not to their end."""
        return [one for one in self.inputs if one.error is not None]

    @property
    def exit_code(self) -> int:
        """0 without errors, 7 (partial) if some rows or inputs were taken in spite of them, else 1."""
        if not self.errors:
            return 0
        return PARTIAL if self.totals.rows or len(self.errors) < len(self.inputs) else FAILED
