"""A cluster's history over the runs that are kept: an old id leads to where its members are now."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graph.errors import RingfenceError
from graph.lineage import lineage

START = datetime(2026, 9, 1, tzinfo=UTC)
SCHEMA = pa.schema(
    [
        ("cluster_id", pa.string()),
        ("previous_id", pa.string()),
        ("change", pa.string()),
        ("jaccard", pa.float64()),
        ("as_of", pa.timestamp("us", tz="UTC")),
    ]
)
Row = tuple[str, str | None, str]


def write_run(runs: Path, number: int, rows: list[Row], previous: int | None = None) -> None:
    folder = runs / f"run_{number}"
    folder.mkdir()
    at = START + timedelta(hours=number)
    manifest = {
        "run_id": folder.name,
        "created_at": at.isoformat(),
        "previous": None if previous is None else f"run_{previous}",
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    table = pa.Table.from_pylist(
        [
            {"cluster_id": a, "previous_id": b, "change": what, "jaccard": 0.5, "as_of": at}
            for a, b, what in rows
        ],
        SCHEMA,
    )
    pq.write_table(table, folder / "lineage.parquet")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """a is born, grows, is split (b) and merged into c; d dissolves; b goes on in e."""
    write_run(tmp_path, 1, [("a", None, "born"), ("c", None, "born"), ("d", None, "born")])
    write_run(tmp_path, 2, [("a", "a", "grown"), ("c", "c", "kept"), ("d", "d", "dissolved")], 1)
    write_run(
        tmp_path, 3, [("a", "a", "shrunk"), ("b", "a", "split"), ("b", None, "born"), ("c", "c", "kept")], 2
    )
    write_run(tmp_path, 4, [("b", "b", "kept"), ("c", "a", "merged"), ("c", "c", "grown")], 3)
    write_run(tmp_path, 5, [("e", "b", "merged"), ("e", None, "born"), ("c", "c", "kept")], 4)
    return tmp_path


def changes(runs: Path, cluster: str) -> list[tuple[str, Row]]:
    return [
        (one.run_id, (one.cluster_id, one.previous_id, one.change)) for one in lineage(runs, cluster).changes
    ]


def test_an_old_id_answers_with_its_successors_and_their_history(runs: Path) -> None:
    found = lineage(runs, "a")
    assert (found.alive, found.successors) == (False, ("c", "e"))
    assert changes(runs, "a") == [
        ("run_1", ("a", None, "born")),
        ("run_2", ("a", "a", "grown")),
        ("run_3", ("a", "a", "shrunk")),
        ("run_3", ("b", "a", "split")),
        ("run_3", ("b", None, "born")),
        ("run_4", ("c", "a", "merged")),
        ("run_4", ("c", "c", "grown")),
        ("run_5", ("e", "b", "merged")),
        ("run_5", ("e", None, "born")),
    ]
    assert found.changes[1].as_of == START + timedelta(hours=2)
    assert found.changes[1].jaccard == 0.5


def test_an_earlier_run_knows_no_more_than_it_could(runs: Path) -> None:
    found = lineage(runs, "a", until="run_3")
    assert (found.alive, found.successors, found.last_run) == (True, ("b",), "run_3")
    assert lineage(runs, "a").last_run == "run_3"
    with pytest.raises(RingfenceError, match="no run that is kept has a cluster e"):
        lineage(runs, "e", until="run_4")
    with pytest.raises(RingfenceError, match="there is no run 'run_9'"):
        lineage(runs, "a", until="run_9")


def test_a_living_cluster_knows_what_came_to_it(runs: Path) -> None:
    found = lineage(runs, "c")
    assert (found.alive, found.successors) == (True, ())
    assert changes(runs, "c") == [
        ("run_1", ("c", None, "born")),
        ("run_4", ("c", "a", "merged")),
        ("run_4", ("c", "c", "grown")),
    ]


def test_a_dissolved_cluster_has_no_successor(runs: Path) -> None:
    found = lineage(runs, "d")
    assert (found.alive, found.successors) == (False, ())
    assert [one.change for one in found.changes] == ["born", "dissolved"]


def test_a_run_that_never_served_is_left_out(runs: Path) -> None:
    write_run(runs, 6, [("x", "c", "split"), ("c", "c", "shrunk")], 5)  # could not be published
    write_run(runs, 7, [("c", "c", "kept"), ("e", "e", "kept")], 5)
    assert lineage(runs, "c").successors == ()
    with pytest.raises(RingfenceError, match="no run that is kept has a cluster x"):
        lineage(runs, "x")


def test_older_runs_may_be_gone(runs: Path) -> None:
    for number in (1, 3):
        for path in (runs / f"run_{number}").iterdir():
            path.unlink()
    assert lineage(runs, "a").successors == ("c",)


def test_an_unknown_cluster_and_damaged_files_are_said(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(RingfenceError, match="no run that is kept has a cluster cl_none"):
        lineage(runs, "cl_none")
    with pytest.raises(RingfenceError, match="no run that is kept"):
        lineage(tmp_path / "nowhere", "a")
    (runs / "run_2" / "lineage.parquet").write_bytes(b"nothing")
    with pytest.raises(RingfenceError, match="cannot be read"):
        lineage(runs, "a")
    (runs / "run_2" / "manifest.json").write_text("{}")
    with pytest.raises(RingfenceError, match="cannot be read"):
        lineage(runs, "a")
