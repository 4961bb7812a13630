"""What rings do to those whom they frame is in the events, in every way, and nothing of it is the victim's doing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest

from sim.campaigns import Campaign, simulate
from sim.victims import METHODS, VICTIMS

EACH = 3
JUNK = {"unknown", "null", "0.0.0.0", "+10000000000", "00000000-0000-0000-0000-000000000000"}  # noqa: S104


class World(NamedTuple):
    """Events by organization, and the truth by organization."""

    events: dict[str, list[dict[str, Any]]]
    truth: dict[str, dict[str, Any]]

    def victims(self, ending: str) -> list[str]:
        return [org for org, row in self.truth.items() if row["framing"].endswith(ending)]

    def values(self, org: str, column: str, *types: str) -> set[Any]:
        rows = (row for row in self.events[org] if not types or row["event_type"] in types)
        return {row[column] for row in rows} - {None, *JUNK}

    def culprits(self, column: str, values: set[Any], *types: str) -> set[str]:
        """Members of rings with such events."""
        return {
            org
            for org, rows in self.events.items()
            if self.truth[org]["campaign"] >= 0
            for row in rows
            if row[column] in values and (not types or row["event_type"] in types)
        }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    count = EACH * len(VICTIMS) * len(METHODS)
    made = simulate(
        Campaign(organizations=2_500, seed=106, framed_victims=count), tmp_path_factory.mktemp("framing")
    )
    columns = [
        "org_id",
        "event_type",
        "occurred_at",
        "email",
        "phone",
        "device_id",
        "api_key",
        "payment_method",
    ]
    columns += ["ip", "referral_code", "referrer_org_id", "other_org_id"]
    events: dict[str, list[dict[str, Any]]] = {}
    for row in pq.read_table(made.events_path, columns=columns).to_pylist():
        events.setdefault(row["org_id"], []).append(row)
    truth = {row["org_id"]: row for row in pq.read_table(made.truth_path).to_pylist()}
    return World(events, truth)


def test_every_kind_is_framed_in_every_way_and_the_truth_says_how(world: World) -> None:
    counts = Counter(row["framing"] for row in world.truth.values() if row["framed"])
    assert counts == {f"{kind}: {method}": EACH for kind in VICTIMS for method in METHODS}
    assert all(bool(row["framing"]) is row["framed"] for row in world.truth.values())
    assert all(row["campaign"] < 0 for row in world.truth.values() if row["framed"])


@pytest.mark.parametrize(("method", "count"), [("1 forged tie", 1), ("10 forged ties", 8)])
def test_forged_ties_are_typed_by_others(world: World, method: str, count: int) -> None:
    tied = Counter[str]()
    for org in world.victims(f": {method}"):
        for column in ("email", "phone", "device_id"):
            tied[org] += len(world.culprits(column, world.values(org, column)))
        tied[org] += len(world.culprits("referrer_org_id", {org}, "referral_redeemed"))
    assert sorted(tied.values())[len(tied) // 2] >= count
    verified = [world.values(org, "phone", "phone_verified") for org in world.victims(f": {method}")]
    assert not any(world.culprits("phone", phones, "phone_verified") for phones in verified)


def test_stolen_cards_are_used_and_settled_on_by_members(world: World) -> None:
    for org in world.victims(": stolen card"):
        cards = world.values(org, "payment_method")
        if not world.truth[org]["framing"].startswith(("aged", "new", "client", "api")):
            assert cards, "who pays has a card"
        if cards:
            assert len(world.culprits("payment_method", cards, "payment_method_added")) >= 3
            assert world.culprits("payment_method", cards, "invoice_paid")


def test_leaked_keys_carry_calls_from_the_rings_machines(world: World) -> None:
    reached = 0
    for org in world.victims(": leaked key"):
        machines = world.values(org, "ip", "inference")
        reached += bool(world.culprits("ip", machines, "inference"))
        assert len(world.values(org, "api_key", "inference")) <= 2
    assert reached > 0.8 * len(world.victims(": leaked key"))


def test_traffic_of_members_leaves_through_the_victims_address(world: World) -> None:
    for org in world.victims(": traffic through its address"):
        assert world.culprits("ip", world.values(org, "ip"), "session_started")


def test_rewards_come_from_redemptions_of_members(world: World) -> None:
    for org in world.victims(": unsolicited rewards"):
        earned = world.values(org, "other_org_id", "reward_earned")
        assert world.culprits("referrer_org_id", {org}, "referral_redeemed") == {
            other for other in earned if world.truth[other]["campaign"] >= 0
        }
        assert len(earned) >= 3


def test_a_victim_lives_by_itself_before_it_is_framed(world: World) -> None:
    for org in world.victims(": stolen card"):
        if world.truth[org]["framing"].startswith("paying"):
            own = min(row["occurred_at"] for row in world.events[org] if row["event_type"] == "invoice_paid")
            cards = world.values(org, "payment_method")
            used = [
                row["occurred_at"]
                for other in world.culprits("payment_method", cards)
                for row in world.events[other]
                if row["payment_method"] in cards
            ]
            assert (min(used) - own).days >= 3


def test_without_victims_nothing_changes(tmp_path: Path) -> None:
    first, second = tmp_path / "one", tmp_path / "two"
    simulate(Campaign(organizations=800, seed=5), first)
    simulate(Campaign(organizations=800, seed=5, framed_victims=0), second)
    assert (first / "events.parquet").read_bytes() == (second / "events.parquet").read_bytes()
    truth = pq.read_table(first / "truth.parquet")
    assert set(truth["framing"].to_pylist()) == {""}
