"""The door: rules as a table, and what somebody shows against what is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.door.entities import Entities
from api.door.rings import Rings, _words
from api.door.rules import MANY, Known, Situation, Verdict, decide
from api.door.shown import Shown
from graph.identifiers import Keyer

KEYER = Keyer(b"pepper of a test")
AT: tuple[Situation, ...] = ("signup", "trial", "promo", "payment", "first_inference")


@pytest.mark.parametrize(
    ("at", "known", "verdict", "reasons"),
    [
        ("signup", {}, "allow", ()),
        ("payment", {"restrictions": {"ban"}}, "deny", ("restricted",)),
        ("payment", {"restrictions": {"ban"}, "protected": True}, "deny", ("restricted",)),
        ("trial", {"restrictions": {"freeze_credit"}}, "deny", ("credit_frozen",)),
        ("payment", {"restrictions": {"freeze_credit"}}, "allow", ()),
        ("first_inference", {"restrictions": {"verify"}}, "challenge", ("verification_required",)),
        ("first_inference", {"restrictions": {"throttle"}}, "limit", ("throttled",)),
        ("first_inference", {"restrictions": {"honeypot"}}, "allow", ()),
        ("signup", {"entities": {"deny_signup"}}, "deny", ("signup_denied",)),
        ("trial", {"entities": {"deny_signup"}}, "allow", ()),
        ("promo", {"entities": {"no_trial"}}, "deny", ("no_trial",)),
        ("payment", {"entities": {"challenge"}}, "challenge", ("challenge_required",)),
        ("signup", {"rings": {"payment"}}, "challenge", ("shared_with_ring",)),
        ("trial", {"rings": {"payment"}}, "limit", ("shared_with_ring",)),
        ("signup", {"rings": {"payment", "phone"}}, "deny", ("known_ring",)),
        ("payment", {"rings": {"payment", "phone"}}, "challenge", ("known_ring",)),
        ("signup", {"rings": {"payment", "phone"}, "protected": True}, "allow", ()),
        ("signup", {"newcomers": MANY - 1}, "allow", ()),
        ("signup", {"newcomers": MANY}, "challenge", ("many_new_organizations",)),
        (
            "signup",
            {"restrictions": {"throttle"}, "rings": {"payment"}, "entities": {"deny_signup"}},
            "deny",
            ("signup_denied", "shared_with_ring", "throttled"),
        ),
    ],
)
def test_the_rules(at: Situation, known: dict[str, Any], verdict: str, reasons: tuple[str, ...]) -> None:
    given = {name: frozenset(value) if isinstance(value, set) else value for name, value in known.items()}
    found = decide(at, Known(**given))
    assert (found.verdict, found.reasons) == (verdict, reasons)


SETS = st.frozensets
KNOWN = st.builds(
    Known,
    restrictions=SETS(st.sampled_from(["ban", "verify", "freeze_credit", "throttle", "hold_payout"])),
    protected=st.booleans(),
    entities=SETS(st.sampled_from(["deny_signup", "no_trial", "challenge"])),
    rings=SETS(st.sampled_from(["payment", "phone", "contact"])),
    newcomers=st.integers(0, 9),
)


@given(st.sampled_from(AT), KNOWN, KNOWN)
def test_who_is_known_for_more_is_never_treated_better(at: Situation, one: Known, more: Known) -> None:
    both = Known(
        one.restrictions | more.restrictions,
        one.protected and more.protected,
        one.entities | more.entities,
        one.rings | more.rings,
        max(one.newcomers, more.newcomers),
    )
    order = list(Verdict)
    assert order.index(decide(at, both).verdict) >= order.index(decide(at, one).verdict)
    assert (decide(at, both).verdict is Verdict.ALLOW) is (not decide(at, both).reasons)


@pytest.mark.parametrize(
    ("kind", "name", "shown", "hit"),
    [
        ("domain", "mail.example", {"email": "Ada@MAIL.example"}, True),
        ("domain", "Mail.Example", {"email": "ada@mail.example"}, True),
        ("domain", "mail.example", {"email": "ada@notmail.example"}, False),
        ("domain", "mail.example", {"email": "not an address"}, False),
        ("network", "198.51.100.0/24", {"ip": "198.51.100.77"}, True),
        ("network", "198.51.100.0/24", {"ip": "198.51.101.77"}, False),
        ("network", "2001:db8::/32", {"ip": "2001:db8:1::5"}, True),
        ("network", "2001:db8::/32", {"ip": "198.51.100.77"}, False),
        ("network", "198.51.100.0/24", {"ip": "garbage"}, False),
        ("network", "garbage", {"ip": "198.51.100.77"}, False),
        ("phone_range", "+49 151", {"phone": "+49 (151) 234-567"}, True),
        ("phone_range", "+49151", {"phone": "0151234567"}, False),
        ("phone_range", "+49151", {"phone": "+4915"}, False),
        ("bin", "411111", {"payment_bin": "411111"}, True),
        ("bin", "411111", {"payment_bin": "41111122"}, True),
        ("bin", "411111", {"payment_bin": "411112"}, False),
        ("tls_fingerprint", "771,4865", {"tls_fingerprint": "771,4865"}, True),
        ("device", "D-4711", {"device_id": "D-4711"}, True),
        ("device", "D-4711", {"device_id": "D-4712"}, False),
        ("device", "D-4711", {"org_id": "D-4711"}, False),
    ],
)
def test_entities_are_matched_as_ingest_spells_them(
    kind: str, name: str, shown: Mapping[str, str], hit: bool
) -> None:
    compiled = Entities.of([{"kind": kind, "name": name, "restrictions": ("challenge",)}], KEYER)
    assert bool(compiled.about(Shown(KEYER, shown))) is hit


@given(
    st.dictionaries(
        st.sampled_from(
            ["ip", "email", "phone", "device_id", "payment_method", "user_id", "tls_fingerprint"]
        ),
        st.text(min_size=1, max_size=60),
    )
)
def test_whatever_a_stranger_types_is_read(fields: dict[str, str]) -> None:
    rows = [
        {"kind": "network", "name": "0.0.0.0/0", "restrictions": ("challenge",)},
        {"kind": "phone_range", "name": "+1", "restrictions": ("challenge",)},
    ]
    assert Entities.of(rows, KEYER).about(Shown(KEYER, fields)) <= {"challenge"}
    assert all(len(key) == 16 for key in Shown(KEYER, fields).strong)


@given(
    st.sets(st.binary(min_size=16, max_size=16), max_size=40), st.sets(st.binary(min_size=16, max_size=16))
)
def test_identifiers_of_rings_are_found_and_no_others(theirs: set[bytes], asked: set[bytes]) -> None:
    words = _words(pa.array(sorted(theirs), pa.binary(16)))
    order = np.lexsort((words[:, 1], words[:, 0]))
    rings = Rings("run", words[order, 0], words[order, 1])
    assert set(rings.among(asked | theirs)) == theirs
    assert rings.among(asked - theirs) == []
