"""The simulator's promises: reproducible, complete, valid by the event record, and as varied as it says."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from pathlib import Path

import numpy as np
import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from sim.campaigns import Campaign, SimulationSummary, simulate

INVISIBLE = re.compile("[\u200b\u200c\u2060\u00ad]")
JUNK = {"unknown", "null", "0.0.0.0", "+10000000000", "test", "00000000-0000-0000-0000-000000000000"}  # noqa: S104
DIFFICULTIES = ("plain", "mimic", "rotate", "adaptive", "serial")
BYSTANDERS = set(
    "plain_user old cgnat campus office agency hackathon vpn influencer burner api_only gateway ci lab family "  # noqa: SIM905
    "recycled_phone".split()
)
EVENT_TYPES = set(
    "organization_created organization_labelled organization_restricted organization_restored "  # noqa: SIM905
    "organization_protected organizations_not_linked user_added session_started email_verified phone_verified "
    "verification_requested verification_passed verification_failed api_key_created api_key_revoked "
    "payment_method_added payment_failed invoice_paid refunded charge_disputed trial_started promo_redeemed "
    "subscription_cancelled referral_code_issued referral_redeemed reward_earned reward_paid reward_reversed "
    "inference client_telemetry entity_labelled".split()
)
COLUMNS = set(
    "event_id event_type occurred_at org_id user_id ip device_id attested tls_fingerprint user_agent api_key "  # noqa: SIM905
    "payment_method email phone org_name country consumer_id plan program_id promo_code referral_code "
    "referrer_org_id reward_usd payout_id credit_usd credit_used_usd model requests tokens cost_usd status_code "
    "amount_usd currency payment_kind payment_bin action reason other_org_id label label_source entity_type "
    "entity_key".split()
)


class World:
    """A simulated world, read back."""

    def __init__(self, done: SimulationSummary) -> None:
        self.events = pq.read_table(done.events_path)
        self.truth = pq.read_table(done.truth_path).to_pydict()
        self.campaign = dict(zip(self.truth["org_id"], self.truth["campaign"], strict=True))

    def sizes(self) -> Counter[int]:
        return Counter(campaign for campaign in self.truth["campaign"] if campaign >= 0)

    def users_of(self, column: str) -> dict[str, set[str]]:
        """For each value that is not junk, the organizations on it."""
        users: dict[str, set[str]] = {}
        rows = zip(self.events["org_id"].to_pylist(), self.events[column].to_pylist(), strict=True)
        for org, value in rows:
            if value is not None and value not in JUNK:
                users.setdefault(value, set()).add(org)
        return users

    def partners(self, *columns: str) -> dict[str, set[str]]:
        """For each member of a ring, members of its ring with whom it shares a value of the columns."""
        found: dict[str, set[str]] = {org: set() for org, ring in self.campaign.items() if ring >= 0}
        for column in columns:
            for users in self.users_of(column).values():
                for org in users & found.keys():
                    found[org] |= {o for o in users if o != org and self.campaign[o] == self.campaign[org]}
        return found


def make(tmp_path: Path, **settings: object) -> World:
    return World(simulate(Campaign(**settings), tmp_path))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make(tmp_path_factory.mktemp("plain"), organizations=20_000, seed=7)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_the_same_seed_gives_the_same_bytes_and_another_gives_others(tmp_path: Path, difficulty: str) -> None:
    def written(name: str, seed: int) -> tuple[bytes, bytes]:
        campaign = Campaign(organizations=600, seed=seed, difficulty=difficulty)  # type: ignore[arg-type]
        done = simulate(campaign, tmp_path / name)
        return done.events_path.read_bytes(), done.truth_path.read_bytes()

    assert written("one", 1) == written("again", 1)
    assert set(written("one", 1)).isdisjoint(written("other", 2))


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_truth_covers_every_organization_of_the_events_and_no_other(tmp_path: Path, difficulty: str) -> None:
    world = make(tmp_path, organizations=3000, difficulty=difficulty, framed_victims=5)
    assert len(world.campaign) == len(world.truth["org_id"]) == 3000
    seen = set(world.events["org_id"].to_pylist())
    named = set(world.events["referrer_org_id"].to_pylist()) | set(world.events["other_org_id"].to_pylist())
    assert seen == world.campaign.keys()
    assert named - {None} <= seen
    assert sum(campaign >= 0 for campaign in world.truth["campaign"]) == 150
    assert all(
        (campaign < 0) == (level < 0)
        for campaign, level in zip(world.truth["campaign"], world.truth["level"], strict=True)
    )


def test_columns_and_types_are_those_of_the_event_record(plain: World) -> None:
    events = plain.events
    assert set(events.column_names) <= COLUMNS
    assert events.schema.field("occurred_at").type == pa.timestamp("us", "UTC")
    for name in ("event_id", "event_type", "occurred_at", "org_id"):
        assert events[name].null_count == 0
    assert len(pc.unique(events["event_id"])) == len(events)
    types = {INVISIBLE.sub("", name) for name in pc.unique(events["event_type"]).to_pylist()}
    assert types <= EVENT_TYPES
    assert set(pc.unique(events["plan"]).to_pylist()) <= {None, "free", "trial", "paid", "enterprise"}
    kinds = {None, "card", "prepaid", "virtual", "wallet", "bank"}
    assert set(pc.unique(events["payment_kind"]).to_pylist()) <= kinds
    for name in ("cost_usd", "credit_usd", "credit_used_usd", "reward_usd", "amount_usd"):
        assert events.schema.field(name).type == pa.decimal128(18, 6)
        assert pc.min(events[name]).as_py() >= 0


def test_every_column_is_used(plain: World) -> None:
    assert [
        name for name in plain.events.column_names if plain.events[name].null_count == len(plain.events)
    ] == []


def test_events_lie_in_the_window_in_order_of_time(plain: World) -> None:
    at = pc.cast(plain.events["occurred_at"], "int64").to_numpy()
    assert (np.diff(at) >= 0).all()
    assert at[0] >= 1_788_220_800 * 10**6, "the first of September 2026"
    assert at[-1] < (1_788_220_800 + 30 * 86_400) * 10**6


def test_about_twenty_events_an_organization(plain: World) -> None:
    assert 18 < len(plain.events) / 20_000 < 23


def test_identifiers_are_real_ones(plain: World) -> None:
    distinct = {
        name: set(pc.unique(plain.events[name]).to_pylist()) - JUNK - {None}
        for name in ("ip", "phone", "email")
    }
    addresses = [ipaddress.ip_address(text) for text in sorted(distinct["ip"])[::50]]
    assert all(address.is_global for address in addresses)
    assert {address.version for address in addresses} == {4, 6}
    phones = sorted(distinct["phone"])[::20]
    valid = sum(phonenumbers.is_valid_number(phonenumbers.parse(phone)) for phone in phones)
    assert valid > 0.97 * len(phones)
    assert all(
        re.fullmatch(r"[^@\s]+@[a-z0-9-]+\.[a-z.]+", INVISIBLE.sub("", mail)) for mail in distinct["email"]
    )


def test_every_kind_of_bystander_is_there(plain: World) -> None:
    honest = [
        kind for kind, ring in zip(plain.truth["kind"], plain.truth["campaign"], strict=True) if ring < 0
    ]
    assert set(honest) == BYSTANDERS


def test_a_few_values_of_both_classes_are_junk(plain: World) -> None:
    for name in ("ip", "device_id", "phone"):
        values = plain.events[name]
        abusive = pc.is_in(
            plain.events["org_id"], pa.array([o for o, ring in plain.campaign.items() if ring >= 0])
        )
        for rows in (values.filter(abusive), values.filter(pc.invert(abusive))):
            share = pc.sum(pc.is_in(rows, pa.array(sorted(JUNK)))).as_py() / (len(rows) - rows.null_count)
            assert 0.001 < share < 0.04


def test_most_rings_are_small_and_some_are_large(plain: World) -> None:
    sizes = sorted(plain.sizes().values())
    assert sizes[len(sizes) // 2] <= 12
    assert sizes[-1] >= 8 * sizes[len(sizes) // 2]
    assert {level for level in plain.truth["level"] if level >= 0} == {0, 1, 2}


def test_an_attack_has_one_operator_of_most_of_it_within_its_days(tmp_path: Path) -> None:
    world = make(tmp_path, organizations=5000, abusive_share=0.2, attack_days=3)
    sizes = world.sizes()
    assert sizes.most_common(1)[0][1] == 600
    assert sizes.total() == 1000
    made = pc.equal(world.events["event_type"], "organization_created")
    abusive = pc.is_in(
        world.events["org_id"], pa.array([o for o, ring in world.campaign.items() if ring >= 0])
    )
    at = pc.cast(world.events.filter(pc.and_(made, abusive))["occurred_at"], "int64").to_numpy()
    assert at.max() - at.min() <= 3.2 * 86_400 * 10**6


def test_members_of_a_plain_ring_share_identifiers(plain: World) -> None:
    partners = plain.partners("ip", "device_id", "payment_method", "phone", "referral_code")
    tied = sum(bool(others) for others in partners.values())
    assert tied > 0.98 * len(partners)


def test_rotating_rings_never_share_addresses_or_devices(tmp_path: Path) -> None:
    world = make(tmp_path, organizations=5000, difficulty="rotate")
    assert not any(world.partners("device_id").values())
    # Sessions, not calls: who probes or uses resold keys has one address for many of them.
    world.events = world.events.filter(pc.equal(world.events["event_type"], "session_started"))
    alone = world.partners("ip")
    assert sum(bool(others) for others in alone.values()) < 0.02 * len(alone)


def test_imitating_rings_send_telemetry_as_the_public_does(tmp_path: Path) -> None:
    world = make(tmp_path, organizations=5000, difficulty="mimic")
    rows = zip(world.events["org_id"].to_pylist(), world.events["event_type"].to_pylist(), strict=True)
    senders = {org for org, kind in rows if kind == "client_telemetry"}
    share = {
        abusive: np.mean([org in senders for org, ring in world.campaign.items() if (ring >= 0) == abusive])
        for abusive in (True, False)
    }
    assert share[True] > 0.9 * share[False]


def test_serial_rings_make_one_organization_every_few_weeks(tmp_path: Path) -> None:
    world = make(tmp_path, organizations=3000, difficulty="serial")
    made = world.events.filter(pc.equal(world.events["event_type"], "organization_created"))
    times: dict[int, list[int]] = {}
    for org, at in zip(
        made["org_id"].to_pylist(), pc.cast(made["occurred_at"], "int64").to_pylist(), strict=True
    ):
        times.setdefault(world.campaign[org], []).append(at)
    gaps = [
        np.mean(np.diff(sorted(at))) / 86_400e6 for ring, at in times.items() if ring >= 0 and len(at) >= 10
    ]
    assert gaps
    assert all(12 <= gap <= 38 for gap in gaps)


def test_framed_victims_are_tied_by_what_others_typed(tmp_path: Path) -> None:
    world = make(tmp_path, organizations=4000, framed_victims=9)
    framed = {
        org for org, is_framed in zip(world.truth["org_id"], world.truth["framed"], strict=True) if is_framed
    }
    assert len(framed) == 9
    assert all(world.campaign[org] == -1 for org in framed)
    tied = set()
    for column in ("email", "phone", "device_id", "referral_code"):
        for users in world.users_of(column).values():
            if any(world.campaign[org] >= 0 for org in users):
                tied |= users & framed
    assert len(tied) >= 8


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="organizations must be at least 100"):
        Campaign(organizations=3)
    with pytest.raises(ValueError, match="difficulty must be one of plain, mimic"):
        Campaign(difficulty="hard")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"abusive_share.*days must"):
        Campaign(abusive_share=2, days=1)


def test_progress_reaches_the_end_of_each_stage(tmp_path: Path) -> None:
    told: dict[str, tuple[int, int]] = {}
    simulate(
        Campaign(organizations=500), tmp_path, lambda stage, done, total: told.update({stage: (done, total)})
    )
    assert told == {"simulating organizations": (500, 500), "writing events": (30, 30)}


def test_a_simulation_that_is_stopped_leaves_nothing_behind(tmp_path: Path) -> None:
    def stop(stage: str, _done: int, _total: int) -> None:
        if stage == "writing events":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(Campaign(organizations=500), tmp_path, stop)
    assert list(tmp_path.iterdir()) == []
