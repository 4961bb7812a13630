"""Signals: what each detector declares, and cases by hand in which it speaks, is silent, or does not judge."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

import pyarrow.compute as pc
import pytest
import sqlglot
from sqlglot import exp
from worlds import Event, event, home_of, numbered

import detection.signals
from detection.detector import COLUMNS, TABLES, Detector, EvidenceClass, Group, detectors
from detection.run import run
from detection.runs import RunFiles
from detection.scoring import BASE, SIZE, shipped

BY_ID = {one.id: one for one in detectors()}
Member = Sequence[Event]


def does(hours: float, event_type: str, **fields: Any) -> Event:
    """What one member does; the member is filled in by `case`."""
    return event("", 1_000 + hours, event_type, **fields)


def has(**fields: Any) -> list[Event]:
    """A member who is known for one thing only."""
    return [does(5, "session_started", **fields)]


def many(count: int, every: float, event_type: str, **fields: Any) -> list[Event]:
    return [does(number * every, event_type, **fields) for number in range(count)]


def addresses(case: int, count: int, uses: int) -> list[Event]:
    return [
        one for number in range(count) for one in many(uses, 0.1, "inference", ip=f"10.{case}.0.{number + 1}")
    ]


def created(*hours: float, **fields: Any) -> list[list[Event]]:
    return [[does(hour, "organization_created", **fields)] for hour in hours]


def key_made(ip: str) -> list[Event]:
    return [does(0, "session_started", ip=ip), does(0.01, "api_key_created", ip=ip)]


def calls_by(*consumers: str) -> list[list[Event]]:
    return [[does(5, "inference", consumer_id=consumer)] for consumer in consumers]


def issues(code: str) -> list[Event]:
    return [does(1, "referral_code_issued", referral_code=code)]


FAR = 12_000
"""Hours after which sharing ties nobody any more."""
NETWORKS = "198.51.100.0/24,data_centre\n198.51.101.0/24,vpn\n"
IN_STEP = ("organization_created", "trial_started", "api_key_created")
CASES: list[tuple[str, str, tuple[int, int] | None, Sequence[Member], Sequence[Member]]] = [
    # signal, what happens, affected of eligible (None: nobody is judged), members, organizations outside
    (
        "catch_all_domain",
        "a domain of this group alone",
        (3, 3),
        [has(email=f"{name}@catch.example") for name in ("amy", "bob", "cyd")],
        [],
    ),
    (
        "catch_all_domain",
        "somebody else is there too",
        (0, 3),
        [has(email=f"{name}@firm.example") for name in ("amy", "bob", "cyd")],
        [[does(FAR, "session_started", email="dan@firm.example")]],
    ),
    (
        "catch_all_domain",
        "a company that grows over weeks",
        (0, 4),
        [
            [does(days * 24, "session_started", email=f"{name}@slow.example")]
            for days, name in ((0, "amy"), (8, "bob"), (16, "cyd"), (24, "dan"))
        ],
        [],
    ),
    (
        "catch_all_domain",
        "a provider's domain",
        None,
        [has(email=f"{n}@gmail.com") for n in ("a1b", "c1d")],
        [],
    ),
    (
        "displacement",
        "sign-ups within a day after a restriction",
        (2, 4),
        [[does(0, "organization_created"), does(10, "organization_restricted")], *created(11, 33, 35)],
        [],
    ),
    ("displacement", "nobody was restricted", None, created(0, 1, 2), []),
    (
        "cost_surge",
        "ten times what everybody costs in the first week, as much, and of unknown age",
        (2, 3),
        [
            [does(0, "organization_created"), does(20, "inference", cost_usd="9")],
            [does(0, "organization_created"), does(90, "inference", cost_usd="12")],
            [does(0, "organization_created"), does(20, "inference", cost_usd="0.01")],
            [does(20, "inference", cost_usd="9")],
        ],
        [],
    ),
    (
        "cost_surge",
        "late costs are no surge",
        (0, 2),
        [[does(0, "organization_created"), does(24 * 30, "inference", cost_usd="99")] for _ in range(2)],
        [],
    ),
    (
        "datacenter_proxy",
        "people in a data centre, on a VPN at times, and at home; servers do not count",
        (1, 3),
        [
            [*many(4, 1, "session_started", ip="198.51.100.77")],
            [
                *many(1, 1, "session_started", ip="198.51.101.78"),
                *many(3, 1, "session_started", ip="10.77.1.1"),
            ],
            [*many(4, 1, "session_started", ip="10.77.0.1"), *many(9, 1, "inference", ip="198.51.100.79")],
            [*many(4, 1, "inference", ip="198.51.100.80")],
        ],
        [],
    ),
    (
        "fresh_consumer",
        "handed on at once to one consumer, later, and used by its owner",
        (2, 4),
        [
            [*key_made("10.78.1.1"), does(0.1, "inference", consumer_id="fresh")],
            [*key_made("10.78.2.1"), does(0.1, "inference", consumer_id="fresh")],
            [*key_made("10.78.3.1"), does(3, "inference", consumer_id="fresh")],
            [*key_made("10.78.4.1"), does(0.1, "inference", ip="10.78.4.1")],
            [does(0.1, "inference", consumer_id="fresh")],
        ],
        [],
    ),
    (
        "fresh_consumer",
        "each on a server of its own",
        (0, 2),
        [[*key_made("10.78.5.1"), does(0.1, "inference", ip=f"10.79.1.{number}")] for number in range(2)],
        [],
    ),
    (
        "health_check",
        "one consumer probes three keys, another one its own, and long calls",
        (3, 5),
        [
            *([does(1, "inference", tokens=8, ip="10.80.0.1")] for _ in range(3)),
            many(4, 1, "inference", tokens=8, ip="10.80.0.2"),
            many(4, 1, "inference", tokens=900, ip="10.80.0.1"),
            [],
        ],
        [],
    ),
    (
        "hidden_characters",
        "one name has a zero-width space",
        (1, 3),
        [has(org_name="Quartz\u200b Nine"), has(org_name="Quartz Nine"), []],
        [],
    ),
    (
        "hidden_characters",
        "other alphabets hide nothing",
        (0, 2),
        [has(org_name="Кварц"), has(org_name="石英")],
        [],
    ),
    (
        "hit_and_run",
        "addresses left at once, kept, and too few to tell",
        (1, 2),
        [addresses(1, 3, uses=2), addresses(2, 3, uses=6), addresses(3, 2, uses=1)],
        [],
    ),
    (
        "key_resale",
        "one consumer for three, another's own",
        (3, 4),
        [*calls_by(*["reseller"] * 3, "own"), []],
        [],
    ),
    (
        "key_resale",
        "one server for three, where nobody of theirs ever acts",
        (3, 4),
        [
            *([does(1, "inference", ip="10.81.0.1")] for _ in range(3)),
            [does(1, "inference", ip="10.81.0.1"), does(2, "session_started", ip="10.81.0.1")],
        ],
        [],
    ),
    ("key_resale", "two are not enough", (0, 2), calls_by("pair", "pair"), []),
    (
        "key_rotation",
        "a new key at once after every stop, after one of two, a day later, without a reason, and no keys",
        (2, 4),
        [
            [does(0, "api_key_revoked"), does(2, "api_key_created")],
            [
                *(does(hours, "api_key_created") for hours in (0, 52)),
                *(does(hours, "organization_restricted") for hours in (50, 90)),
            ],
            [does(0, "organization_restricted"), does(30, "api_key_created")],
            [does(2, "api_key_created")],
            [does(0, "api_key_revoked")],
        ],
        [],
    ),
    (
        "known_bad_tie",
        "a phone that a feed knows, a device of a labelled organization, and nothing",
        (2, 3),
        [has(phone="+14155550166"), has(device_id="tainted"), has(device_id="clean")],
        [
            [
                does(FAR, "session_started", device_id="tainted"),
                does(FAR, "organization_labelled", label="abusive", label_source="person"),
            ],
            [does(9, "entity_labelled", entity_type="phone", entity_key="+14155550166", label="abusive")],
        ],
    ),
    (
        "known_bad_tie",
        "a label speaks of others, not of whoever has it",
        (1, 2),
        [[does(9, "organization_labelled", label="abusive", label_source="person")], []],
        [],
    ),
    (
        "known_bad_tie",
        "a name or a promotion that an abusive organization used, too, is no tie",
        (0, 2),
        [has(org_name="Common Name"), has(promo_code="LAUNCH")],
        [
            [
                does(FAR, "session_started", org_name="Common Name", promo_code="LAUNCH"),
                does(FAR, "organization_labelled", label="abusive", label_source="person"),
            ]
        ],
    ),
    (
        "known_bad_tie",
        "a label of a legitimate organization taints nobody",
        (0, 2),
        [[does(9, "organization_labelled", label="legitimate", label_source="person")], []],
        [],
    ),
    (
        "lockstep",
        "two in step, one alone, one with too few steps",
        (2, 3),
        [
            [does(place * 9, step) for place, step in enumerate(IN_STEP)],
            [does(place * 9 + 0.08, step) for place, step in enumerate(IN_STEP)],
            [does(place * 9 + 4, step) for place, step in enumerate(IN_STEP)],
            [],
        ],
        [],
    ),
    (
        "lockstep",
        "what is done to them in batches is no step of theirs",
        None,
        [
            [
                does(hours, step)
                for hours, step in ((3, "invoice_paid"), (4, "organization_restricted"), (5, "reward_paid"))
            ]
            for _ in range(3)
        ],
        [],
    ),
    (
        "missing_client",
        "the client's name without its reports, with them, a library, and no calls",
        (1, 2),
        [
            [does(0, "inference", user_agent="genuine/1")],
            [
                does(0, "inference", user_agent="genuine/1"),
                does(1, "client_telemetry", user_agent="genuine/1"),
            ],
            [does(0, "inference", user_agent="library/1")],
            [does(1, "client_telemetry", user_agent="genuine/1")],
        ],
        [
            *(
                [
                    does(0, "inference", user_agent="genuine/1"),
                    does(1, "client_telemetry", user_agent="genuine/1"),
                ]
                for _ in range(25)
            ),
            *([does(0, "inference", user_agent="library/1")] for _ in range(25)),
        ],
    ),
    (
        "missing_client",
        "a client that is too little known to tell",
        None,
        [[does(0, "inference", user_agent="rare/1")] for _ in range(2)],
        [[does(0, "inference", user_agent="rare/1"), does(1, "client_telemetry", user_agent="rare/1")]],
    ),
    (
        "name_template",
        "three from one pattern",
        (3, 4),
        [*(has(org_name=f"Opal Forge {number}") for number in (1, 2, 37)), has(org_name="Lone Star")],
        [],
    ),
    (
        "name_template",
        "two are chance",
        (0, 2),
        [has(org_name=f"Jade Mill {number}") for number in (4, 5)],
        [],
    ),
    (
        "promo_chain",
        "three steps, one step, none",
        (1, 2),
        [
            [does(0, "trial_started"), does(1, "promo_redeemed"), does(2, "subscription_cancelled")],
            [does(0, "trial_started")],
            [],
        ],
        [],
    ),
    (
        "referral_tree",
        "invited on the inviter's own device, and by somebody elsewhere",
        (2, 3),
        [
            [*has(device_id="inviter-device"), *issues("tree-own")],
            [*has(device_id="inviter-device"), does(50, "referral_redeemed", referral_code="tree-own")],
            [*has(device_id="another-device"), does(51, "referral_redeemed", referral_code="tree-own")],
            [],
        ],
        [],
    ),
    (
        "referral_tree",
        "a chain of three generations",
        (3, 3),
        [
            issues("gen-a"),
            [does(50, "referral_redeemed", referral_code="gen-a"), *issues("gen-b")],
            [does(60, "referral_redeemed", referral_code="gen-b")],
        ],
        [],
    ),
    (
        "referral_tree",
        "two who invite one another",
        (2, 2),
        [
            [*issues("loop-a"), does(50, "referral_redeemed", referral_code="loop-b")],
            [*issues("loop-b"), does(60, "referral_redeemed", referral_code="loop-a")],
        ],
        [],
    ),
    (
        "referral_tree",
        "followers of somebody known: broad and flat",
        (0, 5),
        [issues("star"), *([does(50 + n, "referral_redeemed", referral_code="star")] for n in range(4))],
        [],
    ),
    (
        "serial_signup",
        "weeks apart on one card, and two on one day",
        (2, 4),
        created(0, 200, 400, 410, payment_method="card-serial"),
        [],
    ),
    (
        "serial_signup",
        "weeks apart, each on its own card",
        (0, 2),
        [created(hours, payment_method=f"card-own-{hours}")[0] for hours in (0, 200)],
        [],
    ),
    (
        "serial_signup",
        "a phone that was given out again",
        (0, 2),
        created(0, 400, phone="+14155550155"),
        [],
    ),
    (
        "shared_device",
        "two on one, one on another, one without",
        (2, 3),
        [*(has(device_id=name) for name in ("laptop-a", "laptop-a", "laptop-b")), []],
        [],
    ),
    (
        "shared_device",
        "shared with somebody outside the group",
        (0, 2),
        [has(device_id="laptop-c"), has(device_id="laptop-d")],
        [[does(FAR, "session_started", device_id="laptop-c")]],
    ),
    (
        "shared_mailbox",
        "one mailbox in two spellings",
        (2, 3),
        [has(email=text) for text in ("q.uin@gmail.com", "qu.in+two@gmail.com", "quin@other.example")],
        [],
    ),
    (
        "shared_payment",
        "two on one card, one on another",
        (2, 3),
        [has(payment_method=name) for name in ("card-a", "card-a", "card-b")],
        [],
    ),
    (
        "shared_phone",
        "one number in two spellings",
        (2, 3),
        [has(phone=text) for text in ("+1 415 555 0188", "+14155550188", "+14155550199")],
        [],
    ),
    (
        "shared_phone",
        "a number given out again, weeks later",
        (0, 2),
        [[does(hours, "session_started", phone="+14155550144")] for hours in (0, 400)],
        [],
    ),
    ("signup_burst", "three in twenty minutes", (3, 4), created(0, 0.2, 0.3, 60), []),
    ("signup_burst", "pairs are chance", (0, 4), created(0, 0.2, 60, 60.2), []),
    (
        "trial_burn",
        "burnt, used slowly, hardly used, not used, no credit, and the first of two burnt long after signing up",
        (2, 5),
        [
            [does(0, "trial_started", credit_usd="10"), does(20, "inference", credit_used_usd="9.5")],
            [does(0, "trial_started", credit_usd="10"), does(40, "inference", credit_used_usd="9.5")],
            [does(0, "trial_started", credit_usd="10"), does(2, "inference", credit_used_usd="1")],
            [does(0, "trial_started", credit_usd="10")],
            [does(0, "inference", credit_used_usd="5")],
            [
                does(0, "organization_created"),
                does(300, "trial_started", credit_usd="10"),
                does(305, "inference", credit_used_usd="10"),
                does(900, "promo_redeemed", credit_usd="50"),
            ],
        ],
        [],
    ),
    (
        "uniform_client",
        "one rare signature",
        (3, 3),
        [*(has(tls_fingerprint="771-rare") for _ in range(3)), []],
        [],
    ),
    (
        "uniform_client",
        "a signature that half the world shows",
        (0, 3),
        [has(tls_fingerprint="771-common") for _ in range(3)],
        [has(tls_fingerprint="771-common") for _ in range(40)],
    ),
]
NAMES = [f"{signal}: {what}" for signal, what, *_ in CASES]


def case(number: int, members: Sequence[Member], outside: Sequence[Member]) -> Iterable[Event]:
    """A cluster that a shared user ties, which no detector looks at; and others that are tied to nobody.

    The user's sessions come late, far from anything else and from one another.
    """
    for place, member in enumerate(members):
        org = f"case-{number:02d}-member-{place}"
        yield event(org, 6_000 + place * 50, user_id=f"operator-{number:02d}")
        yield from ({**one, "org_id": org} for one in member)
    for place, member in enumerate(outside):
        yield from ({**one, "org_id": f"case-{number:02d}-outside-{place:02d}"} for one in member)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> RunFiles:
    """All cases side by side in one run."""
    events = [
        one
        for number, (_, _, _, members, outside) in enumerate(CASES)
        for one in case(number, members, outside)
    ]
    home = home_of(tmp_path_factory.mktemp("cases"), numbered(events))
    (home.path / "networks").mkdir()
    (home.path / "networks" / "hosting.csv").write_text(NETWORKS)
    return run(home)


@pytest.fixture(scope="module")
def cluster_of(world: RunFiles) -> dict[str, str]:
    members = world.table("members").to_pylist()
    return {row["org_id"]: row["cluster_id"] for row in members}


def test_the_cases_are_clusters_of_their_own(cluster_of: dict[str, str]) -> None:
    for number, (_, _, _, members, _) in enumerate(CASES):
        own = {cluster_of[f"case-{number:02d}-member-{place}"] for place in range(len(members))}
        assert len(own) == 1
        assert sum(cluster in own for cluster in cluster_of.values()) == len(members)


@pytest.mark.parametrize("number", range(len(CASES)), ids=NAMES)
def test_a_detector_speaks_of_whom_it_should(
    world: RunFiles, cluster_of: dict[str, str], number: int
) -> None:
    signal, _, expected, _, _ = CASES[number]
    cluster = cluster_of[f"case-{number:02d}-member-0"]
    rows = world.table(
        "evidence", filters=[("cluster_id", "=", cluster), ("signal", "=", signal)]
    ).to_pylist()
    found = [(row["affected"], row["eligible"]) for row in rows]
    assert found == ([] if expected is None else [expected])


def test_every_detector_has_a_case_in_which_it_speaks() -> None:
    speaking = {signal for signal, _, expected, _, _ in CASES if expected and expected[0]}
    assert speaking == set(BY_ID)


def test_values_are_drawn_towards_the_baselines_that_ship(world: RunFiles) -> None:
    """The smoothed share, for signals whose values are zero or one."""
    card = shipped()
    for row in world.table("evidence").to_pylist():
        if row["signal"] in ("shared_device", "trial_burn", "name_template", "missing_client"):
            baseline = card.baselines.get(row["signal"], 0.0)
            drawn = (row["affected"] + card.prior_members * baseline) / (row["eligible"] + card.prior_members)
            assert row["baseline"] == pytest.approx(baseline, abs=1e-6)
            assert row["value"] == pytest.approx(drawn, abs=1e-6)


def test_rows_behind_the_evidence_name_identifier_time_and_count(
    world: RunFiles, cluster_of: dict[str, str]
) -> None:
    rows = world.table("evidence_rows").to_pylist()
    shown = {(row["cluster_id"], row["signal"]): row for row in rows}
    number = NAMES.index("shared_device: two on one, one on another, one without")
    row = shown[cluster_of[f"case-{number:02d}-member-0"], "shared_device"]
    links = world.table("links", filters=[("kind", "=", "device")]).to_pylist()
    assert row["kind"] == "device"
    assert row["key"] in {link["key"] for link in links if link["org_id"] == row["org_id"]}
    assert (row["count"], row["happened_at"].isoformat()) == (2, does(5, "session_started")["occurred_at"])


def test_rows_are_shown_for_affected_members_of_signals_that_add_points(world: RunFiles) -> None:
    evidence = world.table("evidence").to_pylist()
    rows = world.table("evidence_rows").to_pylist()
    for one in evidence:
        if one["signal"] in BY_ID:
            own = [
                row
                for row in rows
                if (row["cluster_id"], row["signal"]) == (one["cluster_id"], one["signal"])
            ]
            assert len(own) == (one["affected"] if one["points"] > 0 else 0)


def test_facts_are_sentences_with_their_figures(world: RunFiles) -> None:
    for row in world.table("evidence").to_pylist():
        assert not re.search(r"[{}]", row["fact"])
        if row["signal"] not in (BASE, SIZE):
            assert row["fact"].startswith(f"{row['affected']} of {row['eligible']} ")


def test_values_stay_between_innocent_and_certain(world: RunFiles) -> None:
    signals = world.table("evidence", filters=[("signal", "in", list(BY_ID))])
    assert 0 <= pc.min(signals["value"]).as_py() <= pc.max(signals["value"]).as_py() <= 1


def test_there_are_enough_detectors_and_each_is_one_file() -> None:
    folder = Path(detection.signals.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert set(BY_ID) == files
    assert len(files) >= 10
    assert not {BASE, SIZE} & files


@pytest.mark.parametrize("one", BY_ID.values(), ids=BY_ID.keys())
def test_declarations_are_complete(one: Detector) -> None:
    assert re.fullmatch(r"[a-z][a-z_]+", one.id)
    assert one.title[0].isupper()
    assert not one.title.endswith(".")
    assert len(one.meaning) > 40
    assert one.meaning.endswith(".")
    assert len(one.innocent) > 20
    assert one.innocent.endswith(".")
    assert re.findall(r"{(\w+)}", one.fact) == ["affected", "eligible"]
    assert one.group in get_args(Group)
    assert one.evidence_class in get_args(EvidenceClass)


@pytest.mark.parametrize("one", BY_ID.values(), ids=BY_ID.keys())
def test_a_detector_is_one_select_over_the_tables_that_it_declares(one: Detector) -> None:
    statements = sqlglot.parse(one.sql, read="duckdb")
    assert len(statements) == 1
    select = statements[0]
    assert isinstance(select, exp.Select)
    assert tuple(select.named_selects) == COLUMNS
    named = {table.name for table in select.find_all(exp.Table)} - {
        cte.alias for cte in select.find_all(exp.CTE)
    }
    assert named == set(one.reads)
    assert named <= TABLES


def test_no_detector_calls_a_function_that_reaches_outside() -> None:
    """Tables are names, never functions such as read_parquet, and no setting or random draw is asked for."""
    for one in BY_ID.values():
        select = sqlglot.parse_one(one.sql, read="duckdb")
        assert all(isinstance(table.this, exp.Identifier) for table in select.find_all(exp.Table))
        unknown = {call.name.lower() for call in select.find_all(exp.Anonymous)}
        assert unknown <= {"row"}, f"{one.id} calls {unknown}"
