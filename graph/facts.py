"""The facts: immutable, canonical, de-duplicated events. This module is their public face.

`FactsReader` sees what is committed and nothing else; `FactsWriter` (one at a time per home) adds to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from graph.facts_commits import Commit, EventFile, InputEntry, read_commit, sequence_of
from graph.facts_schema import EVENTS, HIDDEN_FIELDS, VALUES
from graph.facts_writer import FactsWriter
from graph.home import Home

__all__ = [
    "EVENTS",
    "HIDDEN_FIELDS",
    "VALUES",
    "Commit",
    "EventFile",
    "FactsReader",
    "FactsWriter",
    "InputEntry",
]


class FactsReader:
    """What has been committed, at the moment of each call."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def commits(self, after: int = -1) -> list[Commit]:
        """All commits with a sequence above `after`, oldest first; the others are not read."""
        folder = self._home.facts / "commits"
        found = (path for path in sorted(folder.glob("*.json")) if sequence_of(path) > after)
        return [read_commit(path, self._home) for path in found]

    def event_files(self) -> list[EventFile]:
        """The files of events, by day and then in the order in which they were committed."""
        files = [file for commit in self.commits() for file in commit.events]
        return sorted(files, key=lambda file: file.day)

    def value_files(self) -> list[Path]:
        """The files of raw and canonical values, in the order in which they were committed."""
        return [path for commit in self.commits() for path in commit.values]

    def latest(self) -> datetime | None:
        """The latest `occurred_at` of all events: the default as-of of a run. None without events."""
        times = [commit.latest_occurred_at for commit in self.commits()]
        return max((time for time in times if time is not None), default=None)

    def rows(self) -> int:
        """How many events there are."""
        return sum(file.rows for file in self.event_files())

    def quarantine_files(self) -> Sequence[tuple[Path, int]]:
        """The files of quarantined rows and how many bytes of each are committed, oldest first."""
        commits = self.commits()
        gone = {path for commit in commits for path in commit.replaced_quarantine}
        sizes: dict[Path, int] = {}
        for commit in commits:
            if commit.quarantine is not None and commit.quarantine[0] not in gone:
                sizes[commit.quarantine[0]] = commit.quarantine[1]
        return list(sizes.items())
