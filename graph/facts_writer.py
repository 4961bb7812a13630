"""Adding to the facts: everything is written aside first, and one small file makes it true."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from graph.durable import sync, write_atomically
from graph.facts_commits import (
    Commit,
    Draft,
    InputEntry,
    commit_name,
    encode,
    read_commit,
)
from graph.facts_days import DayFiles
from graph.facts_ids import StoredIds, merge_runs, runs_to_merge, write_run
from graph.facts_schema import VALUES
from graph.facts_tiers import U64, Mask, SortedTiers, locate
from graph.home import Home

_VALUES_GROUP = 131_072
_SYNCS = 32
"""Files on their way to the disk at once: many days make many files, and the disk takes them in groups."""


class FactsWriter:
    """Takes events, values and ids, and commits them together. Only one may exist per home at a time.

    Nothing that was added is visible before `commit`, which may be called several times. A process that
    dies leaves only files that no commit names; the next writer removes them.
    """

    def __init__(self, home: Home, ingest_id: str) -> None:
        self._home = home
        self._ingest = ingest_id
        self._staging = home.facts / ".staging" / ingest_id
        self._number = 0
        self._commits = _read_commits(home)
        remove_leftovers(home, self._commits)
        self._staging.mkdir(parents=True, exist_ok=True)
        self._stored = StoredIds(live_runs(self._commits))
        self._looked_up: tuple[U64, Mask, U64] | None = None
        self._begin()

    def _begin(self) -> None:
        self._pending = SortedTiers()
        self._days = DayFiles(self._staging)
        self._values: list[pa.Table] = []
        self._value_rows = 0
        self._values_file: pq.ParquetWriter | None = None

    def find(self, ids: U64) -> tuple[Mask, U64]:
        """For sorted ids: which are committed or were added since, and the digests of their contents."""
        found, contents = self._find_stored(ids)
        pending, theirs = self._pending.find(ids)
        contents[pending] = theirs[pending]
        return found | pending, contents

    def look_up(self, ids: U64) -> None:
        """Look for ids of several additions among the committed ones; `find` then knows about these.

        Every look goes through all of the index, so that one look instead of several is that much less work.
        """
        wanted = np.sort(ids)
        self._looked_up = (wanted, *self._stored.find(wanted))

    def _find_stored(self, ids: U64) -> tuple[Mask, U64]:
        if self._looked_up is not None:
            wanted, found, contents = self._looked_up
            known, at = locate(wanted, ids)
            if known.all():
                return found[at], contents[at]
        return self._stored.find(ids)

    @property
    def pending_rows(self) -> int:
        """Events added since the last commit."""
        return len(self._pending)

    def add(self, events: pa.Table, values: pa.Table, ids: tuple[U64, U64]) -> None:
        """Add events (schema EVENTS), values (schema VALUES), and (id, content) of each event, any order.

        The ids must be distinct, and neither committed nor added before: see `find`.
        """
        order = np.argsort(ids[0])
        self._pending.add(ids[0][order], ids[1][order])
        self._days.add(events)
        if values.num_rows:
            self._values.append(values)
            self._value_rows += values.num_rows
            if self._value_rows >= _VALUES_GROUP:
                self._flush_values()

    def _flush_values(self) -> None:
        if self._values_file is None:
            path = self._staging / "values.parquet"
            self._values_file = pq.ParquetWriter(
                path,
                VALUES,
                compression="zstd",
                compression_level=1,
                # The rest is random or hardly repeats: dictionaries and statistics of it serve nobody.
                use_dictionary=["kind", "organization"],
                write_statistics=False,
            )
        self._values_file.write_table(pa.concat_tables(self._values).unify_dictionaries())
        self._values, self._value_rows = [], 0

    def commit(
        self,
        inputs: Iterable[InputEntry],
        *,
        quarantine: tuple[Path, int] | None = None,
        replaced_quarantine: Iterable[Path] = (),
    ) -> Commit:
        """Make everything added since the last commit true, at once and lastingly.

        `quarantine` is this ingest's file of refused rows and its length so far (already on the disk).
        """
        draft = Draft(self._ingest, self._next_sequence(), datetime.now(UTC), list(inputs))
        if quarantine is not None:
            draft.quarantine = (str(quarantine[0].relative_to(self._home.path)), quarantine[1])
        draft.replaced_quarantine = [str(path.relative_to(self._home.path)) for path in replaced_quarantine]
        moves = self._finish(draft)
        self._place(moves)
        path = self._home.facts / "commits" / commit_name(draft.sequence, draft.ingest)
        write_atomically(path, encode(draft))
        commit = read_commit(path, self._home)
        self._commits.append(commit)
        for replaced in (*commit.replaced_ids, *commit.replaced_quarantine):
            replaced.unlink(missing_ok=True)
        self._stored, self._looked_up = StoredIds(live_runs(self._commits)), None
        self._begin()
        return commit

    def _next_sequence(self) -> int:
        return self._commits[-1].sequence + 1 if self._commits else 1

    def _finish(self, draft: Draft) -> list[tuple[Path, Path]]:
        """Complete the staged files and enter them in the draft; returns (from, to) of each."""
        moves = []
        for file in self._days.finish():
            name = f"events/day={file.day.isoformat()}/{self._next_name()}"
            draft.events.append((name, file.day, file.rows, file.first, file.last))
            moves.append((file.path, self._home.facts / name))
        if self._values:
            self._flush_values()
        if self._values_file is not None:
            self._values_file.close()
            draft.values.append(f"values/{self._next_name()}")
            moves.append((self._staging / "values.parquet", self._home.facts / draft.values[0]))
        if len(self._pending):
            moves.append(self._finish_ids(draft))
        return moves

    def _finish_ids(self, draft: Draft) -> tuple[Path, Path]:
        """The new run of ids; merged with old ones when there are too many of them."""
        fresh = self._staging / "ids.parquet"
        rows = write_run(fresh, [self._pending.all()])
        self._pending.clear()
        runs = [*live_runs(self._commits), fresh]
        sizes = [pq.read_metadata(run).num_rows for run in runs[:-1]] + [rows]
        chosen = [runs[at] for at in runs_to_merge(sizes)]
        staged = fresh
        if fresh in chosen:
            staged = self._staging / "merged.parquet"
            merge_runs(chosen, staged)
            fresh.unlink()
            draft.replaced_ids = [
                str(run.relative_to(self._home.facts)) for run in chosen if run is not fresh
            ]
        draft.ids.append(f"ids/{self._next_name()}")
        return staged, self._home.facts / draft.ids[0]

    def _next_name(self) -> str:
        self._number += 1
        return f"{self._ingest}-{self._number}.parquet"

    def _place(self, moves: list[tuple[Path, Path]]) -> None:
        with ThreadPoolExecutor(_SYNCS) as pool:
            list(pool.map(sync, [source for source, _ in moves]))
            for source, target in moves:
                target.parent.mkdir(parents=True, exist_ok=True)
                source.replace(target)
            folders = {target.parent for _, target in moves}
            list(pool.map(sync, folders | {folder.parent for folder in folders}))

    def abort(self) -> None:
        """Forget everything added since the last commit, and remove what was written of it."""
        self._days.discard()
        if self._values_file is not None:
            _close_quietly(self._values_file)
        shutil.rmtree(self._staging, ignore_errors=True)
        # The home may be gone or read-only by now; a writer that only tidies up must not fail for that.
        try:
            remove_leftovers(self._home, self._commits)
            self._staging.mkdir(parents=True, exist_ok=True)
        except OSError:
            return
        self._begin()

    def close(self) -> None:
        """Forget what is not committed and remove the staging folder."""
        self._days.discard()
        if self._values_file is not None:
            _close_quietly(self._values_file)
        shutil.rmtree(self._staging, ignore_errors=True)


def _close_quietly(file: pq.ParquetWriter) -> None:
    """Close a file that is going to be removed: on a full disk its footer cannot be written either."""
    try:
        file.close()
    except OSError:
        return


def _read_commits(home: Home) -> list[Commit]:
    return [read_commit(path, home) for path in sorted((home.facts / "commits").glob("*.json"))]


def live_runs(commits: Iterable[Commit]) -> list[Path]:
    """The runs of the duplicate index that are in force."""
    known = list(commits)
    gone = {path for commit in known for path in commit.replaced_ids}
    return [path for commit in known for path in commit.ids if path not in gone]


def remove_leftovers(home: Home, commits: Iterable[Commit]) -> None:
    """Remove what a killed ingest left: files that no commit names, and uncommitted tails of quarantine."""
    known = list(commits)
    shutil.rmtree(home.facts / ".staging", ignore_errors=True)
    named = set(live_runs(known))
    for commit in known:
        named.update(file.path for file in commit.events)
        named.update(commit.values)
    for pattern in ("events/*/*.parquet", "values/*.parquet", "ids/*.parquet", "commits/.*.tmp"):
        for path in home.facts.glob(pattern):
            if path not in named:
                path.unlink(missing_ok=True)
    _trim_quarantine(home, known)


def _trim_quarantine(home: Home, commits: list[Commit]) -> None:
    gone = {path for commit in commits for path in commit.replaced_quarantine}
    sizes = {path: size for commit in commits if commit.quarantine for path, size in [commit.quarantine]}
    for path in home.quarantine.glob("*.ndjson"):
        size = 0 if path in gone else sizes.get(path, 0)
        if size == 0:
            path.unlink(missing_ok=True)
        elif path.stat().st_size > size:
            with path.open("r+b") as file:
                file.truncate(size)
