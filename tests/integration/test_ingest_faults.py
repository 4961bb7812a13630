"""Ingest when things go wrong: broken inputs, full disks, two at once, kills."""

from __future__ import annotations

import errno
import gzip
import os
import random
import resource
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import filelock
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ingest_support import HERE, check_books, reasons, row, stored_ids, take, write_ndjson

import ingest.job
import ingest.sources.blocks
from graph.errors import RingfenceError
from graph.facts import FactsReader
from graph.home import Home
from ingest.report import PARTIAL

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest.sources.blocks.BlockReader.__init__, "__defaults__", (b"", 4096))
    monkeypatch.setattr(ingest.job, "COMMIT_ROWS", 200)


class TestInputs:
    def test_a_truncated_gzip_keeps_what_came_before(self, tmp_path: Path, home: Home) -> None:
        plain = write_ndjson(tmp_path / "a.ndjson", (row(n) for n in range(5000)))
        packed = gzip.compress(plain.read_bytes())
        path = tmp_path / "a.ndjson.gz"
        path.write_bytes(packed[: len(packed) * 2 // 3])
        report = take(home, path)
        (one,) = report.inputs
        assert report.exit_code == PARTIAL
        assert one.error is not None
        assert 100 < one.stored < 5000
        assert [reason for _, reason in reasons(home)] == ["truncated_input"]
        assert reasons(home)[0][0] == one.stored + 1
        path.write_bytes(packed)
        assert take(home, path).totals.stored == 5000 - one.stored

    def test_a_truncated_parquet_file(self, tmp_path: Path, home: Home) -> None:
        path = tmp_path / "a.parquet"
        pq.write_table(pa.Table.from_pylist([row(n) for n in range(10)]), path)
        path.write_bytes(path.read_bytes()[:-10])
        report = take(home, path)
        assert report.exit_code == 1
        assert "Parquet" in (report.inputs[0].error or "")

    def test_one_bad_input_does_not_stop_the_others(self, tmp_path: Path, home: Home) -> None:
        (tmp_path / "a.csv").write_bytes(b'a,"b\n1,2\n')
        good = write_ndjson(tmp_path / "b.ndjson", [row(1)])
        report = take(home, tmp_path / "a.csv", good)
        assert report.exit_code == PARTIAL
        assert [one.error is None for one in report.inputs] == [False, True]
        assert stored_ids(home) == ["e1"]

    def test_empty_files(self, tmp_path: Path, home: Home) -> None:
        for name in ("a.ndjson", "b.csv", "c.ndjson.gz"):
            (tmp_path / name).write_bytes(gzip.compress(b"") if name.endswith("gz") else b"")
        (tmp_path / "d.csv").write_text("org_id,plan\n")
        report = take(home, *(tmp_path / name for name in ("a.ndjson", "b.csv", "c.ndjson.gz", "d.csv")))
        assert report.exit_code == 0
        assert report.totals.rows == 0
        assert FactsReader(home).commits() == []

    def test_rows_that_are_no_text_or_too_long(self, tmp_path: Path, home: Home) -> None:
        path = write_ndjson(tmp_path / "a.ndjson", [row(1)])
        with path.open("ab") as file:
            file.write(b'{"org_id": "\xff"}\n{"a": "\x00"}\n' + b'{"a": "' + b"x" * (2 << 20) + b'"}\n')
            file.write(b'{"a": ' + b"[" * 100_000 + b"\n")
        write_ndjson(tmp_path / "tail", [row(2)])
        path.write_bytes(path.read_bytes() + (tmp_path / "tail").read_bytes())
        assert take(home, path).totals.stored == 2
        assert reasons(home) == [
            (2, "invalid_utf8"),
            (3, "nul_character"),
            (4, "line_too_long"),
            (5, "nested_too_deep"),
        ]

    def test_a_file_that_changes_while_it_is_read(self, tmp_path: Path, home: Home) -> None:
        path = write_ndjson(tmp_path / "a.ndjson", (row(n) for n in range(20)))
        other = write_ndjson(tmp_path / "b.ndjson", [row(100), row(101, org_id=None)])

        def append(stage: str, _done: int, _total: int | None) -> None:
            if "a.ndjson" in stage:
                with path.open("a") as file:
                    file.write("{}\n")

        report = take(home, path, other, progress=append)
        assert report.exit_code == PARTIAL
        assert "changed while it was read; ingest it again" in (report.inputs[0].error or "")
        assert report.inputs[0].rows == 0
        assert stored_ids(home) == ["e100"]
        assert reasons(home) == [(2, "missing_org_id")]

    @pytest.mark.usefixtures("small_pieces")
    def test_a_file_that_changes_after_a_commit_keeps_that_commit(self, tmp_path: Path, home: Home) -> None:
        path = write_ndjson(tmp_path / "a.ndjson", (row(n) for n in range(1000)))

        def append(_stage: str, done: int, _total: int | None) -> None:
            if done > 500:
                with path.open("a") as file:
                    file.write(" \n")

        (one,) = take(home, path, progress=append).inputs
        assert one.error is not None
        assert 200 <= one.stored < 1000
        assert len(stored_ids(home)) == one.stored
        assert take(home, path).totals.stored == 1000 - one.stored

    def test_a_file_that_vanishes(self, tmp_path: Path, home: Home) -> None:
        path = write_ndjson(tmp_path / "a.ndjson", [row(1)])
        report = take(home, path, progress=lambda *_: path.unlink(missing_ok=True))
        assert report.exit_code == 1
        assert stored_ids(home) == []


class TestDisk:
    """Whatever step of writing fails, the home stays whole, and a retry completes."""

    ROWS = 700

    @pytest.mark.usefixtures("small_pieces")
    @pytest.mark.parametrize("step", ["write_table", "fsync", "replace", "mkdir"])
    @pytest.mark.parametrize("count", [2, 5, 9])
    def test_a_full_disk(
        self, tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch, step: str, count: int
    ) -> None:
        rows = [row(n, org_id=None if n % 50 == 0 else f"o{n}") for n in range(self.ROWS)]
        path = write_ndjson(tmp_path / "a.ndjson", rows)
        owner = {"write_table": pq.ParquetWriter, "fsync": os, "replace": Path, "mkdir": Path}[step]
        original = getattr(owner, step)
        calls = 0

        def full(*args: object, **options: object) -> object:
            nonlocal calls
            calls += 1
            if calls >= count:
                raise OSError(errno.ENOSPC, "No space left on device")
            return original(*args, **options)

        home.ensure()
        with monkeypatch.context() as patched:
            patched.setattr(owner, step, full)
            with pytest.raises(RingfenceError) as caught:
                take(home, path)
        assert "disk is full" in caught.value.message
        assert "Free some space" in caught.value.remedy
        check_books(home)
        before = len(stored_ids(home))
        report = take(home, path)
        assert report.totals.stored == self.ROWS - 14 - before
        assert len(reasons(home)) == 14

    def test_a_real_limit_on_the_size_of_files(self, tmp_path: Path, home: Home) -> None:
        path = write_ndjson(tmp_path / "a.ndjson", (row(n, org_id=os.urandom(16).hex()) for n in range(3000)))
        script = (
            "import sys; sys.path[:0] = sys.argv[1:3]\n"
            "from pathlib import Path\nfrom ingest_support import take\nfrom graph.home import Home\n"
            "from graph.errors import RingfenceError\n"
            "try: take(Home(Path(sys.argv[3])), sys.argv[4])\n"
            "except RingfenceError as error: print(error)\n"
        )
        command = [
            sys.executable,
            "-c",
            script,
            str(ROOT),
            str(Path(__file__).parent),
            str(home.path),
            str(path),
        ]
        limit = 30_000
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        )
        assert done.returncode == 0, done.stderr
        assert "the disk is full" in done.stdout
        check_books(home)
        assert take(home, path).totals.stored == 3000


class TestTwoAtOnce:
    def test_the_second_waits_for_the_first(self, tmp_path: Path, home: Home) -> None:
        path = write_ndjson(tmp_path / "a.ndjson", [row(1)])
        home.ensure()
        first = filelock.FileLock(home.path / "ingest.lock")
        first.acquire()
        said: list[str] = []

        def watch(stage: str, _done: int, _total: int | None) -> None:
            said.append(stage)
            first.release()

        assert take(home, path, progress=watch).totals.stored == 1
        assert said[0] == "Waiting for another ingest into this home"

    def test_it_gives_up_in_the_end(self, tmp_path: Path, home: Home) -> None:
        path = write_ndjson(tmp_path / "a.ndjson", [row(1)])
        home.ensure()
        with filelock.FileLock(home.path / "ingest.lock"), pytest.raises(RingfenceError) as caught:
            take(home, path, settings=HERE.model_copy(update={"lock_timeout": timedelta(0)}))
        assert "another ingest" in caught.value.message
        assert caught.value.remedy


KILLED = """
import os, signal, sys
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
import ingest.job, ingest.sources.blocks
from ingest_support import take
from graph.home import Home
import pyarrow.parquet as pq

left = int(sys.argv[5])

def step(owner, name):
    original = getattr(owner, name)
    def counted(*args, **options):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **options)
    setattr(owner, name, counted)

for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "unlink"), (pq.ParquetWriter, "write_table")):
    step(owner, name)
ingest.sources.blocks.BlockReader.__init__.__defaults__ = (b"", 4096)
ingest.job.COMMIT_ROWS = 200
report = take(Home(Path(sys.argv[3])), *sys.argv[4].split(":"))
print(report.totals.stored)
"""


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_kill_9_loses_nothing_and_doubles_nothing(tmp_path: Path, home: Home, seed: int) -> None:
    rows = [row(n, event_type="nonsense" if n % 40 == 0 else "inference") for n in range(800)]
    paths = [write_ndjson(tmp_path / "a.ndjson", rows[:700]), write_ndjson(tmp_path / "b.ndjson", rows[600:])]
    points = random.Random(seed)
    acknowledged: set[str] = set()
    for _ in range(3):
        command = [sys.executable, "-c", KILLED, str(ROOT), str(Path(__file__).parent), str(home.path)]
        command += [":".join(map(str, paths)), str(points.randrange(5, 180))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        visible = set(stored_ids(home))
        assert acknowledged <= visible
        acknowledged = visible
    report = take(home, *paths)
    assert report.totals.rows == 900
    good = {f"e{n}" for n in range(800) if n % 40}
    assert set(stored_ids(home)) == good
    # Rows 600 to 699 are in both files, so the bad ones among them lie in quarantine once a file.
    assert len(reasons(home)) == 20 + 3
    check_books(home, report)
