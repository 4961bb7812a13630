"""Scores: points that add up, a table that turns them into risk, and figures that can be checked by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError
from worlds import beside, drawn, home_of

from detection.detector import Detector, detectors
from detection.engines.duckdb import Engine
from detection.run import run
from detection.runs import RunFiles
from detection.scoring import BASE, SIZE, Bin, Scorecard, attachment_points, pattern, shipped, size_points
from detection.settings import EngineSettings

CARD = shipped()
KNOWN = {one.id for one in detectors()}


def card(**changes: object) -> Scorecard:
    content = {
        "version": "1",
        "trained_on": "nothing",
        "base_points": -40.0,
        "prior_members": 2.0,
        "bins": {SIZE: [{"at_least": 3, "points": 5}, {"at_least": 10, "points": 20}]},
        "baselines": {},
        "risk_table": [(-40, 0), (0, 50), (40, 100)],
    }
    return Scorecard.model_validate(content | changes)


def test_the_scorecard_that_ships_is_about_the_detectors_that_ship() -> None:
    assert set(CARD.bins) <= KNOWN | {SIZE}
    assert set(CARD.baselines) == KNOWN
    assert all(0 <= value <= 1 for value in CARD.baselines.values())
    assert CARD.base_points < 0
    assert len(CARD.version) > 0 < len(CARD.trained_on)


def test_the_scorecard_that_ships_never_falls_and_covers_all_risk() -> None:
    for steps in CARD.bins.values():
        assert [step.at_least for step in steps] == sorted({step.at_least for step in steps})
        assert [step.points for step in steps] == sorted(step.points for step in steps)
    risks = [risk for _, risk in CARD.risk_table]
    assert 0 <= risks[0] < 5
    assert 95 < risks[-1] <= 100


def test_a_cluster_needs_more_than_size_to_be_risky() -> None:
    """Size alone must not condemn: even the largest cluster without any other evidence stays below even odds."""
    largest = CARD.base_points + size_points(CARD, np.array([100_000]))[0]
    assert CARD.risk(np.array([largest]))[0] < 50


def test_twenty_points_double_the_odds() -> None:
    """At every whole total in the middle of the published table."""
    totals = np.arange(-60.0, 41.0, 20.0)
    risk = CARD.risk(totals) / 100
    odds = risk / (1 - risk)
    assert odds[1:] / odds[:-1] == pytest.approx(2, rel=0.05)


def test_risk_is_read_off_the_table_straight_between_and_flat_beyond() -> None:
    table = card()
    assert table.risk(np.array([-100, -40, -20, 0, 10, 40, 99])).tolist() == [0, 0, 25, 50, 62.5, 100, 100]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"bins": {"lockstep": [{"at_least": 0.1, "points": 9}, {"at_least": 0.5, "points": 8}]}},
            "lockstep fall",
        ),
        ({"bins": {"lockstep": [{"at_least": 0.1, "points": -1}]}}, "lockstep fall"),
        ({"risk_table": [(0, 10), (5, 9)]}, "not rising"),
        ({"risk_table": [(5, 10), (0, 20)]}, "not rising"),
        ({"prior_members": -1}, "greater than or equal to 0"),
        ({"surprise": 1}, "not permitted"),
    ],
)
def test_a_scorecard_that_makes_no_sense_is_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        card(**changes)


def test_points_of_size_by_hand() -> None:
    assert size_points(card(), np.array([2, 3, 9, 10, 5_000])).tolist() == [0, 5, 5, 20, 20]
    assert size_points(card(bins={}), np.array([2, 30])).tolist() == [0, 0]


def test_points_of_attachment_by_hand() -> None:
    """Ten points for each halving below the (lower) median, at most forty; nothing above it."""
    strength = np.array([800, 400, 200, 100, 1, 0, 5, 5])
    cluster = np.array([7, 7, 7, 7, 7, 7, 2, 2])
    assert attachment_points(strength, cluster).tolist() == pytest.approx([0, 0, 0, 0, -40, -40, 0, 0])
    assert attachment_points(np.array([400, 100, 400, 50]), np.array([1, 1, 1, 1])).tolist() == pytest.approx(
        [0, 0, 0, -10]
    )
    shuffled = np.array([5, 2, 0, 7, 1, 6, 3, 4])
    assert attachment_points(strength[shuffled], cluster[shuffled]).tolist() == pytest.approx(
        attachment_points(strength, cluster)[shuffled].tolist()
    )
    assert attachment_points(np.array([0, 0]), np.array([3, 3])).tolist() == [-40, -40]


def test_bins_as_rows() -> None:
    rows = card().bins_table().to_pylist()
    assert rows == [
        {"signal": SIZE, "at_least": 3.0, "points": 5.0},
        {"signal": SIZE, "at_least": 10.0, "points": 20.0},
    ]
    assert card().bins[SIZE][0] == Bin(at_least=3, points=5)


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ({"trial_burn": 30}, "trial_farm"),
        ({"trial_burn": 30, "shared_device": 300, BASE: -100, SIZE: 90}, "trial_farm"),
        ({"trial_burn": 10, "name_template": 10, "promo_chain": 15}, "trial_farm"),
        ({"key_rotation": 30, "promo_chain": 29}, "mixed"),
        ({"key_rotation": 33, "promo_chain": 30}, "key_resale"),
        ({"referral_tree": 8}, "referral_ring"),
        ({"promo_chain": 8}, "promo_ring"),
        ({"serial_signup": 8}, "serial"),
        ({"shared_device": 50, "lockstep": 20}, "mixed"),
        ({}, "mixed"),
    ],
)
def test_a_pattern_is_the_largest_group_of_points(points: dict[str, float], expected: str) -> None:
    assert pattern(points, detectors()) == expected


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> RunFiles:
    worlds = [beside(drawn(seed, 4 + 3 * seed, 30 + 20 * seed, days=(1, 3, 60)), seed) for seed in range(6)]
    return run(home_of(tmp_path_factory.mktemp("scored"), [one for world in worlds for one in world]))


def test_points_of_evidence_add_up_to_the_cluster_and_the_table_gives_its_risk(scored: RunFiles) -> None:
    clusters = scored.table("clusters").to_pylist()
    evidence = scored.table("evidence").to_pylist()
    assert len(clusters) >= 6
    for cluster in clusters:
        own = {row["signal"]: row["points"] for row in evidence if row["cluster_id"] == cluster["cluster_id"]}
        assert own[BASE] == CARD.base_points
        assert own[SIZE] == size_points(CARD, np.array([cluster["size"]]))[0]
        assert set(own) <= KNOWN | {BASE, SIZE}
        assert sum(own.values()) == pytest.approx(cluster["points"])
        assert CARD.risk(np.array([cluster["points"]]))[0] == pytest.approx(cluster["risk"])
        assert cluster["pattern"] == pattern(own, detectors())
        assert cluster["name"].endswith(cluster["cluster_id"])


def test_points_of_a_signal_are_those_of_the_bin_that_its_value_reaches(scored: RunFiles) -> None:
    for row in scored.table("evidence").to_pylist():
        if row["signal"] in KNOWN:
            reached = [
                step.points for step in CARD.bins.get(row["signal"], ()) if row["value"] >= step.at_least
            ]
            assert row["points"] == max(reached, default=0)


def test_the_strongest_evidence_comes_first(scored: RunFiles) -> None:
    evidence = scored.table("evidence").to_pylist()
    for cluster in scored.table("clusters").to_pylist():
        own = [row for row in evidence if row["cluster_id"] == cluster["cluster_id"]]
        assert [row["points"] for row in own] == sorted((row["points"] for row in own), reverse=True)
        shown = [row["signal"] for row in own if row["points"] > 0 and row["signal"] in KNOWN]
        assert cluster["top_evidence"] == ";".join(shown[:3])
    risks = scored.table("clusters")["risk"].to_pylist()
    assert risks == sorted(risks, reverse=True)


def test_every_risk_is_between_0_and_100(scored: RunFiles) -> None:
    members = scored.table("members").to_pylist()
    risk_of = {row["cluster_id"]: row["risk"] for row in scored.table("clusters").to_pylist()}
    assert {row["cluster_id"] for row in members} == set(risk_of)
    for row in members:
        assert 0 <= row["member_risk"] <= 100
        assert row["cluster_risk"] == risk_of[row["cluster_id"]]
        assert row["actionable"] == (row["spared_reason"] is None)


def test_detectors_come_sorted_and_once() -> None:
    found: tuple[Detector, ...] = detectors()
    assert [one.id for one in found] == sorted({one.id for one in found})


def test_a_home_of_few_says_whose_baselines_are_used(scored: RunFiles) -> None:
    assert any("too few to measure baselines" in one for one in scored.manifest.warnings)
    for row in scored.table("evidence").to_pylist():
        assert row["baseline"] == (CARD.baselines[row["signal"]] if row["signal"] in KNOWN else None)


def test_what_is_usual_earns_no_points(tmp_path: Path) -> None:
    def rows(values: list[float]) -> dict[str, list[object]]:
        return {"signal": ["burst"] * len(values), "value": list(values)}

    def points(engine: Engine, table: str) -> list[float]:
        return [row["points"] for row in engine.fetch(f"SELECT * FROM {table} ORDER BY cluster").to_pylist()]

    with Engine(EngineSettings(), tmp_path) as engine:
        for name, table in {
            "bins": {"signal": ["burst"] * 2, "at_least": [0.25, 0.75], "points": [10.0, 30.0]},
            "baselines": {"signal": ["burst"], "baseline": [0.5]},
            "signal_values": {
                "cluster": [0, 1, 2],
                **rows([0.2, 0.6, 0.9]),
                "baseline": [0.5] * 3,
                "affected": [0, 1, 2],
                "eligible": [2, 2, 2],
            },
            "signal_rows": {"cluster": [0, 1, 2], "org": [0, 1, 2], **rows([0.8, 0.6, 1.0])},
        }.items():
            engine.register(name, pa.table(table))
        engine.stage("signal_points")
        engine.stage("member_points")
        assert points(engine, "signal_points") == [0, 0, 30]
        assert points(engine, "member_points") == [15, 0, 0]
