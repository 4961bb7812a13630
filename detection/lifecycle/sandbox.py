"""Runs one detector in a process of its own, and believes nothing that comes out of it."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from detection.lifecycle import confine
from detection.lifecycle.answers import ROW, NonsenseError, decode
from detection.lifecycle.definition import HomeDetector
from detection.lifecycle.handover import Handover, sealed

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "LC_ALL": "C.UTF-8",
    "MALLOC_ARENA_MAX": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "TZ": "UTC",
}
"""All that the process knows of its surroundings: nothing that differs between machines or runs."""
STARTUP_S = 60
"""How long the process may take before the detector starts; on a machine that is busy imports take seconds."""
HEAD = 4_096
"""Bytes that an answer may have besides its rows."""
LONGEST_MESSAGE = 500
_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[2]);"
    " from detection.lifecycle.child import main; main(int(sys.argv[1]))"
)


@dataclass(frozen=True)
class Bounds:
    """What a detector may use: seconds (of the clock, and of the processor) and megabytes."""

    seconds: int
    memory_mb: int


@dataclass(frozen=True)
class Outcome:
    """What became of one detector: its rows (see `answers.decode`) or why there are none; how long it took."""

    rows: pa.Table | None
    failure: str | None
    seconds: float


def run_alone(detector: HomeDetector, views: Handover, bounds: Bounds) -> Outcome:
    """Run a detector over the views that it reads. Nothing that it does can raise here or outlive the call."""
    reason = confine.unable()
    if reason is not None and detector.language == "python":
        return Outcome(None, f"Python detectors need a sandbox, and here is none: {reason}", 0.0)
    started = time.monotonic()
    try:
        said = _converse(detector, views, bounds, confined=reason is None)
    except OSError as error:  # no more processes or descriptors: the detector is not to blame, nor is the run
        said = f"its process could not be started: {error.strerror or error}"
    seconds = round(time.monotonic() - started, 3)
    if isinstance(said, str):
        return Outcome(None, said, seconds)
    try:
        return Outcome(decode(said, views.members, views.kinds), None, seconds)
    except NonsenseError as error:
        return Outcome(None, str(error), seconds)


def _converse(detector: HomeDetector, views: Handover, bounds: Bounds, *, confined: bool) -> bytes | str:
    """The bytes of the rows, or what went wrong."""
    given = views.descriptors(detector.declares.reads)
    reader, writer = os.pipe()
    job = {
        "id": detector.id,
        "language": detector.language,
        "source": detector.source,
        "views": given,
        "result": writer,
        "rows": len(views.members),
        "seconds": bounds.seconds,
        "memory_mb": bounds.memory_mb,
        "confined": confined,
    }
    told = sealed(json.dumps(job).encode())
    try:
        process = subprocess.Popen(  # noqa: S603 - this interpreter, and code of this package
            [sys.executable, "-B", "-s", "-P", "-c", _BOOT, str(told), str(ROOT)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=ENVIRONMENT,
            cwd="/",
            pass_fds=(told, writer, *given.values()),
            start_new_session=True,
        )
        os.close(writer)
        writer = -1
        return _listen(process, reader, bounds, len(views.members) * ROW.itemsize + HEAD)
    finally:
        for descriptor in (told, reader, writer):
            if descriptor >= 0:
                os.close(descriptor)


def _listen(process: subprocess.Popen[bytes], reader: int, bounds: Bounds, most: int) -> bytes | str:
    """Read until the process is done, is late, or says too much; then end it, whatever it is doing."""
    try:
        said, late = _heard(reader, bounds, most)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
    started, body = said[:1] == b"S", said.removeprefix(b"S")
    if late:
        return (
            f"it ran for more than {bounds.seconds} s"
            if started
            else f"its process did not start within {STARTUP_S} s"
        )
    if len(said) > most:
        return "it answers more than a row a member"
    if body[:1] == b"R":
        return body[1:]
    if body[:1] == b"E":
        return _harmless(body[1:])
    return _epitaph(code, bounds)


def _heard(reader: int, bounds: Bounds, most: int) -> tuple[bytes, bool]:
    """What came until the pipe was closed, at most a little more than `most` bytes, and whether time ran out."""
    said = bytearray()
    deadline = time.monotonic() + STARTUP_S
    with selectors.DefaultSelector() as selector:
        selector.register(reader, selectors.EVENT_READ)
        while len(said) <= most:
            left = deadline - time.monotonic()
            if left <= 0 or not selector.select(left):
                return bytes(said), True
            content = os.read(reader, 1 << 20)
            if not content:
                break
            if not said:
                deadline = time.monotonic() + bounds.seconds
            said += content
    return bytes(said), False


def _epitaph(code: int, bounds: Bounds) -> str:
    """What a process that died without a word most likely died of."""
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        return f"it used more than {bounds.seconds} s of processor time"
    if code in (-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS):
        name = signal.Signals(-code).name
        return (
            f"its process died ({name}), most likely for want of memory ({bounds.memory_mb:,} MB are allowed)"
        )
    return f"its process ended without an answer (exit {code})"


def _harmless(message: bytes) -> str:
    text = message.decode("utf-8", "replace")[:LONGEST_MESSAGE]
    return "".join(one if one.isprintable() else "?" for one in text) or "it failed without a word"
