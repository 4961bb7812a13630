"""The benchmarks themselves: that they still measure, and that they compare honestly. Needs bench/requirements.lock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

for needed in ("pandas", "polars", "psutil"):
    pytest.importorskip(needed, reason="bench/requirements.lock is not installed")

from bench.results import Result, Target, record, table  # noqa: E402 - needs what was looked for above

ROOT = Path(__file__).resolve().parents[2]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_a_quick_measurement_goes_all_the_way() -> None:
    done = bench("--quick", "simulation", "pipelines")
    assert done.returncode == 0, done.stderr
    assert "large_events" in done.stdout
    assert "polars_time_ratio" in done.stdout
    kept = json.loads((ROOT / "bench" / ".work" / "results" / "pipelines.json").read_text())
    assert kept["quick"]
    assert kept["machine"]["cores"] >= 1
    assert kept["figures"]["run_s"] > 0
    assert kept["verdicts"] == {}


def test_an_unknown_benchmark_is_misuse() -> None:
    done = bench("speed")
    assert done.returncode == 2
    assert "there are simulation" in done.stderr


def test_verdicts_follow_the_direction_of_a_target() -> None:
    seconds, rate = Target("s", 45, 15), Target("per_s", 100, 300, lower=False)
    assert [seconds.verdict(value) for value in (15, 45, 46)] == ["stretch", "must", "missed"]
    assert [rate.verdict(value) for value in (300, 100, 99)] == ["stretch", "must", "missed"]
    assert Target("faults", 0).verdict(0) == "must"


def test_a_result_is_kept_as_json_and_shown_beside_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.results.RECORDED", tmp_path)
    result = Result("x", "Title", {"s": 30.0, "share": float("nan")}, (Target("s", 45, 15),))
    kept = json.loads(record(result, quick=False).read_text())
    assert kept["verdicts"] == {"s": "must"}
    assert kept["figures"]["share"] is None
    shown = table(result, {"date": "before", "figures": {"s": 60.0, "share": None}})
    assert "-50%" in shown
    assert "≤ 45 (15)" in shown
