"""The measures against hand-worked cases and slow or foreign oracles."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn.metrics import roc_auc_score

from sim import metrics

partitions = st.lists(st.tuples(st.integers(-1, 4), st.integers(-1, 3)), min_size=1, max_size=40)


def naive_b_cubed(clusters: list[int], rings: list[int]) -> tuple[float, float] | None:
    """Every pair looked at, as the definition reads."""
    precisions, recalls = [], []
    for i, ring in enumerate(rings):
        if ring == -1:
            continue
        cluster = [j for j in range(len(rings)) if j == i or (clusters[j] == clusters[i] != -1)]
        mates = [j for j in range(len(rings)) if rings[j] == ring]
        both = len(set(cluster) & set(mates))
        precisions.append(both / len(cluster))
        recalls.append(both / len(mates))
    return (float(np.mean(precisions)), float(np.mean(recalls))) if precisions else None


@given(partitions)
def test_b_cubed_agrees_with_looking_at_every_pair(rows: list[tuple[int, int]]) -> None:
    clusters, rings = [c for c, _ in rows], [r for _, r in rows]
    got = metrics.b_cubed(np.array(clusters), np.array(rings))
    expected = naive_b_cubed(clusters, rings)
    if expected is None:
        assert got.organizations == 0
        assert math.isnan(got.f)
        return
    assert (got.precision, got.recall) == pytest.approx(expected)
    assert got.f == pytest.approx(2 * expected[0] * expected[1] / sum(expected))


def test_b_cubed_by_hand() -> None:
    # Ring 0 has three: two in cluster 5 beside one legitimate organization, one unlisted.
    clusters = np.array([5, 5, 5, -1, 6, 6])
    rings = np.array([0, 0, -1, 0, 1, 1])
    precisions, recalls = metrics.b_cubed_items(clusters, rings)
    assert precisions.tolist() == pytest.approx([2 / 3, 2 / 3, math.nan, 1, 1, 1], nan_ok=True)
    assert recalls.tolist() == pytest.approx([2 / 3, 2 / 3, math.nan, 1 / 3, 1, 1], nan_ok=True)
    only_second = metrics.b_cubed(clusters, rings, rings == 1)
    assert (only_second.precision, only_second.recall, only_second.organizations) == (1, 1, 2)


def test_two_unlisted_organizations_are_not_one_cluster() -> None:
    together = metrics.b_cubed(np.array([-1, -1]), np.array([0, 0]))
    assert (together.precision, together.recall) == (1, 0.5)


def test_a_ring_is_together_when_half_of_it_shares_a_cluster() -> None:
    rings = np.array([0] * 8 + [1] * 8 + [2] * 7 + [-1])
    clusters = np.array([1] * 4 + [-1] * 4 + [2] * 3 + [3] * 3 + [-1] * 2 + [4] * 7 + [1])
    assert metrics.rings_together(clusters, rings) == {0: True, 1: False}
    assert metrics.rings_together(clusters, rings, at_least=7)[2]


def test_unlisted_members_do_not_make_a_ring_found() -> None:
    assert metrics.rings_together(np.full(9, -1), np.zeros(9, dtype=np.int64)) == {0: False}


def test_a_ring_is_flagged_when_half_of_it_is() -> None:
    rings = np.array([0] * 8 + [1] * 8 + [-1])
    flagged = np.array([True] * 4 + [False] * 4 + [True] * 3 + [False] * 5 + [True])
    assert metrics.rings_flagged(flagged, rings) == {0: True, 1: False}


def test_equal_risks_are_taken_whole() -> None:
    risks = np.array([90.0, 90, 80, 80, 80, 10])
    abusive = np.array([True, True, True, True, False, True])
    full, loose, hopeless = metrics.recall_at_precision(risks, abusive, [1.0, 0.8, 0.999])
    assert (full.recall, full.threshold, full.flagged) == (2 / 5, 90, 2)
    # All six hold 5 abusive: .833, so the lowest threshold wins although the one above it is lower.
    assert (loose.recall, loose.threshold, loose.flagged) == (1, 10, 6)
    assert hopeless.recall == 2 / 5


def test_a_precision_nobody_reaches_gives_no_threshold() -> None:
    (answer,) = metrics.recall_at_precision(np.array([5.0, 5.0]), np.array([True, False]), [0.9])
    assert (answer.recall, answer.threshold, answer.flagged) == (0, None, 0)


def test_exact_precision_survives_floating_point() -> None:
    risks = np.full(100, 7.0)
    abusive = np.arange(100) != 0
    assert metrics.recall_at_precision(risks, abusive, [0.99])[0].recall == 1


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=60))
def test_recall_at_precision_agrees_with_trying_every_threshold(rows: list[tuple[int, bool]]) -> None:
    risks = np.array([float(r) for r, _ in rows])
    abusive = np.array([a for _, a in rows])
    for answer in metrics.recall_at_precision(risks, abusive, [0.5, 0.75, 1.0]):
        best = 0.0
        for threshold in set(risks.tolist()):
            picked = risks >= threshold
            if abusive[picked].mean() >= answer.precision and abusive.any():
                best = max(best, float(abusive[picked].sum() / abusive.sum()))
        assert answer.recall == pytest.approx(best)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=60))
def test_auc_agrees_with_sklearn(rows: list[tuple[int, bool]]) -> None:
    scores = np.array([float(s) for s, _ in rows])
    abusive = np.array([a for _, a in rows])
    got = metrics.auc(scores, abusive)
    if abusive.all() or not abusive.any():
        assert math.isnan(got)
    else:
        assert got == pytest.approx(roc_auc_score(abusive, scores))


@given(st.integers(1, 400), st.data())
def test_clopper_pearson_bounds_leave_the_stated_tails(total: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, total))
    share = metrics.clopper_pearson(hits, total)
    assert share.low <= share.value <= share.high
    if hits:
        assert binom.sf(hits - 1, total, share.low) == pytest.approx(0.025, rel=1e-6)
    if hits < total:
        assert binom.cdf(hits, total, share.high) == pytest.approx(0.025, rel=1e-6)


def test_clopper_pearson_at_its_edges() -> None:
    assert metrics.clopper_pearson(0, 10).low == 0
    assert metrics.clopper_pearson(10, 10).high == 1
    assert metrics.clopper_pearson(10, 10).low == pytest.approx(0.025 ** (1 / 10))
    assert math.isnan(metrics.clopper_pearson(0, 0).value)


def test_bootstrap_over_clusters_is_wider_than_over_members_and_repeatable() -> None:
    hits = np.repeat([True, True, True, False], 50)
    by_cluster = metrics.cluster_bootstrap(hits, np.repeat(np.arange(4), 50), seed=1)
    by_member = metrics.cluster_bootstrap(hits, np.full(200, -1), seed=1)
    assert by_cluster.value == by_member.value == 0.75
    assert by_cluster.high - by_cluster.low > 2 * (by_member.high - by_member.low)
    assert by_cluster == metrics.cluster_bootstrap(hits, np.repeat(np.arange(4), 50), seed=1)


def test_bootstrap_of_nothing() -> None:
    none = metrics.cluster_bootstrap(np.array([], dtype=bool), np.array([], dtype=np.int64), seed=1)
    assert (none.hits, none.total) == (0, 0)
    assert math.isnan(none.low)


def test_sizes_of_clusters() -> None:
    assert metrics.cluster_sizes(np.array([3, -1, 3, 8])).tolist() == [2, 0, 2, 1]
