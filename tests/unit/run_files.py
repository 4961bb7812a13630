"""A small run's files with nasty values, for what reads them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from graph.facts_schema import VALUES
from graph.identifiers import Keyer, Kind

KEYER = Keyer(b"p" * 32)
AS_OF = datetime(2025, 10, 3, tzinfo=UTC)
MOMENT = pa.timestamp("us", tz="UTC")
ORGS = ("=cmd|' /C calc'!A0", 'quo"te, comma', "line\r\nbreak", "bell\x07 \u202ertl", "plain", "alone")
RING, PAIR = "cl_bbbbbbbbbb", "cl_aaaaaaaaaa"
MEMBERS = {RING: ORGS[:3], PAIR: ORGS[3:5]}

Use = tuple[str, str, str]  # kind, canonical text, org_id
USES: tuple[Use, ...] = (
    *(("ip", "192.0.2.7", org) for org in ORGS),
    *(("device", "dev-1", org) for org in ORGS[:3]),
    *(("device_attested", "dev-1", org) for org in ORGS[:2]),
    *(("mailbox", "=evil@corp.example", org) for org in ORGS[1:3]),
    *(("api_key", "hmac-of-a-key", org) for org in ORGS[3:5]),
    *(("name", "acme & sons <#>\x07", org) for org in ORGS[2:4]),
    *(("phone", "hmac-of-a-phone", org) for org in (ORGS[0], ORGS[4])),
)
BASE = {"device_attested": Kind.DEVICE}


def key(kind: str, text: str) -> bytes:
    return KEYER.key(BASE.get(kind) or Kind(kind), text)


def _uuids(keys: Sequence[bytes]) -> pa.Array:
    return pa.ExtensionArray.from_storage(pa.uuid(), pa.array(keys, pa.binary(16)))


def _at(number: int) -> datetime:
    return AS_OF - timedelta(hours=number)


def write_run(folder: Path, uses: Sequence[Use] = USES) -> Path:
    """The run's files, as far as the graph and exports read them."""
    folder.mkdir(exist_ok=True)
    for name, table in {
        "organizations": _organizations(),
        "members": _members(),
        "clusters": _clusters(),
        "evidence": _evidence(),
        "referrals": _referrals(),
    }.items():
        pq.write_table(table, folder / f"{name}.parquet")
    pq.write_table(_links(uses), folder / "links.parquet")
    return folder


def write_values(path: Path, uses: Sequence[Use] = USES, **more: Any) -> Path:
    """A value file of the facts: one row a use, secrets masked."""
    rows = [(kind, text) for kind, text, _ in uses if kind not in BASE]
    secret = [kind in ("api_key", "phone") for kind, _ in rows]
    canonical = [None if hidden else text for hidden, (_, text) in zip(secret, rows, strict=True)]
    columns = {
        "kind": pa.array([kind for kind, _ in rows]).dictionary_encode(),
        "key": _uuids([key(kind, text) for kind, text in rows]),
        "organization": _uuids([key("organization", ORGS[0])] * len(rows)),
        "raw": pa.array(canonical, pa.string()),
        "canonical": pa.array(canonical, pa.string()),
        "display": pa.array(
            ["…1234" if hidden else text for hidden, (_, text) in zip(secret, rows, strict=True)]
        ),
        "hidden": pa.array([False] * len(rows)),
    }
    columns |= {name: pa.array([value] * len(rows)) for name, value in more.items()}
    pq.write_table(pa.table(columns).cast(VALUES), path)
    return path


def _organizations() -> pa.Table:
    count = len(ORGS)
    times = pa.array([_at(number) for number in range(count)], MOMENT)
    return pa.table(
        {
            "org_id": pa.array(ORGS),
            "organization": _uuids([key("organization", org) for org in ORGS]),
            "created_at": times,
            "first_at": times,
            "last_at": times,
            "country": pa.array(["DE"] * count),
            "plan": pa.nulls(count, pa.string()),
            "cost": pa.array([1.5] * count),
            "events": pa.array([7] * count, pa.int64()),
            "referred": pa.array([1] + [0] * (count - 1), pa.int64()),
        }
    )


def _members() -> pa.Table:
    rows = [(cluster, org) for cluster, orgs in MEMBERS.items() for org in orgs]
    count = len(rows)
    times = pa.array([_at(number) for number in range(count)], MOMENT)
    return pa.table(
        {
            "org_id": pa.array([org for _, org in rows]),
            "organization": _uuids([key("organization", org) for _, org in rows]),
            "cluster_id": pa.array([cluster for cluster, _ in rows]),
            "cluster_risk": pa.array([90.5 if cluster == RING else 20.0 for cluster, _ in rows]),
            "member_risk": pa.array([80.0 + number for number in range(count)]),
            "actionable": pa.array([False] * count),
            "spared_reason": pa.array(["admission not evaluated"] * count),
            "top_evidence": pa.array(["shared_device;hit_and_run"] * count),
            "first_at": times,
            "last_at": times,
            "cost": pa.array([1.5] * count),
        }
    )


def _evidence() -> pa.Table:
    rows = [
        (RING, "base", -20.0),
        (RING, "shared_device", 22.0),
        (RING, "lockstep", 0.0),
        (PAIR, "base", -20.0),
    ]
    count = len(rows)
    return pa.table(
        {
            "cluster_id": pa.array([cluster for cluster, _, _ in rows]),
            "signal": pa.array([signal for _, signal, _ in rows]),
            "title": pa.array([signal.capitalize() for _, signal, _ in rows]),
            "group": pa.array(["common"] * count),
            "value": pa.array([0.5] * count),
            "baseline": pa.array([None, 0.1, 0.1, None]),
            "affected": pa.array([2] * count, pa.int64()),
            "eligible": pa.array([3] * count, pa.int64()),
            "points": pa.array([points for _, _, points in rows]),
            "fact": pa.array(["2 of 3 show it"] * count),
        }
    )


def _referrals() -> pa.Table:
    return pa.table(
        {
            "org_id": pa.array([ORGS[1]]),
            "organization": _uuids([key("organization", ORGS[1])]),
            "referrer_id": pa.array([ORGS[0]]),
            "referrer": _uuids([key("organization", ORGS[0])]),
            "code": _uuids([key("referral_code", "join-us")]),
            "first_at": pa.array([_at(3)], MOMENT),
        }
    )


def _clusters() -> pa.Table:
    times = pa.array([_at(1), _at(2)], MOMENT)
    return pa.table(
        {
            "cluster_id": pa.array([RING, PAIR]),
            "name": pa.array(["=ring", "pair"]),
            "pattern": pa.array(["mixed", "mixed"]),
            "size": pa.array([3, 2], pa.int64()),
            "actionable": pa.array([2, 0], pa.int64()),
            "risk": pa.array([90.5, 20.0]),
            "points": pa.array([2.0, -1.0]),
            "founder": pa.array([ORGS[0], ORGS[3]]),
            "born_at": times,
            "first_at": times,
            "last_at": times,
            "new_24h": pa.array([1, 0], pa.int64()),
            "cost": pa.array([4.5, 3.0]),
            "cost_24h": pa.array([0.5, 0.0]),
            "credit_used": pa.array([1.0, 0.0]),
            "ties": pa.array([3, 1], pa.int64()),
            "top_evidence": pa.array(["shared_device", ""]),
        }
    )


def _links(uses: Sequence[Use]) -> pa.Table:
    users = [sum(other[:2] == use[:2] for other in uses) for use in uses]
    return pa.table(
        {
            "org_id": pa.array([org for *_, org in uses], pa.string()),
            "organization": _uuids([key("organization", org) for *_, org in uses]),
            "kind": pa.array([kind for kind, *_ in uses], pa.string()),
            "key": _uuids([key(kind, text) for kind, text, _ in uses]),
            "first_at": pa.array([_at(ORGS.index(org) + 1) for *_, org in uses], MOMENT),
            "last_at": pa.array([_at(0) for _ in uses], MOMENT),
            "uses": pa.array([3] * len(uses), pa.int64()),
            "orgs": pa.array(users, pa.int32()),
            "weight": pa.array([0.25] * len(uses), pa.float64()),
            "evidence_class": pa.array(["unilateral"] * len(uses), pa.string()),
        }
    )
