"""Progress of long work: a bar on a terminal, plain lines elsewhere; always on stderr.

A reporter is called as `progress(stage, done, total)`: a stage's label, units done, and how many there are
(None while nobody knows). A new label ends the stage before.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import progress as bars
from rich.console import Console

Progress = Callable[[str, int, int | None], None]

QUIET_SECONDS = 2.0
"""Without a terminal, a stage that goes on says so no more often than this."""


def label(stage: str) -> str:
    """A stage's name as it is shown."""
    return stage[:1].upper() + stage[1:]


def silent(stage: str, done: int, total: int | None) -> None:
    """A reporter that says nothing."""
    del stage, done, total


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Progress]:
    """A reporter for the duration of the block; `quiet` (JSON output) silences the plain lines."""
    if sys.stderr.isatty():
        with _bars() as board:
            yield _Bars(board)
    elif quiet:
        yield silent
    else:
        yield _Lines()


def _bars() -> bars.Progress:
    return bars.Progress(
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.TaskProgressColumn(),
        bars.TimeElapsedColumn(),
        console=Console(stderr=True),
    )


class _Bars:
    """One bar a stage; finished ones stay above the running one."""

    def __init__(self, board: bars.Progress) -> None:
        self._board = board
        self._stage = ""
        self._task: bars.TaskID | None = None

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        if self._task is None or stage != self._stage:
            self._finish()
            self._stage, self._task = stage, self._board.add_task(label(stage), total=total)
        self._board.update(self._task, completed=done, total=total)

    def _finish(self) -> None:
        if self._task is not None:
            known = self._board.tasks[self._board.task_ids.index(self._task)].total or 1
            self._board.update(self._task, completed=known, total=known)


class _Lines:
    """A line when a stage begins, and one at every tenth while it goes on (but never a flood)."""

    def __init__(self) -> None:
        self._start = self._last = time.monotonic()
        self._stage = ""
        self._tenth = 0

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        tenth = 10 * done // total if total else 0
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._tenth = stage, tenth
            self._say(now, label(stage))
        elif tenth > self._tenth and now - self._last >= QUIET_SECONDS:
            self._tenth = tenth
            self._say(now, f"{label(stage)} {10 * tenth}%")
        elif not total and now - self._last >= QUIET_SECONDS:
            self._say(now, f"{label(stage)} {done:,}" if done else label(stage))

    def _say(self, now: float, text: str) -> None:
        self._last = now
        sys.stderr.write(f"{now - self._start:6.1f} s  {text}\n")
        sys.stderr.flush()
