"""Who used which strong identifier since the run: read from the commits of ingest, whichever process they come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import pyarrow.compute as pc
import pyarrow.parquet as pq

from api.door.shown import STRONG
from graph.facts import FactsReader
from graph.facts_commits import Commit
from graph.home import Home
from graph.keys import storage_of

MOST = 2_000_000
"""Uses that are kept, some hundred bytes each; beyond it the next run is overdue, newer events are not seen."""

LARGEST = 1_000_000
"""Rows of a commit that is looked at: more are a past that was loaded, not somebody who is at the door now."""

EACH = 64
"""Organizations that are kept of one identifier: from there on it does not matter how many more."""

_COLUMNS = [kind.value for kind, _ in STRONG.values()]


class Recent:
    """Uses of strong identifiers in commits after a moment. One thread adds, any may ask."""

    def __init__(self, home: Home, since: datetime | None) -> None:
        self._facts = FactsReader(home)
        self._since = since
        self._last = -1
        self._passed_over = False
        self._users: dict[bytes, set[bytes]] = {}
        self.uses = 0

    @property
    def full(self) -> bool:
        """Whether newer events are not looked at any more."""
        return self.uses >= MOST or self._passed_over

    def refresh(self) -> None:
        """Take what has been committed since the last look."""
        for commit in [] if self.full else self._facts.commits(after=self._last):
            if self._since is None or commit.committed_at > self._since:
                self._passed_over |= sum(file.rows for file in commit.events) > LARGEST
                if not self._passed_over:
                    self._take(commit)
            self._last = commit.sequence

    def others(self, keys: Iterable[bytes], organization: bytes | None) -> int:
        """The most organizations, besides this one, that used one of the identifiers."""
        found = (self._users[key] for key in keys if key in self._users)
        return max((len(each) - (organization in each) for each in found), default=0)

    def _take(self, commit: Commit) -> None:
        for key, organization in _uses(commit):
            users = self._users.setdefault(key, set())
            if len(users) < EACH and organization not in users:
                users.add(organization)
                self.uses += 1


def _uses(commit: Commit) -> Iterator[tuple[bytes, bytes]]:
    for file in commit.events:
        with pq.ParquetFile(file.path) as found:
            for batch in found.iter_batches(columns=["organization", *_COLUMNS]):
                organizations = storage_of(batch["organization"])
                for name in _COLUMNS:
                    keys = storage_of(batch[name])
                    both = pc.and_(pc.is_valid(keys), pc.is_valid(organizations))
                    used, by = keys.filter(both).to_pylist(), organizations.filter(both).to_pylist()
                    yield from zip(used, by, strict=True)
