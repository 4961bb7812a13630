"""The simpler methods, on cases where their answer is known."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graph.facts_schema import EVENTS
from sim.baselines import boosted_scores, modularity, ring_folds, shared_components, without_singles
from sim.metrics import auc
from sim.own_features import own_features

START = datetime(2026, 1, 1, 6, tzinfo=UTC)


def key(number: int) -> bytes:
    return hashlib.blake2b(str(number).encode(), digest_size=16).digest()


def links(rows: list[tuple[str, str, int, int]]) -> pa.Table:
    return pa.table(
        {
            "org_id": [row[0] for row in rows],
            "kind": pa.array([row[1] for row in rows]).dictionary_encode(),
            "key": pa.ExtensionArray.from_storage(
                pa.uuid(), pa.array([key(row[2]) for row in rows], pa.binary(16))
            ),
            "orgs": pa.array([row[3] for row in rows], pa.int64()),
        }
    )


def test_components_follow_shared_identifiers_and_leave_hubs_out() -> None:
    table = links(
        [
            ("a", "ip", 1, 2),
            ("b", "ip", 1, 2),
            ("b", "device", 2, 2),
            ("c", "device", 2, 2),
            ("d", "ip", 3, 51),
            ("e", "ip", 3, 51),
            ("f", "user_agent", 4, 2),
            ("g", "user_agent", 4, 2),
        ]
    )
    found = shared_components(["g", "f", "e", "d", "c", "b", "a"], table)
    assert found[4] == found[5] == found[6] != -1
    assert found[:4].tolist() == [-1] * 4
    assert (shared_components(["d", "e"], table, cap=51) >= 0).all()


def test_the_same_key_under_two_kinds_is_two_identifiers() -> None:
    table = links([("a", "ip", 1, 2), ("b", "device", 1, 2)])
    assert shared_components(["a", "b"], table).tolist() == [-1, -1]


def test_no_links_are_no_components() -> None:
    assert shared_components(["a", "b"], links([])).tolist() == [-1, -1]


def test_modularity_separates_two_cliques() -> None:
    ids = [f"org{n}" for n in range(9)]
    pairs = [(i, j) for group in (range(4), range(4, 8)) for i in group for j in group if i < j]
    pairs.append((3, 4))
    ties = pa.table(
        {
            "a": [ids[a] for a, _ in pairs],
            "b": [ids[b] for _, b in pairs],
            "weight": pa.array([1_000_000] * len(pairs), pa.int64()),
        }
    )
    backwards = list(reversed(ids))
    found = dict(zip(backwards, modularity(backwards, ties, seed=1).tolist(), strict=True))
    assert len({found[f"org{n}"] for n in range(4)}) == 1
    assert len({found[f"org{n}"] for n in range(4, 8)}) == 1
    assert found["org0"] != found["org7"]
    assert found["org8"] == -1


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_folds_keep_rings_whole_and_even(seed: int) -> None:
    rings = np.concatenate([np.full(200, -1), np.repeat(np.arange(20), np.arange(1, 21))])
    folds = ring_folds(rings, 5, seed)
    for ring in range(20):
        assert len(np.unique(folds[rings == ring])) == 1
    assert np.bincount(folds[rings >= 0]).min() >= 40
    assert np.bincount(folds[rings < 0]).tolist() == [40] * 5


def test_the_boosted_model_ranks_a_habit_but_not_a_ring_it_has_never_met() -> None:
    random = np.random.default_rng(7)
    rings = np.concatenate([np.full(600, -1), np.repeat(np.arange(12), 25)])
    habit = np.where(rings >= 0, random.normal(2, 1, 900), random.normal(0, 1, 900))
    scores = boosted_scores(np.stack([habit], axis=1), rings, seed=1)
    assert scores is not None
    assert auc(scores, rings >= 0) > 0.8
    # A feature that names the ring tells nothing about rings that were not trained on.
    badge = np.where(rings >= 0, rings * 10.0, random.integers(0, 12, 900) * 10.0 + 3)
    leaked = boosted_scores(np.stack([badge], axis=1), rings, seed=1)
    assert leaked is not None
    assert auc(leaked, rings >= 0) < 0.85


def test_one_ring_alone_cannot_be_cross_validated() -> None:
    assert boosted_scores(np.zeros((4, 1)), np.array([0, 0, -1, -1]), seed=1) is None


def test_columns_that_say_nothing_do_no_harm() -> None:
    rings = np.concatenate([np.full(60, -1), np.repeat(np.arange(4), 10)])
    mute = np.stack([np.full(100, np.nan), np.zeros(100)], axis=1)
    scores = boosted_scores(mute, rings, seed=1)
    assert scores is not None
    assert auc(scores, rings >= 0) == 0.5
    telling = boosted_scores(np.column_stack([mute, rings >= 0]), rings, seed=1)
    assert telling is not None
    assert auc(telling, rings >= 0) == 1


def test_groups_of_one_are_unlisted() -> None:
    assert without_singles(np.array([4, 7, 4])).tolist() == [0, -1, 0]


def events(rows: list[dict[str, Any]], path: Path) -> Path:
    def column(field: pa.Field) -> pa.Array:
        values = [row.get(field.name) for row in rows]
        if field.type == pa.uuid():
            return pa.ExtensionArray.from_storage(pa.uuid(), pa.array(values, pa.binary(16)))
        return pa.array(values, field.type)

    pq.write_table(pa.table([column(field) for field in EVENTS], schema=EVENTS), path)
    return path


def organizations(numbers: list[int]) -> pa.Table:
    return pa.table(
        {
            "org_id": [f"org{n}" for n in numbers],
            "organization": pa.ExtensionArray.from_storage(
                pa.uuid(), pa.array([key(n) for n in numbers], pa.binary(16))
            ),
            "country": pa.array(["DE" for _ in numbers]),
            "plan": pa.array([None for _ in numbers], pa.string()),
        }
    )


def test_features_count_what_an_organization_did_itself(tmp_path: Path) -> None:
    first = events(
        [
            {"organization": key(1), "event_type": "organization_created", "occurred_at": START},
            {
                "organization": key(1),
                "event_type": "inference",
                "occurred_at": START + timedelta(hours=2),
                "ip": key(50),
                "cost": Decimal("1.5"),
                "requests": 3,
                "status_code": 429,
            },
            {"organization": key(99), "event_type": "inference", "occurred_at": START},
        ],
        tmp_path / "1.parquet",
    )
    second = events(
        [
            {
                "organization": key(1),
                "event_type": "inference",
                "occurred_at": START + timedelta(hours=30),
                "ip": key(50 + extra),
                "cost": Decimal("0.5"),
                "requests": 1,
                "hidden": 1,
            }
            for extra in (0, 1)
        ],
        tmp_path / "2.parquet",
    )
    table, names = own_features(organizations([2, 1]), [first, second])
    quiet, busy = (dict(zip(names, row, strict=True)) for row in table.tolist())
    assert busy["events inference"] == 3
    assert busy["distinct ip"] == 2
    assert busy["cost"] == pytest.approx(2.5)
    assert busy["requests"] == 5
    assert busy["failed"] == 1
    assert busy["hidden"] == 2
    assert busy["hours to inference"] == pytest.approx(2)
    assert busy["hours active"] == pytest.approx(30)
    assert busy["distinct hour"] == 3
    assert busy["hour of creation"] == 6
    assert quiet["events inference"] == quiet["distinct ip"] == 0
    assert np.isnan(quiet["hours to inference"])


def test_features_end_where_the_run_ends(tmp_path: Path) -> None:
    path = events(
        [
            {"organization": key(1), "event_type": "inference", "occurred_at": START + timedelta(hours=n)}
            for n in range(5)
        ],
        tmp_path / "1.parquet",
    )
    table, names = own_features(organizations([1]), [path], START + timedelta(hours=2))
    assert table[0, names.index("events inference")] == 3
