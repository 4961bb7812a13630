"""What decisions ask of the facts."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.deciding.usage import Usage
from api.services import detect
from detection.runs import Runs
from graph.errors import RingfenceError
from graph.home import Home
from tests.unit.worlds import PEPPER, add, at, event, home_of, numbered

NEAR = [
    event("a", 0, "organization_created", email="amy@mail.example", ip="198.51.100.7", device_id="dev-one"),
    event("b", 1, "organization_created", email="bob@MAIL.example", ip="198.51.100.9", phone="+447700900123"),
    event(
        "c", 2, "payment_method_added", payment_bin="412345", ip="203.0.113.5", tls_fingerprint="t13d1516h2"
    ),
    event("a", 3, "inference", cost_usd="1.5", api_key="sk-a"),
    event("a", 5, "inference", cost_usd="0.25", api_key="sk-a"),
    event("b", 5, "inference", cost_usd="2"),
    event("a", 1, "api_key_created", api_key="sk-a"),
    event("a", 1, "api_key_created", api_key="sk-old"),
    event("a", 4, "api_key_revoked", api_key="sk-old"),
    event("b", 1, "api_key_created", api_key="sk-b"),
]
LONG_AGO = [event("d", -24 * 40, "organization_created", email="dan@mail.example", device_id="dev-one")]


@pytest.fixture
def usage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Usage:
    monkeypatch.setenv("RINGFENCE_PEPPER_FILE", str(tmp_path / "pepper"))
    (tmp_path / "pepper").write_bytes(PEPPER)
    home = home_of(tmp_path, numbered([*NEAR, *LONG_AGO]))
    detect(home, store="none")
    return Usage(home, Runs(home).open(), PEPPER)


def test_consumption_since_a_moment(usage: Usage) -> None:
    assert usage.consumption(["a", "b", "c"], at(0)) == {"a": 1.75, "b": 2.0}
    assert usage.consumption(["a", "c"], at(4)) == {"a": 0.25}
    assert usage.consumption([], at(0)) == {}


def test_consumption_is_asked_again_after_more_came(usage: Usage, tmp_path: Path) -> None:
    assert usage.consumption(["a"], at(4)) == {"a": 0.25}
    add(Home(tmp_path / "home"), [{"event_id": "late", **event("a", 6, "inference", cost_usd="1")}])
    assert usage.consumption(["a"], at(4)) == {"a": 1.25}


@pytest.mark.parametrize(
    ("entity_type", "entity", "hit"),
    [
        ("domain", "mail.example", ("a", "b")),
        ("domain", "@Mail.Example", ("a", "b")),
        ("domain", "other.example", ()),
        ("bin", "412345", ("c",)),
        ("network", "198.51.100.0/24", ("a", "b")),
        ("network", "198.51.100.8/30", ("b",)),
        ("network", "0.0.0.0/0", ("a", "b", "c")),
        ("network", "2001:db8::/32", ()),
        ("phone_range", "+44 7700", ("b",)),
        ("tls_fingerprint", "t13d1516h2", ("c",)),
        ("device", "dev-one", ("a",)),
    ],
)
def test_whom_a_measure_at_the_door_would_have_hit(
    usage: Usage, entity_type: str, entity: str, hit: tuple[str, ...]
) -> None:
    found = usage.legitimate_hits(entity_type, [entity])[entity]
    assert (found.organizations, found.sample) == (len(hit), hit)


@pytest.mark.parametrize(("entity_type", "entity"), [("network", "nonsense"), ("phone_range", "nonsense")])
def test_nonsense_is_refused(usage: Usage, entity_type: str, entity: str) -> None:
    with pytest.raises(RingfenceError) as refused:
        usage.legitimate_hits(entity_type, [entity])
    assert refused.value.exit_code == 2


def test_active_keys_are_those_that_were_not_revoked(usage: Usage) -> None:
    found = usage.active_keys(["a", "b", "c"])
    assert {org: len(keys) for org, keys in found.items()} == {"a": 1, "b": 1}
    assert all(len(key) == 32 for keys in found.values() for key in keys)
