"""A script that follows the feed: every effect at least once, in order, acknowledged when the script has done it."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from pathlib import Path

import orjson

from actions.model import Effect
from actions.sinks import feed
from actions.sinks.command import program, run
from api.deciding.desk import Desk
from graph.durable import write_atomically
from graph.errors import RingfenceError

PAGE = 1_000
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


class Follower:
    """One script with its cursor, which is kept in the home after every acknowledgement."""

    def __init__(
        self,
        desk: Desk,
        argv: Sequence[str],
        folder: Path,
        *,
        name: str,
        sink: str = feed.NAME,
        batch: int = 1,
        timeout: float = 20,
    ) -> None:
        if not _NAME.fullmatch(name):
            raise RingfenceError(f"{name!r} is no name for a cursor", "Use a-z, 0-9, - and _.", exit_code=2)
        program(argv, folder)
        self._desk, self._argv, self._folder = desk, tuple(argv), folder
        self._sink, self._batch, self._timeout = sink, batch, timeout
        self._file = desk.home.path / f"effects.{name}.json"
        self.cursor = self._kept()

    def everything(self, stop: threading.Event | None = None) -> tuple[int, str | None]:
        """Hand on what there is: how many effects were acknowledged, and what went wrong, if anything."""
        done = 0
        while page := self._page():
            for start in range(0, len(page), self._batch):
                if stop is not None and stop.is_set():
                    return done, None
                some = page[start : start + self._batch]
                failed = self._hand_on(some)
                if failed is not None:
                    return done, failed
                done += len(some)
        return done, None

    def _page(self) -> list[Effect]:
        with self._desk.ledger.reading() as reading:
            return feed.pull(reading, after=self.cursor, limit=PAGE, sink=self._sink)

    def _hand_on(self, effects: Sequence[Effect]) -> str | None:
        """Run the script on some effects, and acknowledge them if it exits with 0; else what it said."""
        given = b"".join(orjson.dumps(effect.as_dict()) + b"\n" for effect in effects)
        try:
            ran = run(self._argv, self._folder, given, timeout=self._timeout, name=self._sink)
        except OSError as error:
            return str(error)
        if ran.code != 0:
            how = f"killed after {self._timeout:g} s" if ran.code is None else f"exit {ran.code}"
            return f"{how}, {effects[0].org_id}, cursor {effects[0].seq}" + (
                f": {ran.said}" if ran.said else ""
            )
        with self._desk.ledger.transaction() as tx:
            feed.acknowledge(tx, [each.effect_id for each in effects], self._desk.principal, sink=self._sink)
        self.cursor = effects[-1].seq
        write_atomically(self._file, orjson.dumps({"sink": self._sink, "cursor": self.cursor}))
        return None

    def _kept(self) -> int:
        try:
            kept = orjson.loads(self._file.read_bytes())
            if kept["sink"] == self._sink:
                return int(kept["cursor"])
        except FileNotFoundError:
            return 0
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise RingfenceError(
                f"{self._file} cannot be read", "Remove it: the script then sees every effect again."
            ) from error
        raise RingfenceError(
            f"{self._file} is the cursor of the sink {kept['sink']}", "Give it another --name.", exit_code=2
        )
