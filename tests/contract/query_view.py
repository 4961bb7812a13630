"""A small graph in which every named query finds something: a ring, a resale farm, a pair, and neighbours."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from graph_views import KEYER, START, HandView

from graph.identifiers import Kind

RING, FARM, DUO = "cl_4t6hq2mzxa", "cl_farmaaaaaa", "cl_duoaaaaaaa"
MEMBERS = {
    RING: ["ann", "bob", "cat", "dan", "eve", "fay"],
    FARM: ["gus", "hal", "ian"],
    DUO: ["jon", "kim"],
}
OTHERS = ["lea", "max", "nia", "o'brien", "pia", "quo", "ray"]
NAMES = {
    KEYER.key(Kind.ORGANIZATION, name): name
    for name in [*(name for names in MEMBERS.values() for name in names), *OTHERS]
}
RISKS = {RING: 95.5, FARM: 61.25, DUO: 20.0}
SECONDS = {
    "ann": 0,
    "bob": 20,
    "cat": 60,
    "dan": 61,
    "eve": 4_000,
    "fay": 40_000,
    "gus": 0,
    "hal": 59,
    "pia": 30,
}
"""Creation after `START`; everybody else days before, an hour apart."""


def hours(number: float) -> datetime:
    return START + timedelta(hours=number)


def shared(kind: str, text: str, *organizations: str) -> list[tuple[str, str, str]]:
    return [(kind, text, name) for name in organizations]


USES = [
    *shared("device", "device-ring", "ann", "bob", "cat"),
    *shared("device", "device-late", "cat", "dan"),
    *shared("device", "device-duo", "jon", "kim"),
    *shared("ip", "203.0.113.7", "ann", "bob", "cat", "dan", "gus", "jon", "lea", "max", "nia"),
    *shared("ip", "198.51.100.1", "gus", "hal", "pia"),
    *shared("ip", "198.51.100.2", "eve", "fay"),
    *shared("api_key", "sk-live-resold-0001", "gus", "hal", "ian", "jon", "max"),
    *shared("api_key", "sk-live-ring-0002", "ann", "bob", "cat"),
    *shared("consumer", "consumer-1", "gus", "hal", "ian", "ann"),
    *shared("consumer", "consumer-2", "lea", "max", "nia"),
    *shared("payment_method", "4111111111111111", "ann", "eve", "gus", "jon"),
    *shared("payment_method", "4222222222222222", "bob", "hal"),
    *shared("payment_method", "4333333333333333", "dan", "eve"),
    *shared("mailbox", "mail@example.net", "ann", "bob"),
    *shared("mailbox", "mai1@example.net", "gus", "lea"),
    *shared("mailbox", "ops@example.net", "hal", "ian"),
    *shared("name", "acme labs", "ann", "gus", "max"),
    *shared("name", "solo studio", "jon", "kim"),
    *shared("promo_code", "welcome50", "ann", "bob", "gus", "lea", "max"),
    *shared("promo_code", "spring", "cat", "dan", "eve", "hal"),
    *shared("phone", "+4915112345678", "kim", "quo"),
    *shared("user", "user-9", "quo", "ray"),
]
REFERRALS = [
    *(("ann", "bob"), ("bob", "cat"), ("cat", "ann"), ("dan", "eve"), ("eve", "dan")),
    *(("gus", "lea"), ("hal", "lea"), ("max", "lea"), ("ian", "hal"), ("nia", "ian")),
    ("pia", "quo"),
]
SHOWS = {
    RING: {"shared_device": 40.0, "trial_burn": 30.5, "base": -30.0},
    FARM: {"key_resale": 55.0, "shared_device": 5.0},
    DUO: {"shared_device": 40.0},
}


@dataclass
class QueryView(HandView):
    """The graph; only what the queries tell apart differs from `HandView`."""

    organizations: list[str] = field(default_factory=lambda: list(NAMES.values()))
    uses: list[tuple[str, str, str]] = field(default_factory=lambda: list(USES))
    clusters: dict[str, list[str]] = field(default_factory=lambda: dict(MEMBERS))
    referrals: list[tuple[str, str]] = field(default_factory=lambda: list(REFERRALS))
    shows: dict[str, dict[str, float]] = field(default_factory=lambda: dict(SHOWS))
    risks: dict[str, float] = field(default_factory=lambda: dict(RISKS))

    def node_rows(self, label: str) -> list[dict[str, Any]]:
        rows = super().node_rows(label)
        if label == "Organization":
            return [row | _organization(row["org_id"]) for row in rows]
        if label == "Run":
            return [row | {"as_of": hours(30)} for row in rows]
        if label == "Name":
            return [row | {"hidden": row["canonical"] == "acme labs"} for row in rows]
        return rows

    def relationship_rows(self, name: str) -> list[dict[str, Any]]:
        rows = super().relationship_rows(name)
        if name == "MEMBER_OF":
            return [row | _membership(row["source"]) for row in rows]
        if name == "SHOWS":
            extra = {"affected": 3, "eligible": 6, "value": 0.5, "baseline": 0.125}
            return [row | extra | ({"baseline": None} if row["target"] == "base" else {}) for row in rows]
        if name == "USED_IP":
            return [row | {"first_at": _first_use(row["source"])} for row in rows]
        if name == "REFERRED_BY":
            return [row | {"first_at": hours(place)} for place, row in enumerate(rows)]
        if name in ("USED_EMAIL", "HAS_NAME"):
            return [row | {"weight": None} for row in rows]
        return rows


def _created(name: str) -> datetime:
    if name in SECONDS:
        return START + timedelta(seconds=SECONDS[name])
    return START - timedelta(days=2, hours=sorted(NAMES.values()).index(name))


def _organization(name: str) -> dict[str, Any]:
    place = sorted(NAMES.values()).index(name)
    return {
        "created_at": None if name == "ray" else _created(name),
        "first_at": _created(name),
        "last_at": hours(12 + 2 * place),
        "plan": "trial" if place % 2 else "free",
        "cost": 0.5 * place,
    }


def _membership(key: bytes) -> dict[str, Any]:
    place = sorted(NAMES.values()).index(NAMES[key])
    spared = place % 3 == 0
    return {
        "member_risk": 99.0 - 7 * (place // 2),
        "actionable": not spared,
        "spared_reason": "pays" if spared else None,
    }


def _first_use(key: bytes) -> datetime:
    """When the organization was created, but for one that came to its addresses later."""
    late = timedelta(days=2) if NAMES[key] == "dan" else timedelta()
    return _created(NAMES[key]) + late
