"""A command of the operator's own: an argument list, never a shell, with effects as JSON lines on its input."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson

from actions.model import Effect
from actions.refusals import Refusal
from actions.sinks import Outcome, Promise, Receipt

TIMEOUT = 20.0
"""Seconds: less than after what another worker would take over."""
OUTPUT = 2_000
"""Bytes of what it says on stderr that are kept; the rest is read and dropped, so that it never blocks."""
BATCH = 20
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


@dataclass(frozen=True)
class Ran:
    """How a command ended. `code` None: it was killed because it took too long."""

    code: int | None
    said: str


class CommandSink:
    """Runs `argv` for each batch; effects are applied only if it exits with 0.

    It cannot be asked what it did, so this is at least once: it may see an effect again, and has to compare
    `generation`. Exits that are not 0 are tried again. When it was killed, what it had done is `unknown`.
    """

    promise: Promise = "at_least_once"
    retries: Sequence[float] = (5, 60, 600, 3_600)

    def __init__(
        self,
        argv: Sequence[str],
        folder: Path,
        *,
        name: str = "command",
        batch: int = BATCH,
        timeout: float = TIMEOUT,
    ) -> None:
        self.name = name
        self.batch = batch
        self._argv = tuple(argv)
        self._folder = folder
        self._timeout = timeout
        program(self._argv, folder)

    def deliver(self, effects: Sequence[Effect]) -> Sequence[Receipt]:
        """Run it once for the batch, one line of JSON an effect."""
        if not effects:
            return []
        lines = b"".join(orjson.dumps(effect.as_dict()) + b"\n" for effect in effects)
        try:
            ran = run(self._argv, self._folder, lines, timeout=self._timeout, name=self.name)
        except (Refusal, OSError) as error:  # it was not started: nothing happened
            return _all(effects, "retry", str(error))
        if ran.code == 0:
            return _all(effects, "applied")
        if ran.code is None:
            return _all(effects, "unknown", f"killed after {self._timeout:g} s: {ran.said}")
        if ran.code < 0:
            return _all(effects, "unknown", f"killed by signal {-ran.code}: {ran.said}")
        return _all(effects, "retry", f"exit {ran.code}: {ran.said}")


def program(argv: Sequence[str], folder: Path) -> Path:
    """The file that will run: the folder's own, and nobody else's to write. Raises Refusal."""
    if not argv or not argv[0] or any("\0" in word for word in argv):
        raise Refusal(
            "bad_request", "no command was given", "Give a list: the file's name, then its arguments."
        )
    home = folder.resolve()
    name = argv[0].removeprefix("./")
    path = home / name
    if "/" in name or name in {".", ".."} or not path.is_file() or path.resolve().parent != home:
        raise Refusal(
            "bad_request",
            f"there is no command {name!r} in {folder}",
            "Put it there: only its files are run.",
        )
    for each in (home, path.resolve()):
        found = each.stat()
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or found.st_uid not in {0, os.geteuid()}:
            raise Refusal(
                "bad_request",
                f"others may write {each}",
                "Make it yours alone: chmod go-w, and chown to the user that Ringfence runs as.",
            )
    if not os.access(path, os.X_OK):
        raise Refusal("bad_request", f"{path} is not executable", "chmod u+x it.")
    return path


def run(
    argv: Sequence[str], folder: Path, given: bytes, *, timeout: float = TIMEOUT, name: str = "command"
) -> Ran:
    """Run a file of the folder with `given` as its input. Raises Refusal, OSError: then it was not started.

    Its whole process group is killed when the time is up.
    """
    path = program(argv, folder)
    with tempfile.TemporaryFile() as stdin:  # a file cannot block us, whether the command reads it or not
        stdin.write(given)
        stdin.seek(0)
        process = subprocess.Popen(  # noqa: S603  # an argument list of the operator's, checked above
            [str(path), *argv[1:]],
            cwd=folder,
            env={**ENVIRONMENT, "HOME": str(folder), "RINGFENCE_SINK": name},
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stderr is not None  # noqa: S101  # it is a pipe
        said = bytearray()
        reader = threading.Thread(target=_drain, args=(process.stderr, said), daemon=True)
        reader.start()
        code: int | None
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            code = None
            _kill(process)
        reader.join(1)
        if (
            not reader.is_alive()
        ):  # else something that left the group still holds the pipe, and ends it some day
            process.stderr.close()
        return Ran(code, " ".join(said.decode("utf-8", "replace").split()))


def _drain(pipe: IO[bytes], said: bytearray) -> None:
    while part := os.read(pipe.fileno(), 65_536):
        said += part[: OUTPUT - len(said)]


def _kill(process: subprocess.Popen[Any]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it may have ended just now
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _all(effects: Sequence[Effect], outcome: Outcome, error: str = "") -> list[Receipt]:
    return [Receipt(effect.effect_id, outcome, error) for effect in effects]
