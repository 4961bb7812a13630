"""An NDJSON file that effects are appended to, each at most once."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from actions.model import Effect
from actions.sinks import Promise, Receipt


class FileSink:
    """Appends one line an effect, and none for a generation that the file has already, or has passed.

    What the file holds is read once and then followed: after a crash in the middle of a line, the half line is cut off
    and its effect is written again.
    """

    promise: Promise = "generations"
    retries: Sequence[float] = (1, 5, 30, 120, 600)
    batch = 2_000

    def __init__(self, path: Path, name: str = "file") -> None:
        self.name = name
        self._path = path
        self._lock = FileLock(f"{path}.lock")
        self._read = 0
        self._seen: dict[tuple[str, str], int] = {}

    def deliver(self, effects: Sequence[Effect]) -> Sequence[Receipt]:
        """Append what is new, and have it on the disk before it counts as applied."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._lock:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                self._catch_up(descriptor)
                self._append(descriptor, effects)
            finally:
                os.close(descriptor)
        return [Receipt(effect.effect_id, "applied") for effect in effects]

    def _catch_up(self, descriptor: int) -> None:
        """Learn what the file holds since it was last looked at; a file that shrank is read anew."""
        size = os.fstat(descriptor).st_size
        if size < self._read:
            self._read, self._seen = 0, {}
        os.lseek(descriptor, self._read, os.SEEK_SET)
        with os.fdopen(os.dup(descriptor), "rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._learn(json.loads(line))
                self._read += len(line)
        if self._read < size:
            os.ftruncate(descriptor, self._read)

    def _learn(self, written: dict[str, object]) -> None:
        key = (str(written["subject_kind"]), str(written["org_id"]))
        self._seen[key] = max(self._seen.get(key, 0), int(str(written["generation"])))

    def _append(self, descriptor: int, effects: Sequence[Effect]) -> None:
        fresh = []
        for effect in sorted(effects, key=lambda each: each.seq):
            if effect.generation > self._seen.get((effect.subject_kind, effect.org_id), 0):
                fresh.append(effect.as_dict())
                self._learn(fresh[-1])
        if not fresh:
            return
        content = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in fresh).encode()
        os.lseek(descriptor, self._read, os.SEEK_SET)
        try:
            _write(descriptor, content)
            os.fsync(descriptor)
        except OSError:
            self._read, self._seen = 0, {}  # what is there now is read again before the next attempt
            raise
        self._read += len(content)


def _write(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
