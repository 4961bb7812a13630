"""Training: labels move the card where they speak, few and wrong ones hardly do, and a worse card is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from detection.fitting import bins_of, fit, names, reached, steps_of, weights_of
from detection.scorecards import Scorecards, Trained, admission_with
from detection.scoring import SIZE, Scorecard, shipped
from detection.settings import AdmissionSettings
from detection.training import Judged, Samples, Training, judge, refit
from graph.errors import RingfenceError
from graph.home import Home

SETTINGS = AdmissionSettings()
SHIPPED = shipped().model_copy(update={"base_points": -120.0})
"""The shipped card, for worlds in which only one signal and the size speak."""
TOLD = "trial_burn"
"""The signal that tells abusive clusters in the worlds drawn here."""


def drawn(seed: int, clusters: int = 300, *, wrong: float = 0.0, abusive_share: float = 0.3) -> Samples:
    """Clusters by seed: abusive ones show `TOLD` and are larger, every other signal is quiet. Some labels are wrong."""
    dice = np.random.default_rng(seed)
    abusive = dice.random(clusters) < abusive_share
    values = dice.uniform(0, 0.09, (clusters, len(names())))
    values[:, names().index(TOLD)] = np.clip(dice.normal(np.where(abusive, 0.8, 0.15), 0.1), 0, 1)
    values[:, names().index(SIZE)] = np.where(
        abusive, dice.integers(5, 40, clusters), dice.integers(2, 6, clusters)
    )
    said = abusive ^ (dice.random(clusters) < wrong)
    return Samples(values, said, np.ones(clusters), {})


def points(card: Scorecard, signal: str, value: float) -> float:
    return max((one.points for one in card.bins.get(signal, ()) if one.at_least <= value), default=0.0)


def test_weights_and_bins_are_two_forms_of_the_same() -> None:
    steps = steps_of(shipped())
    again = bins_of(weights_of(shipped(), steps), steps)
    assert again == {
        name: [one.model_dump() for one in bins] for name, bins in shipped().bins.items() if name in names()
    }


def test_what_is_usual_reaches_no_step() -> None:
    values = np.full((1, len(names())), 0.3)
    steps = [step for step in steps_of() if step.signal == TOLD]
    assert reached(values, {}, steps).tolist() == [[1, 1, 0, 0, 0]]
    assert reached(values, {TOLD: 0.2}, steps).tolist() == [[1, 1, 0, 0, 0]]
    assert reached(values, {TOLD: 0.25}, steps).tolist() == [[0, 0, 0, 0, 0]]


def test_a_fit_finds_what_tells_and_gives_nothing_to_what_does_not() -> None:
    samples = drawn(1)
    steps = steps_of()
    found = fit(reached(samples.values, {}, steps), samples.abusive, samples.weight)
    gained = {step.signal: 0.0 for step in steps}
    for step, weight in zip(steps, found.weights, strict=True):
        gained[step.signal] += weight
    assert max(gained, key=lambda name: gained[name]) == TOLD
    assert (found.weights >= 0).all()


@pytest.mark.parametrize("seed", range(3))
def test_a_refit_is_no_worse_and_stays_monotone(seed: int) -> None:
    training = refit(drawn(seed), SHIPPED, SETTINGS, "v0001", SHIPPED)
    assert training.worse == []
    assert training.new.loss < training.old.loss
    assert training.card.version == "v0001"
    assert points(training.card, TOLD, 0.9) > points(shipped(), TOLD, 0.9)


@pytest.mark.parametrize("seed", range(3))
def test_wrong_labels_hardly_move_it(seed: int) -> None:
    """Every twentieth label flipped: of the clusters above the threshold no more are wrong than before."""
    truth = drawn(seed + 50, 2_000)
    clean = refit(drawn(seed, 400), SHIPPED, SETTINGS, "v0001", SHIPPED).card
    poisoned = refit(drawn(seed, 400, wrong=0.05), SHIPPED, SETTINGS, "v0001", SHIPPED).card
    precision = [judge(card, truth, truth, 70).precision for card in (clean, poisoned)]
    assert abs((precision[0] or 1) - (precision[1] or 1)) <= 0.002


def test_few_labels_hardly_move_it() -> None:
    few, many = (refit(drawn(4, clusters), SHIPPED, SETTINGS, "v", SHIPPED) for clusters in (90, 900))
    before = points(shipped(), TOLD, 0.9)
    assert points(few.card, TOLD, 0.9) - before < points(many.card, TOLD, 0.9) - before


def test_a_signal_that_reads_labels_is_left_as_it_is() -> None:
    samples = drawn(5)
    if "known_bad_tie" not in names():
        pytest.skip("there is no such signal")
    samples.values[:, names().index("known_bad_tie")] = samples.abusive
    card = refit(samples, SHIPPED, SETTINGS, "v0001", SHIPPED).card
    assert card.bins.get("known_bad_tie") == shipped().bins.get("known_bad_tie")


def test_labels_against_the_score_raise_the_threshold() -> None:
    """Where many a cluster of high risk is legitimate, nobody is acted on at a risk at which that was so."""
    samples = drawn(6, 400)
    liars = drawn(7, 400, abusive_share=1.0)
    honest = Samples(
        np.concatenate([samples.values, liars.values]),
        np.concatenate([samples.abusive, np.zeros(400, dtype=np.bool_)]),
        np.ones(800),
        {},
    )
    order = np.random.default_rng(1).permutation(800)
    mixed = Samples(honest.values[order], honest.abusive[order], honest.weight, {})
    steep = shipped().model_copy(update={"base_points": 0.0})
    card = refit(mixed, steep, SETTINGS, "v0001", steep).card
    assert card.threshold is not None
    assert card.threshold > 70
    assert admission_with(SETTINGS, card).member_risk == card.threshold
    assert admission_with(SETTINGS, shipped()) == SETTINGS


@pytest.mark.parametrize("abusive_share", [0.0, 0.02, 1.0])
def test_too_few_labels_are_said(abusive_share: float) -> None:
    with pytest.raises(RingfenceError, match="of each are needed") as few:
        refit(drawn(1, 100, abusive_share=abusive_share), SHIPPED, SETTINGS, "v0001", SHIPPED)
    assert few.value.exit_code == 3


def test_what_is_worse_is_named() -> None:
    good = Judged(0.1, 0.99, 1.0, 0.9, 70)
    bad = Judged(0.2, 0.98, 0.5, 0.9, 70)
    assert Training(shipped(), good, good, {}).worse == []
    assert Training(shipped(), bad, good, {}).worse == []
    assert len(Training(shipped(), good, bad, {}).worse) == 3


def trained(version: str) -> Trained:
    return Trained(
        scorecard=shipped().model_copy(update={"version": version}),
        trained_at=datetime(2026, 3, 1, tzinfo=UTC),
        run_id="run_x",
        based_on=shipped().version,
        replaced="shipped",
        labels={},
        old={},
        new={},
        forced=False,
    )


def test_versions_are_kept_and_can_be_gone_back_to(tmp_path: Path) -> None:
    cards = Scorecards(Home(tmp_path))
    assert (cards.active_version(), cards.active(), cards.next_version()) == ("shipped", shipped(), "v0001")
    cards.add(trained("v0001"))
    cards.add(trained("v0002"))
    assert (cards.active_version(), cards.active().version, cards.next_version()) == (
        "v0002",
        "v0002",
        "v0003",
    )
    cards.use("v0001")
    assert cards.active().version == "v0001"
    cards.use("shipped")
    assert cards.active() == shipped()
    assert [each.scorecard.version for each in cards.all()] == ["v0001", "v0002"]
    for unknown in ("v0009", "../v0001", ""):
        with pytest.raises(RingfenceError, match="there is no scorecard"):
            cards.use(unknown)


def test_a_damaged_scorecard_is_said(tmp_path: Path) -> None:
    cards = Scorecards(Home(tmp_path))
    cards.add(trained("v0001"))
    (tmp_path / "scorecards" / "v0001.json").write_bytes(b"{}")
    with pytest.raises(RingfenceError, match="cannot be read"):
        cards.active()
