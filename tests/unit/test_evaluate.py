"""An evaluation worked by hand, and what it says when the files do not fit."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from detection.run import run
from graph.errors import RingfenceError
from graph.home import Home
from ingest.job import ingest
from ingest.settings import IngestSettings
from sim.campaigns import Campaign, simulate
from sim.evaluate import evaluate, judge, outcome_of
from sim.ground_truth import GroundTruth, read_truth
from sim.report import NOT_ADMITTED

# Ring 0: a0..a7 (level 1, farm); ring 1: b0, b1 (level 2, resale); legitimate: v (framed), c (campus), x.
IDS = [f"a{n}" for n in range(8)] + ["b0", "b1", "v", "c", "x"]


def truth() -> GroundTruth:
    return GroundTruth(
        IDS,
        np.array([0] * 8 + [1] * 2 + [-1] * 3),
        np.array(["1"] * 8 + ["2"] * 2 + [""] * 3),
        np.array(["farm"] * 8 + ["resale"] * 2 + ["regular", "campus", "regular"]),
        np.array([org == "v" for org in IDS]),
    )


def members(rows: list[tuple[str, str, float, bool]], reason: str = NOT_ADMITTED) -> pa.Table:
    return pa.table(
        {
            "org_id": [row[0] for row in rows],
            "cluster_id": [row[1] for row in rows],
            "cluster_risk": [row[2] for row in rows],
            "member_risk": [row[2] for row in rows],
            "actionable": [row[3] for row in rows],
            "spared_reason": pa.array([reason] * len(rows)),
        }
    )


FOUND = (
    [(f"a{n}", "cl_1", 95.0, True) for n in range(6)]
    + [("v", "cl_1", 95.0, False)]
    + [("b0", "cl_2", 60.0, False), ("c", "cl_2", 60.0, False)]
)


def test_every_figure_of_a_small_case() -> None:
    report = judge("run_1", truth(), outcome_of(truth(), members(FOUND)))
    # a: six with precision 6/7 and recall 6/8, two alone (1, 1/8); b0 (1/2, 1/2); b1 alone (1, 1/2).
    assert report.b_cubed.precision == pytest.approx((6 * 6 / 7 + 2 + 0.5 + 1) / 10)
    assert report.b_cubed.recall == pytest.approx((6 * 6 / 8 + 2 / 8 + 0.5 + 0.5) / 10)
    assert report.b_cubed_by_level["2"].precision == pytest.approx(0.75)
    assert report.b_cubed_by_kind["farm"].organizations == 8
    assert (report.rings_together.found, report.rings_together.total) == (1, 1)
    assert (report.listed, report.clusters, report.abusive) == (9, 2, 10)
    assert report.actionable is None
    high = report.would_be[2]
    assert (high.flagged, high.precision.hits, high.recall) == (7, 6, 0.6)
    assert high.recall_by_level == {"1": 0.75, "2": 0.0}
    assert (high.legitimate.hits, high.legitimate.total) == (1, 3)
    assert {kind: share.hits for kind, share in high.bystanders.items()} == {"campus": 0, "regular": 1}
    assert (high.framed.hits, high.framed.total) == (1, 1)
    assert high.rings.found == 1
    assert report.would_be[0].bystanders["campus"].hits == 1
    # Precision .9 is never kept: 6 of 7, 7 of 9, then everybody.
    assert report.recall_at[0].threshold is None
    # Pairs of an abusive and a legitimate one: v beats 4 of 10 and ties 6, c beats 3 and ties 1, x ties 3.
    assert report.auc == pytest.approx((6 * 2.5 + 1 * 1.5 + 3 * 0.5) / 30)


def test_actionable_is_judged_once_admission_was_evaluated() -> None:
    report = judge("run_1", truth(), outcome_of(truth(), members(FOUND, "protected")))
    assert report.actionable is not None
    assert (report.actionable.precision.hits, report.actionable.precision.total) == (6, 6)
    assert report.actionable.precision.low == pytest.approx(0.025 ** (1 / 6))
    assert report.actionable.legitimate.hits == 0
    assert report.actionable.rings.found == 1


def test_the_report_is_plain_json_and_rows() -> None:
    report = judge("run_1", truth(), outcome_of(truth(), members([])))
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert plain["actionable"] == NOT_ADMITTED
    assert plain["b_cubed"]["recall"] == pytest.approx((8 / 8 + 2 / 2) / 10)
    assert plain["would_be"][0]["precision"] == {
        "hits": 0,
        "total": 0,
        "low": None,
        "high": None,
        "value": None,
    }
    assert plain["framed_in_risky_clusters"][0]["risk"] == 50
    assert {"membership", "ranking", "action"} <= {row.section for row in report.rows}
    assert ("action", "actionable", "none", NOT_ADMITTED) in report.rows
    assert not any("nan" in row.value for row in report.rows)


def test_a_truth_without_abuse_gives_no_figures_and_no_crash() -> None:
    nobody = GroundTruth(
        ["x", "y"], np.array([-1, -1]), np.array(["", ""]), np.array(["", ""]), np.zeros(2, bool)
    )
    report = judge("run_1", nobody, outcome_of(nobody, members([("x", "cl", 99.0, False)])))
    assert math.isnan(report.b_cubed.f)
    assert math.isnan(report.auc)
    assert report.rows


def write_truth(path: Path, **columns: Any) -> Path:
    known = truth()
    table: dict[str, Any] = {
        "org_id": known.org_ids,
        "campaign": known.rings,
        "level": known.levels,
        "kind": known.kinds,
        "framed": known.framed,
    }
    table = {name: values for name, values in (table | columns).items() if values is not None}
    pq.write_table(pa.table(table), path)
    return path


def test_a_truth_is_read_from_parquet_and_csv(tmp_path: Path) -> None:
    path = write_truth(tmp_path / "truth.parquet", level=np.array([1] * 8 + [2] * 2 + [0] * 3))
    known = read_truth(path)
    assert known.org_ids == IDS
    assert known.abusive.sum() == 10
    assert known.levels[0] == "1"
    pyarrow.csv.write_csv(pa.table({"org_id": ["x", "y"], "campaign": [-1, 3]}), tmp_path / "truth.csv")
    assert read_truth(tmp_path / "truth.csv").rings.tolist() == [-1, 3]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"campaign": None}, "no column campaign"),
        ({"org_id": ["same"] * len(IDS)}, "names an organization twice"),
        ({"org_id": [None, *IDS[1:]]}, "rows without org_id"),
        ({"campaign": ["ring"] * len(IDS)}, "is not int64"),
    ],
)
def test_a_truth_that_does_not_fit_is_refused(tmp_path: Path, columns: dict[str, Any], says: str) -> None:
    with pytest.raises(RingfenceError, match=says) as caught:
        read_truth(write_truth(tmp_path / "truth.parquet", **columns))
    assert caught.value.remedy


def test_a_file_that_is_no_truth_is_refused(tmp_path: Path) -> None:
    (tmp_path / "truth.parquet").write_text("not parquet")
    for name in ("truth.parquet", "missing.parquet"):
        with pytest.raises(RingfenceError, match="cannot read the truth"):
            read_truth(tmp_path / name)


def test_nothing_to_evaluate_without_a_run(tmp_path: Path) -> None:
    path = write_truth(tmp_path / "truth.parquet")
    with pytest.raises(RingfenceError, match="no run") as caught:
        evaluate(Home(tmp_path / "home"), path)
    assert caught.value.exit_code == 3


@pytest.fixture(scope="module")
def judged_home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Path]:
    folder = tmp_path_factory.mktemp("judged")
    written = simulate(Campaign(organizations=600, seed=5, abusive_share=0.1), folder)
    home = Home(folder / "home")
    ingest(home, [str(written.events_path)], settings=IngestSettings(), pepper=b"p" * 32)
    run(home)
    return home, written.truth_path


def test_a_real_run_is_judged_beside_all_baselines(judged_home: tuple[Home, Path]) -> None:
    home, path = judged_home
    stages: list[str] = []
    report = evaluate(home, path, progress=lambda stage, _done, _total: stages.append(stage))
    assert (report.organizations, report.abusive, report.warnings) == (600, 60, ())
    assert report.b_cubed.organizations == 60
    assert report.b_cubed.f > 0.8
    assert set(report.b_cubed_by_level) <= {"0", "1", "2"}
    components, modularity, single = report.baselines
    assert components.b_cubed is not None
    assert modularity.b_cubed is not None
    assert single.auc is not None
    assert [answer.precision for answer in single.recall_at] == [0.9, 0.95, 0.99, 0.999]
    assert "Baseline: reading events" in stages
    assert report.to_dict() == evaluate(home, path, report.run_id).to_dict()
    assert evaluate(home, path, baselines=False).baselines == ()


def test_strangers_count_as_legitimate_and_the_missing_as_unlisted(
    judged_home: tuple[Home, Path], tmp_path: Path
) -> None:
    home, path = judged_home
    table = pq.read_table(path)
    kept = table.filter(np.asarray(table.column("campaign")) >= 0)
    ghost = kept.slice(0, 1).set_column(0, "org_id", pa.array(["nobody ever saw"]))
    pq.write_table(pa.concat_tables([kept, ghost]), tmp_path / "part.parquet")
    report = evaluate(home, tmp_path / "part.parquet", baselines=False)
    assert report.organizations == 601
    assert report.abusive == 61
    assert report.warnings == (
        "of the run, 540 are not in the truth: counted as legitimate",
        "of the truth, 1 are not in the run: counted as unlisted",
    )


def test_the_truth_of_another_home_is_refused(judged_home: tuple[Home, Path], tmp_path: Path) -> None:
    with pytest.raises(RingfenceError, match="names no organization of this run"):
        evaluate(judged_home[0], write_truth(tmp_path / "other.parquet"))
