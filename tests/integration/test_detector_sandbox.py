"""Detectors that loop, allocate, read, open the network, start processes or lie: each is contained, and named."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from detection.lifecycle import confine
from detection.lifecycle.check import check
from detection.lifecycle.definition import Language, define
from detection.lifecycle.handover import Handover, sealed
from detection.lifecycle.sample import sample
from detection.lifecycle.sandbox import Bounds, Outcome, run_alone
from detection.lifecycle.syscalls import ARCHITECTURES
from detection.lifecycle.templates import template
from detection.settings import HomeDetectorSettings

BOUNDS = Bounds(seconds=20, memory_mb=300)
SHORT = Bounds(seconds=1, memory_mb=300)
SQL = template("odd_one", "sql").split("-- Below", 1)[0].replace("member_activity", "members, member_links")
PYTHON = SQL.replace("--", "#")
ANSWER = "{} AS cluster, 1 AS org, 0.5 AS value, NULL AS kind, NULL AS key, NULL AS happened_at, 1 AS count"
SETTINGS = HomeDetectorSettings(seconds=20, memory_mb=300)

sandboxed = pytest.mark.skipif(confine.unable() is not None, reason=str(confine.unable()))


@pytest.fixture(scope="module")
def views() -> Iterator[Handover]:
    with Handover(sample().items()) as given:
        yield given


def alone(views: Handover, language: Language, body: str, bounds: Bounds = BOUNDS) -> Outcome:
    header = SQL if language == "sql" else PYTHON
    return run_alone(define("odd_one", language, f"{header}\n{body}".encode()), views, bounds)


def failure(views: Handover, language: Language, body: str, bounds: Bounds = BOUNDS) -> str:
    found = alone(views, language, body, bounds)
    assert found.rows is None
    assert found.failure is not None
    return found.failure


def doing(statement: str) -> str:
    """A Python detector that does one thing. Modules that it may not import are there all the same."""
    return (
        "import pyarrow as pa\n"
        "def detect(tables):\n"
        "    os = __import__('os')\n"
        f"    {statement}\n"
        "    m = tables['members']\n"
        "    n = pa.nulls(len(m))\n"
        "    return pa.table({'cluster': m['cluster'], 'org': m['org'], 'value': pa.array([0.5] * len(m)),"
        " 'kind': n, 'key': n, 'happened_at': n, 'count': n})\n"
    )


@pytest.mark.parametrize("language", ["sql", pytest.param("python", marks=sandboxed)])
def test_what_new_writes_passes_a_check(language: Language) -> None:
    found = check(define("relay", language, template("relay", language).encode()), SETTINGS)
    assert found.problems == ()
    assert found.judged > 50


@sandboxed
def test_both_templates_say_the_same() -> None:
    with Handover(sample().items()) as views:
        said = [
            run_alone(define("relay", one, template("relay", one).encode()), views, BOUNDS).rows
            for one in ("sql", "python")
        ]
    assert said[0] is not None
    assert said[0].equals(said[1])


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT 1 AS cluster", "the answer lacks org, value"),
        (f"SELECT {ANSWER.format(9999)}", "no member of group 9999"),
        (f"SELECT {ANSWER.format(0)}".replace("0.5", "'high'"), "Could not convert string 'high'"),
        (f"SELECT {ANSWER.format('nowhere')} FROM members", 'column "nowhere" not found'),
        (f"SELECT {ANSWER.format(0)} FROM read_text('/etc/passwd')", "FROM read_text(…) reads something"),
        (f"SELECT {ANSWER.format('cluster')} FROM organizations", "does not name under reads"),
        (
            f"SELECT {ANSWER.format('a.cluster')} FROM members a, members b",
            "more rows than there are members",
        ),
        (f"SELECT {ANSWER.format('length(repeat(chr(97), 3000000000))')}", "more than 300 MB"),
        (
            f"SELECT {ANSWER.format('length(string_agg(repeat(chr(97), 1000000)))')} FROM range(10000)",
            "more than 300 MB",
        ),
    ],
)
def test_sql_that_is_wrong_is_told_what_is_wrong(views: Handover, sql: str, says: str) -> None:
    assert says in failure(views, "sql", sql)


@pytest.mark.parametrize(
    "sql",
    [
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT "
        + ANSWER.format("MAX(n)")
        + " FROM t",
        f"SELECT {ANSWER.format('COUNT(*)')} FROM range(1000000000000) AS a",
    ],
    ids=["endless recursion", "a million million rows"],
)
def test_sql_that_never_ends_is_ended(views: Handover, sql: str) -> None:
    assert failure(views, "sql", sql, SHORT) == "it ran for more than 1 s"


ATTEMPTS = [
    "open('/etc/passwd').read()",
    "open('/tmp/ringfence-written', 'w')",
    "os.listdir('/')",
    "os.stat('/etc/passwd')",
    "os.readlink('/proc/self/exe')",
    "os.open('/proc/self/environ', os.O_RDONLY)",
    "os.fork()",
    "os.forkpty()",
    "os.execv('/bin/true', ['true'])",
    "os.posix_spawn('/bin/true', ['true'], {})",
    "os.kill(os.getppid(), 9)",
    "os.kill(os.getpid(), 19)",
    "os.memfd_create('x')",
    "os.pipe()",
    "os.setpriority(os.PRIO_PROCESS, 0, -20)",
    "os.sched_setaffinity(0, {0})",
    "os.chmod('/tmp', 0o777)",
    "os.chroot('/')",
    "os.setuid(0)",
    "os.dup2(2, 9)",
    "os.open('/tmp', os.O_DIRECTORY)",
    "pa.OSFile('/etc/passwd')",
    "pa.memory_map('/etc/passwd')",
]
TRYING = """
def detect(tables):
    os = __import__("os")
    done = []
    for attempt in {attempts!r}:
        try:
            eval(attempt, {{"os": os, "pa": pa}})
        except (PermissionError, OSError) as error:
            if error.errno in (1, 13):
                continue
        except Exception:
            pass
        done.append(attempt)
    raise ValueError(f"not refused: {{done}}")
"""


@sandboxed
def test_python_reaches_nothing(views: Handover) -> None:
    source = "import pyarrow as pa\n" + TRYING.format(attempts=ATTEMPTS)
    assert "not refused: []" in failure(views, "python", source)


@sandboxed
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers are those of x86-64")
def test_system_calls_made_by_hand_fail_as_well(views: Handover) -> None:
    """Without Python in between: sockets, new processes, signals, files, traces, namespaces, filters, io_uring."""
    numbers = [41, 42, 49, 53, 56, 57, 58, 59, 62, 101, 155, 157, 161, 165, 200, 234, 257, 272, 302, 310, 311]
    numbers += [317, 319, 321, 322, 323, 425, 434, 435, 437, 444, 452, 0x4000_0001]
    statement = (
        "c = __import__('sys').modules['ctypes'];"
        f" libc = c.CDLL(None, use_errno=True); said = {{n: (libc.syscall(n, 0, 0, 0, 0), c.get_errno())"
        f" for n in {numbers}}};"
        " raise ValueError(f'returned { {n: r for n, r in said.items() if r not in ((-1, 1), (-1, 38))} }')"
    )
    assert "ValueError: returned {} " in failure(views, "python", doing(statement))


@sandboxed
@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("return bytearray(10 ** 10)", "more than 300 MB"),
        ("raise ValueError('no such luck')", "ValueError: no such luck (line 14)"),
        ("os._exit(0)", "its process ended without an answer (exit 0)"),
        ("os.abort()", "its process died"),
        ("return None", "detect returned a NoneType"),
        ("return tables['members']", "the answer lacks value"),
        ("return tables['organizations']", "KeyError: 'organizations'"),
        ("(lambda f: f(f))(lambda f: f(f))", "RecursionError"),
        ("print('x' * 100_000); raise ValueError('\\x1b[2J\\n' * 500)", "ValueError: ?[2J ?[2J"),
        (
            "[os.write(n, b'R' * 1_000_000) for n in range(3, 30) if not os.isatty(n)]",
            "",
        ),
    ],
)
def test_python_that_goes_wrong_is_told_how(views: Handover, statement: str, says: str) -> None:
    said = failure(views, "python", doing(statement))
    assert says in said
    assert said.isprintable()
    assert len(said) <= 600


@sandboxed
@pytest.mark.parametrize("statement", ["while True: pass", "__import__('time').sleep(600)"])
def test_python_that_never_ends_is_ended(views: Handover, statement: str) -> None:
    assert failure(views, "python", doing(statement), SHORT) == "it ran for more than 1 s"


@sandboxed
@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("def detect(tables:\n", "SyntaxError"),
        ("x = 1\n", "it defines no function detect(tables)"),
        ("import os\ndef detect(tables): ...\n", "it imports os; there are bisect"),
        ("from urllib import request\ndef detect(tables): ...\n", "it imports urllib"),
        ("from . import child\ndef detect(tables): ...\n", "it imports ."),
    ],
)
def test_python_that_is_not_a_detector_is_told_why(views: Handover, source: str, says: str) -> None:
    assert says in failure(views, "python", source)


@sandboxed
def test_forged_answers_are_nonsense(views: Handover) -> None:
    """A detector may write to the pipe itself: what comes out is judged all the same."""
    source = """
def detect(tables):
    os = __import__("os")
    for descriptor in range(3, 30):
        try:
            os.write(descriptor, b"R" + (2).to_bytes(4, "little") + b"[]" + b"\\xff" * 61)
        except OSError:
            continue
    os._exit(0)
"""
    assert "no table of rows" in failure(views, "python", source)


@sandboxed
def test_chance_and_the_order_of_rows_are_found_out() -> None:
    by_chance = doing("pass").replace("[0.5] * len(m)", "[byte / 255 for byte in os.urandom(len(m))]")
    by_order = (
        "SELECT cluster, MIN(org) AS org, 0.5 AS value, 'ip' AS kind, FIRST(key) AS key, NULL AS happened_at,"
        " 1 AS count FROM member_links GROUP BY cluster"
    )
    for language, body in (("python", by_chance), ("sql", by_order)):
        header = SQL if language == "sql" else PYTHON
        found = check(define("odd_one", language, f"{header}\n{body}".encode()), SETTINGS)  # type: ignore[arg-type]
        assert "when the same rows came in another order" in found.problems[0]


def test_what_fails_on_an_empty_day_does_not_pass() -> None:
    body = f"SELECT {ANSWER.format('1 // COUNT(*) + 5 - 1 // COUNT(*)')} FROM members"
    found = check(define("odd_one", "sql", f"{SQL}\n{body}".encode()), SETTINGS)
    assert found.problems


def left_open() -> tuple[int, int, set[str]]:
    """Open files, threads and child processes of this process; servers that other tests started are among them."""
    descriptors = Path("/proc/self/fd")
    files = len(list(descriptors.iterdir())) if descriptors.exists() else 0
    children = {
        pid for task in Path("/proc/self/task").glob("*/children") for pid in task.read_text().split()
    }
    return files, threading.active_count(), children


def test_nothing_is_left_behind(views: Handover) -> None:
    before = left_open()
    for _ in range(3):
        alone(views, "sql", "SELECT 1 AS cluster")
    assert left_open() == before


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs files in memory")
def test_what_is_handed_over_cannot_be_changed() -> None:
    descriptor = sealed(b"views")
    with pytest.raises(PermissionError):
        os.write(descriptor, b"other")
    with pytest.raises(PermissionError):
        os.ftruncate(descriptor, 0)
    os.close(descriptor)


def test_python_is_refused_where_there_is_no_sandbox(
    views: Handover, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    assert "Python detectors need a sandbox" in failure(views, "python", doing("pass"))
    assert alone(views, "sql", f"SELECT {ANSWER.format('cluster')} FROM members WHERE FALSE").failure is None
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: "vax")
    assert "vax" in str(confine.unable())


def test_a_filter_ends_in_refusal_for_every_architecture() -> None:
    for known in ARCHITECTURES.values():
        code = confine.program(known)
        assert len(code) % 8 == 0
        assert len(code) // 8 < 256, "jumps reach 255 instructions"
        assert code[-4:] == (0x0005_0000 | 1).to_bytes(4, "little")
