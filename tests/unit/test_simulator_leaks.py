"""Nothing but behaviour may tell an abuser: no order of identifiers, no clock, no user agent, no spelling."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from sim.campaigns import Campaign, simulate

ORGANIZATIONS = 12_000
SEEDS = (1, 2, 3)
BAND = 0.06
"""Allowed distance from an AUC of one half: four standard errors with some 600 abusive organizations."""
JUNK = {"unknown", "null", "00000000-0000-0000-0000-000000000000"}
INVISIBLE = re.compile("[\u200b\u200c\u2060\u00ad]")


class Case(NamedTuple):
    """Events in file order as arrays of Python values, and for each organization whether it is abusive."""

    columns: dict[str, list[object]]
    micros: npt.NDArray[np.int64]
    campaign: dict[str, int]

    def auc(self, by_organization: dict[str, float]) -> float:
        """How well a number of each organization separates the classes."""
        abusive = [self.campaign[org] >= 0 for org in by_organization]
        return float(roc_auc_score(abusive, list(by_organization.values())))

    def first(self, values: list[object]) -> dict[str, object]:
        """Each organization's first value that is there, in file order."""
        found: dict[str, object] = {}
        for org, value in zip(self.columns["org_id"], values, strict=True):
            if value is not None and org not in found:
                found[str(org)] = value
        return found


@pytest.fixture(
    scope="module", params=[(seed, "plain") for seed in SEEDS] + [(1, "mimic"), (1, "rotate")], ids=str
)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    seed, difficulty = request.param
    out: Path = tmp_path_factory.mktemp("leaks")
    done = simulate(Campaign(organizations=ORGANIZATIONS, seed=seed, difficulty=difficulty), out)
    names = ["event_id", "org_id", "user_id", "device_id", "api_key", "payment_method", "user_agent"]
    names += ["email", "phone", "org_name", "event_type", "payout_id", "referral_code", "tls_fingerprint"]
    events = pq.read_table(done.events_path)
    truth = pq.read_table(done.truth_path).to_pydict()
    micros = pc.cast(events["occurred_at"], "int64").to_numpy()
    columns = {name: events[name].to_pylist() for name in names}
    return Case(columns, micros, dict(zip(truth["org_id"], truth["campaign"], strict=True)))


def near_half(auc: float, band: float = BAND) -> bool:
    return abs(auc - 0.5) < band


def as_number(text: str) -> float:
    digits = re.sub(r"^[a-z]+[_-]", "", text).replace("-", "")
    return float(int(digits[:13], 16))


@pytest.mark.parametrize(
    "column", ["org_id", "user_id", "event_id", "api_key", "device_id", "payment_method"]
)
def test_no_order_of_identifiers_gives_an_abuser_away(case: Case, column: str) -> None:
    abusive: dict[float, bool] = {}
    for org, value in zip(case.columns["org_id"], case.columns[column], strict=True):
        if value is not None and value not in JUNK:
            # One row a value: members of a ring share cards, and a card has one number.
            abusive.setdefault(as_number(str(value)), case.campaign[str(org)] >= 0)
    bad = sum(abusive.values())
    error = np.sqrt((len(abusive) + 1) / (12 * bad * (len(abusive) - bad)))
    assert near_half(float(roc_auc_score(list(abusive.values()), list(abusive))), 4 * error)


def test_neither_microseconds_nor_seconds_of_the_first_event_do(case: Case) -> None:
    first = case.first(list(case.micros))
    micros = {org: int(str(at)) for org, at in first.items()}
    for digits in (10, 1000, 1_000_000, 60_000_000):
        assert near_half(case.auc({org: float(at % digits) for org, at in micros.items()}))


def test_every_clock_has_all_its_digits(case: Case) -> None:
    last = Counter((case.micros % 10).tolist())
    assert max(last.values()) < 1.1 * min(last.values())
    assert abs(np.mean(case.micros % 1_000_000) / 1_000_000 - 0.5) < 0.01


def test_events_are_in_order_of_time_and_nothing_else(case: Case) -> None:
    assert (np.diff(case.micros) >= 0).all()
    minute = case.micros // 60_000_000
    starts = np.searchsorted(minute, minute, side="left")
    ends = np.searchsorted(minute, minute, side="right")
    place = (np.arange(len(minute)) - starts) / np.maximum(ends - starts - 1, 1)
    first = case.first(
        [float(value) if crowd > 5 else None for value, crowd in zip(place, ends - starts, strict=True)]
    )
    assert near_half(case.auc({org: float(str(value)) for org, value in first.items()}))


def test_a_user_agent_learned_from_other_rings_says_nothing(case: Case) -> None:
    agents = [
        value if kind == "organization_created" else None
        for value, kind in zip(case.columns["user_agent"], case.columns["event_type"], strict=True)
    ]
    first = {org: str(agent) for org, agent in case.first(agents).items()}
    groups = {
        org: case.campaign[org] if case.campaign[org] >= 0 else zlib.crc32(org.encode()) for org in first
    }
    rates: dict[str, float] = {}
    for fold in range(5):
        seen = [(agent, case.campaign[org] >= 0) for org, agent in first.items() if groups[org] % 5 != fold]
        base = sum(bad for _, bad in seen) / len(seen)
        bad, total = Counter(agent for agent, bad in seen if bad), Counter(agent for agent, _ in seen)
        for org, agent in first.items():
            if groups[org] % 5 == fold:
                # What a fold's own base rate adds is taken out: it depends on the rings that were left out.
                rates[org] = (bad[agent] + 20 * base) / (total[agent] + 20) - base
    assert near_half(case.auc(rates))


def test_every_user_agent_of_abusers_is_used_by_others_too(case: Case) -> None:
    users: dict[bool, set[object]] = {True: set(), False: set()}
    for org, agent in zip(case.columns["org_id"], case.columns["user_agent"], strict=True):
        users[case.campaign[str(org)] >= 0].add(agent)
    assert users[True] <= users[False]


def shape(text: str) -> str:
    """Digits as 0, hex letters and others as a: what an identifier looks like."""
    return (
        re.sub("[a-z]+", "a", re.sub("[0-9]+", "0", text.lower()))
        if "@" in text
        else re.sub("[0-9a-f]", "x", text)
    )


@pytest.mark.parametrize(
    "column", ["org_id", "user_id", "event_id", "api_key", "device_id", "payment_method"]
)
def test_opaque_identifiers_of_both_classes_look_alike(case: Case, column: str) -> None:
    shapes: dict[bool, set[str]] = {True: set(), False: set()}
    for org, value in zip(case.columns["org_id"], case.columns[column], strict=True):
        if value is not None:
            shapes[case.campaign[str(org)] >= 0].add(shape(str(value)))
    assert shapes[True] <= shapes[False]


@pytest.mark.parametrize("column", ["phone", "org_name", "tls_fingerprint", "referral_code", "payout_id"])
def test_spelling_and_length_of_other_values_do_not_separate(case: Case, column: str) -> None:
    values = {True: Counter[int](), False: Counter[int]()}
    for org, value in case.first(case.columns[column]).items():
        values[case.campaign[org] >= 0][len(INVISIBLE.sub("", str(value)))] += 1
    usual = {length for length, count in values[False].items() if count}
    strange = sum(count for length, count in values[True].items() if length not in usual)
    assert strange <= 0.01 * max(1, values[True].total())
