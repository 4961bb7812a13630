"""Admission: every rule on a minimal case, and every reason for which somebody is spared."""

from __future__ import annotations

from pathlib import Path

import pytest
from suspects import Case, ring

from detection import admission
from detection.settings import AdmissionSettings, SourceSettings

FIRST = 0


def test_whoever_comes_to_a_ring_by_its_own_act_with_two_types_of_tie_is_actionable(tmp_path: Path) -> None:
    found = ring().reasons(tmp_path)
    assert [org for org, reason in found.items() if reason is None] == [1, 2, 3, 4, 5]


def test_whoever_used_a_device_first_may_be_its_victim(tmp_path: Path) -> None:
    # of the phone both sides proved control, so that counts for the first one, too; of the device nobody did
    assert ring().reasons(tmp_path)[FIRST] == admission.ONE_TYPE


def test_an_attested_device_counts_for_both(tmp_path: Path) -> None:
    case = ring().prove("device", "ring-device", *range(6))
    assert case.reasons(tmp_path)[FIRST] is None


def test_addresses_devices_and_consumers_are_one_type(tmp_path: Path) -> None:
    case = Case(6)
    for kind in ("ip", "device", "consumer"):
        case.use(kind, kind, *range(6))
    assert set(case.reasons(tmp_path).values()) == {admission.ONE_TYPE, admission.FORGEABLE}


def test_forged_ties_count_for_nothing_against_their_victim(tmp_path: Path) -> None:
    victim = 6
    case = ring()
    case.members = 7
    for kind in ("mailbox", "phone", "device", "name"):
        case.use(kind, f"its {kind}", victim, 1, 2, 3, 4, at=-1)
    case.use("referral_code", "its code", victim, 1, 2, 3, at=-1)
    case.redeemed = [(org, victim, "its code") for org in (1, 2, 3)]
    found = case.reasons(tmp_path)
    assert found.pop(victim) == admission.FORGEABLE
    assert found[1] is None


def test_what_only_its_victim_proved_counts_for_nothing_whoever_typed_it_first(tmp_path: Path) -> None:
    victim = 6
    case = ring()
    case.members = 7
    for kind in ("mailbox", "phone"):
        case.use(kind, f"its {kind}", 1, 2, 3, victim).prove(kind, f"its {kind}", victim, at=1)
    assert case.reasons(tmp_path)[victim] == admission.FORGEABLE


def test_what_another_proved_counts_for_whoever_came_to_it_and_what_nobody_proved_does_not(
    tmp_path: Path,
) -> None:
    case = _unproven()
    assert case.reasons(tmp_path)[3] is None
    assert case.classes(tmp_path) == {}
    case.proofs = []
    assert case.reasons(tmp_path)[3] == admission.ONE_TYPE


def test_what_most_who_use_it_do_not_share_the_suspicion_of_is_a_place(tmp_path: Path) -> None:
    case = (
        ring()
        .use("phone", "ring-phone", *range(6, 20), at=1)
        .use("device", "ring-device", *range(6, 20), at=1)
    )
    assert set(case.reasons(tmp_path).values()) == {admission.FORGEABLE}


def test_a_phone_counts_as_proven_only_by_the_word_of_a_source_that_verifies(tmp_path: Path) -> None:
    def with_sources(**sources: SourceSettings) -> dict[int, str | None]:
        case = ring()
        case.proofs = [(org, "crm", proof, key, at) for org, _, proof, key, at in case.proofs]
        return case.reasons(tmp_path, sources=sources)

    assert with_sources(crm=SourceSettings(verifies=("phone",)))[2] is None
    assert with_sources(crm=SourceSettings(verifies=("email",)))[2] == admission.ONE_TYPE
    assert with_sources(other=SourceSettings(verifies=("phone",)))[2] == admission.ONE_TYPE


def test_a_domain_is_proven_between_those_who_verified_mailboxes_at_it(tmp_path: Path) -> None:
    case = (
        Case(4).use("email_domain", "ring.example", *range(4)).prove("email_domain", "ring.example", 0, 1, 2)
    )
    assert case.classes(tmp_path) == {(org, "ring.example"): "verified" for org in (0, 1, 2)}


# Payment methods


def _card(settled: tuple[int, ...], at: float = 1.0) -> Case:
    case = Case(6).use("payment_method", "card", *range(6)).use("device", "d", *range(6))
    return case.prove("settled", "card", *settled, at=at)


def test_a_card_is_proven_for_who_settles_on_it_without_having_been_the_first(tmp_path: Path) -> None:
    assert _card((0, 1, 2)).classes(tmp_path) == {(1, "card"): "verified", (2, "card"): "verified"}


@pytest.mark.parametrize("what", ["disputed", "refunded"])
def test_what_was_taken_back_proves_nothing(tmp_path: Path, what: str) -> None:
    case = _card((1, 2)).prove(what, "card", 1, at=9)
    assert case.classes(tmp_path) == {(2, "card"): "verified"}


def test_an_invoice_that_names_no_method_is_on_the_latest_one(tmp_path: Path) -> None:
    case = _card(()).use("payment_method", "newer", 2, 3, at=5)
    case.prove("settled", None, 2, at=1).prove("settled", None, 3, at=6)
    assert case.classes(tmp_path) == {(2, "card"): "verified", (3, "newer"): "verified"}


def test_the_victim_of_a_stolen_card_is_spared(tmp_path: Path) -> None:
    victim = 6
    case = ring().use("payment_method", "its card", victim, 1, 2, 3).prove("settled", "its card", victim, 1)
    case.members = 7
    assert case.reasons(tmp_path)[victim] == admission.FORGEABLE
    later = (
        ring().use("payment_method", "its card", 1, 2, 3, victim).prove("settled", "its card", victim, at=1)
    )
    later.members = 7
    assert later.reasons(tmp_path)[victim] == admission.ONE_TYPE


# Mutual evidence


def test_a_consumer_that_sends_most_of_both_is_mutual_and_a_tool_of_many_is_not(tmp_path: Path) -> None:
    sent = {0: 11, 1: 12, 2: 30, 3: 100, 4: 100, 5: 100}  # a consumer sends ten of each one's
    seller = Case(6, inference=sent).use("consumer", "seller", 0, 1, 2)
    assert seller.classes(tmp_path) == {(0, "seller"): "mutual", (1, "seller"): "mutual"}
    tool = Case(6, inference=sent).use("consumer", "tool", *range(6))
    assert tool.classes(tmp_path) == {}


def test_redemptions_in_both_directions_are_mutual_and_a_reward_is_not(tmp_path: Path) -> None:
    case = Case(3).use("referral_code", "of 0", 0, 1, 2).use("referral_code", "of 1", 1, 0)
    case.redeemed = [(1, 0, "of 0"), (2, 0, "of 0"), (0, 1, "of 1")]
    assert case.classes(tmp_path) == {(1, "of 0"): "mutual", (0, "of 1"): "mutual"}


def test_a_referral_counts_for_who_redeemed_though_one_event_says_it_of_both(tmp_path: Path) -> None:
    case = ring().use("referral_code", "code", *range(6), step=0)
    case.redeemed = [(org, 0, "code") for org in range(1, 6)]
    case.proofs = []
    case.uses = [use for use in case.uses if use[1] != "phone"]
    found = case.reasons(tmp_path)
    assert found == {0: admission.FORGEABLE, **dict.fromkeys(range(1, 6))}


# Survival


def test_a_member_that_two_identifiers_tie_to_two_strangers_of_the_ring_is_not_held(tmp_path: Path) -> None:
    case = ring()
    case.members = 9
    case.use("device", "d9", 7, 6).use("mailbox", "m9", 8, 6).prove("mailbox", "m9", 8)
    found = case.reasons(tmp_path)
    assert found[6] == admission.SINGLE
    assert found[1] is None


def test_three_have_to_hold_together(tmp_path: Path) -> None:
    pair = Case(2)
    for kind in ("phone", "mailbox"):
        pair.use(kind, kind, 0, 1).prove(kind, kind, 0, 1)
    assert set(pair.reasons(tmp_path).values()) == {admission.SINGLE}
    assert set(pair.reasons(tmp_path, AdmissionSettings(min_attached=2)).values()) == {None}


def test_types_can_be_asked_to_survive_the_loss_of_an_identifier(tmp_path: Path) -> None:
    case = _unproven()
    assert case.reasons(tmp_path, AdmissionSettings(types_left=2))[3] == admission.ONE_LOSS
    case.use("name", "n", *range(6))
    assert case.reasons(tmp_path, AdmissionSettings(types_left=2))[3] is None


def test_what_only_looks_alike_ties_nobody(tmp_path: Path) -> None:
    case = Case(4).use("payment_bin", "b", *range(4))
    assert set(case.reasons(tmp_path).values()) == {admission.NO_TIE}


# Nothing proven: disposable organizations only


def _unproven() -> Case:
    """A ring of whose ties none is proven for more than one side."""
    return Case(6).use("mailbox", "m", *range(6)).prove("mailbox", "m", 0).use("device", "d", *range(6))


def test_of_whom_nothing_is_proven_must_behave_like_the_ring(tmp_path: Path) -> None:
    case = _unproven()
    case.shown = {4: 0.2}
    assert case.reasons(tmp_path)[4] == admission.BEHAVIOUR


def test_of_whom_nothing_is_proven_must_have_come_with_the_ring(tmp_path: Path) -> None:
    case = _unproven()
    case.members = 12
    case.use("mailbox", "m", *range(6, 12), at=1).use("device", "d", *range(6, 12), at=1)
    case.created = {4: -30.0}
    found = case.reasons(tmp_path)
    assert (found[4], found[5]) == (admission.WINDOW, None)


def test_whoever_is_held_to_those_only_who_behave_otherwise_is_spared(tmp_path: Path) -> None:
    case = ring(5)
    case.members = 10
    others = range(5, 10)
    case.use("device", "office", *others).use("phone", "office", *others).prove("phone", "office", *others)
    case.shown = dict.fromkeys(others, 0.1)
    found = case.reasons(tmp_path)
    assert (found[1], found[7]) == (None, admission.COMPANY)


# Risk, people's word, and groups


def test_only_candidates_are_company(tmp_path: Path) -> None:
    case = ring()
    case.risk = dict.fromkeys((1, 2, 3), 10.0)
    case.protected, case.legitimate = (4,), (5,)
    assert case.reasons(tmp_path) == {0: admission.NO_TIE}


def test_a_cluster_below_the_threshold_has_no_candidates(tmp_path: Path) -> None:
    case = ring()
    case.cluster_risk = 20
    assert case.reasons(tmp_path) == {}


def test_a_legitimate_operator_and_what_may_be_chance_are_spared(tmp_path: Path) -> None:
    operated, chance = ring(), ring()
    operated.operator, chance.q_value = True, 0.3
    assert set(operated.reasons(tmp_path).values()) == {admission.OPERATOR}
    assert set(chance.reasons(tmp_path).values()) == {admission.CHANCE}


# Independent life


def _late(first: float = 10.0) -> Case:
    """A ring whose last member (5) is tied to it only from a day on."""
    case = ring(5)
    case.members = 6
    case.use("device", "ring-device", 5, at=first).use("phone", "ring-phone", 5, at=first)
    return case.prove("phone", "ring-phone", 5, at=first)


def test_the_late_one_is_actionable_without_a_life_of_its_own(tmp_path: Path) -> None:
    assert _late().reasons(tmp_path)[5] is None


@pytest.mark.parametrize(("at", "spared"), [(6.9, True), (7.1, False), (11.0, False)])
def test_an_invoice_counts_when_it_was_settled_three_days_before_the_tie(
    tmp_path: Path, at: float, spared: bool
) -> None:
    case = _late().use("payment_method", "own card", 5, at=1).prove("settled", "own card", 5, at=at)
    assert case.reasons(tmp_path)[5] == (admission.PAID if spared else None)


def test_an_invoice_on_a_card_that_others_had_used_or_that_was_disputed_counts_for_nothing(
    tmp_path: Path,
) -> None:
    case = _late().use("payment_method", "card", 2, 5, at=1).prove("settled", "card", 5, at=3)
    assert case.reasons(tmp_path)[5] is None
    stolen = _late().use("payment_method", "card", 5, at=1).use("payment_method", "card", 2, at=5)
    stolen.prove("settled", "card", 5, at=3)
    assert stolen.reasons(tmp_path)[5] == admission.PAID
    assert stolen.prove("disputed", "card", 5, at=4).reasons(tmp_path)[5] is None


@pytest.mark.parametrize(
    ("days", "spared"), [((2.0, 9.5), True), ((4.0, 9.5), False), ((4.0, 9.5, 12.0), False), ((), False)]
)
def test_genuine_client_use_has_to_span_a_week_before_the_tie(
    tmp_path: Path, days: tuple[float, ...], spared: bool
) -> None:
    case = _late()
    for day in days:
        case.prove("client", None, 5, at=day)
    assert case.reasons(tmp_path)[5] == (admission.CLIENT if spared else None)


def test_a_contact_counts_when_verified_in_time_and_nobody_else_has_it(tmp_path: Path) -> None:
    own = _late().prove("mailbox", "own", 5, at=2)
    assert own.reasons(tmp_path)[5] == admission.CONTACT
    typed = _late().use("mailbox", "own", 5, at=2).use("mailbox", "own", 1, 2, at=4)
    assert typed.prove("mailbox", "own", 5, at=2).reasons(tmp_path)[5] == admission.CONTACT
    shared = _late().use("mailbox", "own", 5, at=2).use("mailbox", "own", 1, 2, at=4)
    assert shared.prove("mailbox", "own", 5, 1, at=2).reasons(tmp_path)[5] is None
    late = _late().prove("mailbox", "own", 5, at=8)
    assert late.reasons(tmp_path)[5] is None


def test_every_reason_is_known(tmp_path: Path) -> None:
    assert len(set(admission.REASONS)) == len(admission.REASONS)
    assert set(ring().reasons(tmp_path).values()) - {None} <= set(admission.REASONS)
