"""Innocent reasons to share something: typed addresses, places that tie nobody, one operator of many organizations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from worlds import Event, event, home_of, numbered

from detection import bystanders
from detection.correlate import correlate
from detection.decisions import decide
from detection.engines.duckdb import Engine
from detection.links import aggregate
from detection.networks import know_addresses
from detection.settings import BystanderSettings, DetectionSettings
from graph.facts import FactsReader

SETTINGS = DetectionSettings()
CARRIER, EXITS, OFFICE, VENUE, GATEWAY = (
    "10.1.0.1",
    ("10.2.0.1", "10.2.0.2", "10.2.0.3"),
    "10.3.0.1",
    "10.4.0.1",
    "10.5.0.1",
)
RING_EXIT, RESELLER, HOSTED, RELAY, ISP = (
    "10.6.0.1",
    "10.7.0.1",
    "198.51.100.9",
    "198.51.101.9",
    "198.51.102.9",
)
JUNK_DEVICE, RING_DEVICE, LAB = "0badc0de-junk", "ring-device", "lab-machine"
LAB_ROOM = "10.8.0.1"


def lives(org: str, hours: float, ip: str, **fields: Any) -> list[Event]:
    """Somebody who signs up, and comes back twice."""
    return [
        event(org, hours, "organization_created", ip=ip, **fields),
        *(event(org, hours + after, "session_started", ip=ip, **fields) for after in (5, 30)),
    ]


def strangers(kind: str, count: int, every: float, ip: Callable[[int], str], **fields: Any) -> list[Event]:
    """Organizations with nothing in common but what `ip` and `fields` say, one after the other."""
    return [
        one
        for number in range(count)
        for one in lives(f"{kind}-{number:02d}", number * every, ip(number), **fields)
    ]


def calls(kind: str, count: int, every: float, ip: str, **fields: Any) -> list[Event]:
    """Organizations that live at home, and are used through a machine."""
    return [
        one
        for number in range(count)
        for one in (
            *lives(f"{kind}-{number:02d}", number * every, f"172.16.{sum(kind.encode()) % 256}.{number}"),
            event(f"{kind}-{number:02d}", number * every + 6, "inference", ip=ip, tokens=90, **fields),
        )
    ]


def phones(kind: str, count: int) -> list[Event]:
    """Every two of them have a phone in common."""
    return [
        event(f"{kind}-{number:02d}", 40, "session_started", phone=f"+1415555{100 + number // 2:04d}")
        for number in range(count)
    ]


def the_world() -> Iterator[Event]:
    yield from strangers("carrier", 24, 29, lambda _: CARRIER)
    for number in range(24):
        for place, hours in enumerate((0, 40, 80, 120)):
            ip = (*EXITS, f"10.22.0.{number}")[place]
            yield event(f"vpn-{number:02d}", number * 20 + hours, "session_started", ip=ip)
    for number in range(6):
        yield from lives(f"office-{number}", number * 30, OFFICE, email=f"person{number}@office.example")
    yield from strangers("venue", 24, 0.2, lambda _: VENUE)
    for number in range(24):
        yield event(f"venue-{number:02d}", 7 + number * 0.2, "inference", ip=VENUE, user_agent="client/1")
    yield from calls("gateway", 8, 40, GATEWAY)
    yield from calls("tenant", 8, 40, "10.55.0.1", consumer_id="many-tenants")
    yield from strangers("ring", 24, 0.1, lambda _: RING_EXIT)
    yield from phones("ring", 24)
    yield from calls("resold", 8, 0.1, RESELLER)
    yield from phones("resold", 8)
    for kind, count, every, device in (
        ("junk", 24, 20, JUNK_DEVICE),
        ("burst", 24, 0.1, RING_DEVICE),
        ("lab", 6, 40, LAB),
    ):
        yield from strangers(
            kind, count, every, lambda number, kind=kind: f"192.168.{len(kind)}.{number}", device_id=device
        )
    for number in range(24):
        org, ip = f"void-{number:02d}", f"172.21.0.{number}"
        yield from lives(org, number * 20, ip, phone="+14155559999")
        yield event(org, number * 20 + 1, "phone_verified", phone="+14155559999")
    yield from strangers("room", 6, 40, lambda _: LAB_ROOM, device_id="room-machine")
    for number in range(24):
        org = f"fan-{number:02d}"
        yield from lives(org, number, f"172.20.0.{number}", referral_code="star-code")
    yield from strangers("hosted", 2, 20, lambda _: HOSTED)
    yield from strangers("relayed", 2, 20, lambda _: RELAY)
    yield from strangers("isp", 24, 29, lambda _: ISP)
    for number in range(400):
        yield event(f"alone-{number:03d}", number * 1.7, ip=f"172.30.{number // 200}.{number % 200}")


NETWORKS = (
    "198.51.100.0/24,data_centre\n198.51.101.0/24,vpn\n198.51.102.0/24,residential\n10.1.0.0/16,AS64500\n"
)


class Found:
    """What a run knows of places, by the text of the identifier."""

    def __init__(self, folder: Path) -> None:
        home = home_of(folder, numbered(the_world()))
        (home.path / "networks").mkdir()
        (home.path / "networks" / "known.csv").write_text(NETWORKS)
        facts = FactsReader(home)
        with Engine(SETTINGS.engine, folder) as engine:
            latest = facts.latest()
            assert latest is not None
            parts = aggregate(engine, home, facts.event_files(), latest, folder, lambda *_: None)
            for name, files in parts.files.items():
                engine.read(f"{name}_parts", files)
            engine.read("texts", facts.value_files())
            engine.read(
                "organization_names",
                facts.value_files(),
                "key AS organization, canonical AS org_id",
                "kind = 'organization'",
            )
            for stage in ("organizations", "referrals"):
                engine.stage(stage)
            decide(engine)
            know_addresses(engine, home, facts)
            correlate(engine, SETTINGS, 700, lambda *_: None)
            typed = 'SELECT canonical, type, "by", place FROM address_types INNER JOIN texts USING (key)'
            self.types = {row["canonical"]: row for row in engine.fetch(typed).to_pylist()}
            places = "SELECT canonical, why FROM places INNER JOIN texts USING (key)"
            self.places = {row["canonical"]: row["why"] for row in engine.fetch(places).to_pylist()}
            tied = (
                "SELECT x.org_id AS a, y.org_id AS b FROM ties INNER JOIN organizations AS x ON a = x.org"
                " INNER JOIN organizations AS y ON b = y.org"
            )
            self.tied = {
                one.rsplit("-", 1)[0] for row in engine.fetch(tied).to_pylist() for one in row.values()
            }

    def type(self, ip: str) -> tuple[str, str, bool] | None:
        row = self.types.get(ip)
        return (row["type"], row["by"], row["place"]) if row else None


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return Found(tmp_path_factory.mktemp("places"))


@pytest.mark.parametrize(
    ("ip", "expected"),
    [
        (CARRIER, ("mobile", "behaviour", True)),
        (EXITS[0], ("vpn", "behaviour", True)),
        (OFFICE, ("office", "behaviour", True)),
        (VENUE, ("office", "behaviour", True)),
        (GATEWAY, ("data_centre", "behaviour", True)),
        (RESELLER, ("data_centre", "behaviour", False)),
        (LAB_ROOM, ("mobile", "behaviour", True)),
        (RING_EXIT, None),
        (HOSTED, ("data_centre", "table", False)),
        (RELAY, ("vpn", "table", True)),
        (ISP, ("mobile", "behaviour", True)),
        ("172.30.0.1", None),
    ],
)
def test_an_address_is_typed_by_table_and_behaviour(
    found: Found, ip: str, expected: tuple[str, str, bool] | None
) -> None:
    assert found.type(ip) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (CARRIER, "mobile"),
        (GATEWAY, "data_centre"),
        ("many-tenants", "multi_tenant"),
        (JUNK_DEVICE, "shared_machine"),
        (LAB, "shared_machine"),
        ("room-machine", "shared_machine"),
        (LAB_ROOM, "mobile"),
        ("star-code", "public_code"),
        (RING_EXIT, None),
        (RESELLER, None),
        (RING_DEVICE, None),
    ],
)
def test_what_strangers_share_is_a_place_and_what_a_ring_shares_is_not(
    found: Found, text: str, why: str | None
) -> None:
    assert found.places.get(text) == why


def test_places_tie_nobody_and_what_rings_share_does(found: Found) -> None:
    assert found.tied >= {"ring", "burst", "resold"}
    assert not found.tied & {
        "carrier",
        "vpn",
        "venue",
        "gateway",
        "tenant",
        "junk",
        "lab",
        "room",
        "fan",
        "isp",
        "relayed",
    }


def test_among_few_organizations_a_smaller_crowd_is_one() -> None:
    def crowd(population: int) -> int:
        return int(bystanders.recipe(BystanderSettings(), population)["least_crowd"][0].as_py())

    assert [crowd(population) for population in (0, 200, 600, 1_000, 1_000_000)] == [8, 8, 12, 20, 20]


HOUR, DAY = 3_600_000_000, 86_400_000_000
CARD = b"c" * 16


def operators(**changes: Any) -> tuple[bool, str]:
    """What is said of a group of six that is a legitimate operator but for the changes."""
    facts: dict[str, Any] = {
        "payers": 5, "every": 3 * DAY, "paid": 20.0, "credit_used": 1.0, "disputes": 0, "clients": 6,
        "veiled": 0, "bad": False, "labelled": False, "stands": True,
    } | changes  # fmt: skip
    orgs = range(6)
    with Engine(SETTINGS.engine) as engine:
        register = _registers(engine)
        register("members", [(1, org) for org in orgs], ("cluster BIGINT", "org INTEGER"))
        register(
            "organizations",
            [(org, org * facts["every"], 0) for org in orgs],
            ("org INTEGER", "created_at BIGINT", "first_at BIGINT"),
        )
        register(
            "settlements",
            [(org, facts["stands"]) for org in range(facts["payers"])],
            ("org INTEGER", "stands BOOLEAN"),
            "UUID '63636363-6363-6363-6363-636363636363' AS key",
        )
        activity = [
            *((1, org, "invoice_paid", 1, facts["paid"], None) for org in range(facts["payers"])),
            *((1, org, "inference", 1, None, facts["credit_used"]) for org in orgs),
            *((1, org, "client_telemetry", 1, None, None) for org in range(facts["clients"])),
            *((1, org, "charge_disputed", 1, None, None) for org in range(facts["disputes"])),
        ]
        columns = (
            "cluster BIGINT",
            "org INTEGER",
            "event_type VARCHAR",
            "events BIGINT",
            "amount DOUBLE",
            "credit_used DOUBLE",
        )
        register("member_activity", activity, columns)
        links = [(1, org, "payment_bin") for org in range(facts["veiled"])] + (
            [(1, 0, "phone")] if facts["bad"] else []
        )
        key = "UUID '64646464-6464-6464-6464-646464646464' AS key"
        register("member_links", links, ("cluster BIGINT", "org INTEGER", "kind VARCHAR"), key)
        register("known_bad", [("phone",)] if facts["bad"] else [], ("kind VARCHAR",), key)
        register(
            "org_labels", [(5, "abusive")] if facts["labelled"] else [], ("org INTEGER", "label VARCHAR")
        )
        engine.register("bystander_recipe", bystanders.recipe(BystanderSettings(), 10_000))
        engine.stage("operators")
        (row,) = engine.fetch("SELECT legitimate_operator, why FROM operators").to_pylist()
    return row["legitimate_operator"], row["why"]


def _registers(engine: Engine) -> Callable[..., None]:
    def register(name: str, rows: Sequence[Sequence[Any]], columns: Sequence[str], more: str = "") -> None:
        names = [column.split()[0] for column in columns]
        engine.register(
            f"given_{name}", pa.table({one: [row[place] for row in rows] for place, one in enumerate(names)})
        )
        typed = ", ".join(
            f"CAST({one} AS {column.split()[1]}) AS {one}" for one, column in zip(names, columns, strict=True)
        )
        described = ", ".join(filter(None, (typed, more)))
        engine.register(name, engine.fetch(f"SELECT {described} FROM given_{name}"))

    return register


def test_a_paying_company_that_grew_is_one_legitimate_operator() -> None:
    told, why = operators()
    assert told
    assert why == (
        "5 of 6 organizations settle invoices on one payment method, none disputed; they came over 7 days and use the"
        " genuine client"
    )


@pytest.mark.parametrize(
    ("changes", "against"),
    [
        ({"payers": 2}, "no payment method settles for most of it"),
        ({"stands": False}, "no payment method settles for most of it"),
        ({"disputes": 1}, "a charge was disputed or refunded"),
        ({"veiled": 4}, "most pay with prepaid or virtual cards"),
        ({"paid": 2.0}, "it paid too little for the credit that it used"),
        ({"every": HOUR}, "it came in a wave"),
        ({"clients": 2}, "most never used the genuine client"),
        ({"bad": True}, "something of it is labelled abusive"),
        ({"labelled": True}, "something of it is labelled abusive"),
    ],
)
def test_a_group_that_lacks_one_of_it_is_none(changes: dict[str, Any], against: str) -> None:
    assert operators(**changes) == (False, against)
