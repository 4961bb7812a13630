"""Runs a command as a process of its own and measures it: wall time and peak resident memory of its tree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "bench" / ".work"
RINGFENCE = (sys.executable, "-c", "from api.cli import main; main()")
SAMPLE_SECONDS = 0.25
_KIB = 1024


class CommandFailedError(RuntimeError):
    """A measured command ended with a code that was not expected."""


@dataclass(frozen=True)
class Measured:
    """One execution: wall time, peak memory in MiB, exit code, and what it printed."""

    seconds: float
    peak_mib: float
    code: int
    stdout: str
    stderr: str

    def json(self) -> Any:
        """Its standard output, read as JSON."""
        return json.loads(self.stdout)


def environment() -> Mapping[str, str]:
    """The environment of a measured command: this source tree, and a pepper of the benchmark's own."""
    WORK.mkdir(parents=True, exist_ok=True)
    own = {
        "PYTHONPATH": str(ROOT),
        "RINGFENCE_PEPPER_FILE": str(WORK / "pepper"),
        "NO_COLOR": "1",
        "COLUMNS": "120",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RINGFENCE_")}
    return {**kept, **own}


def ringfence(*arguments: object, home: Path, expect: Sequence[int] = (0,)) -> Measured:
    """Measure one `ringfence` command on a home."""
    return measure([*RINGFENCE, *map(str, arguments), "--home", str(home)], expect)


def python_module(name: str, *arguments: object) -> Measured:
    """Measure `python -m name arguments…`."""
    return measure([sys.executable, "-m", name, *map(str, arguments)])


def start(command: Sequence[str], stdout: Any = subprocess.DEVNULL, stderr: Any = subprocess.DEVNULL) -> Any:
    """Start a command in a process group of its own, so that all of it can be stopped."""
    return subprocess.Popen(
        command, cwd=ROOT, env=dict(environment()), stdout=stdout, stderr=stderr, start_new_session=True
    )


def measure(command: Sequence[str], expect: Sequence[int] = (0,)) -> Measured:
    """Run to the end. Raises CommandFailedError, with what it said, on an unexpected exit code."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        began = time.perf_counter()
        process = start(command, out, err)
        watch = _Watch(process.pid)
        watch.start()
        try:
            code = process.wait()
        finally:
            if process.poll() is None:
                process.kill()
            watch.stop()
        seconds = time.perf_counter() - began
        out.seek(0)
        err.seek(0)
        done = Measured(round(seconds, 3), round(watch.peak / 2**20, 1), code, out.read(), err.read())
    if code not in expect:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise CommandFailedError(f"exit {code}: {' '.join(command)}\n{said}")
    return done


class _Watch(threading.Thread):
    """Samples a process and its children until stopped; the kernel's own high-water mark fills the gaps.

    Reads Linux's /proc: elsewhere peaks are 0.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._pid = pid
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            self.peak = max(self.peak, self._held())
            self._over.wait(SAMPLE_SECONDS)

    def stop(self) -> None:
        self._over.set()
        self.join()

    def _held(self) -> int:
        try:
            root = psutil.Process(self._pid)
            tree = [root, *root.children(recursive=True)]
        except psutil.Error:
            return 0
        if len(tree) == 1:
            return max(_resident(root.pid, "status", "VmRSS:"), _resident(root.pid, "status", "VmHWM:"))
        # Helpers that were forked share pages with their parent: each counts its part of them (PSS), so that
        # the sum is what the tree really holds.
        parts = sum(_resident(process.pid, "smaps_rollup", "Pss:") for process in tree)
        return max(parts, _resident(root.pid, "status", "VmHWM:"))


def _resident(pid: int, file: str, line: str) -> int:
    """A figure of /proc in bytes; 0 once the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:
        return 0
    return next((int(each.split()[1]) * _KIB for each in lines if each.startswith(line)), 0)
