"""Small made-up views on which a detector is tried before it sees any data: every kind, every type, nulls, and groups
of two to twenty members."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from detection.lifecycle.views import VIEWS, Column

GROUPS = 60
HOUR = 3_600_000_000
START = 1_770_000_000_000_000
"""A moment in 2026: nothing happens before it."""
TYPES = {
    "BIGINT": pa.int64(),
    "INTEGER": pa.int32(),
    "DOUBLE": pa.float64(),
    "VARCHAR": pa.string(),
    "BOOLEAN": pa.bool_(),
    "UUID": pa.uuid(),
}
KINDS = (
    "ip",
    "device",
    "device_attested",
    "user",
    "tls_fingerprint",
    "api_key",
    "payment_method",
    "mailbox",
    "email_domain",
    "phone",
    "phone_verified",
    "name",
    "consumer",
    "promo_code",
    "referral_code",
)
EVENT_TYPES = (
    "organization_created",
    "user_added",
    "session_started",
    "email_verified",
    "api_key_created",
    "api_key_revoked",
    "payment_method_added",
    "invoice_paid",
    "trial_started",
    "promo_redeemed",
    "subscription_cancelled",
    "referral_redeemed",
    "reward_paid",
    "inference",
    "client_telemetry",
    "organization_restricted",
)
UNIQUE = {
    "member_links": ("cluster", "org", "kind", "key"),
    "member_activity": ("cluster", "org", "event_type"),
    "member_addresses": ("cluster", "org", "kind", "key"),
    "member_clients": ("cluster", "org", "key"),
    "member_hours": ("cluster", "org", "hour"),
    "member_moments": ("cluster", "org", "moment", "happened_at"),
    "referrals": ("org", "referrer"),
}
"""What no two rows of a view have in common."""


def sample(seed: int = 1) -> dict[str, pa.Table]:
    """Every view, filled with rows that could be; the same seed gives the same rows."""
    draw = random.Random(seed)
    groups = [draw.choice((2, 3, 5, 8, 20)) for _ in range(GROUPS)]
    members: list[dict[str, Any]] = []
    for cluster, size in enumerate(groups):
        members += [{"cluster": cluster, "org": len(members) + place} for place in range(size)]
    tables = {"members": _table("members", members)}
    tables["organizations"] = _table("organizations", [_organization(draw, one["org"]) for one in members])
    for name, unique in UNIQUE.items():
        rows = [_row(draw, name, one) for one in members for _ in range(draw.randrange(12))]
        kept = {tuple(row[column] for column in unique): row for row in rows}
        tables[name] = _table(name, list(kept.values()))
    return tables


def shuffled(tables: Mapping[str, pa.Table], seed: int = 2) -> dict[str, pa.Table]:
    """The same rows in another order."""
    draw = np.random.default_rng(seed)
    return {name: table.take(pa.array(draw.permutation(len(table)))) for name, table in tables.items()}


def empty(tables: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """The same views without a row."""
    return {name: table.slice(0, 0) for name, table in tables.items()}


def _table(name: str, rows: list[dict[str, Any]]) -> pa.Table:
    arrays = {}
    for column in VIEWS[name].columns:
        values = [row[column.name] for row in rows]
        if column.type == "UUID":
            arrays[column.name] = pa.ExtensionArray.from_storage(pa.uuid(), pa.array(values, pa.binary(16)))
        else:
            arrays[column.name] = pa.array(values, TYPES[column.type])
    return pa.table(arrays)


def _organization(draw: random.Random, org: int) -> dict[str, Any]:
    first = START + draw.randrange(500) * HOUR
    return {
        "org": org,
        "org_id": f"org_{org}",
        "created_at": draw.choice((first, None)),
        "first_at": first,
        "last_at": first + draw.randrange(500) * HOUR,
        "events": draw.randrange(1, 300),
        "cost": draw.choice((0.0, round(draw.random() * 50, 4))),
        "credit_used": draw.choice((0.0, round(draw.random() * 5, 4))),
        "country": draw.choice(("DE", "BR", None)),
        "plan": draw.choice(("free", "trial", "paid", None)),
    }


def _row(draw: random.Random, view: str, member: dict[str, Any]) -> dict[str, Any]:
    """A row of a view about a member: each column by its own rule, else by its type."""
    row = {column.name: _value(draw, column) for column in VIEWS[view].columns}
    row |= {name: value for name, value in member.items() if name in row}
    if view == "member_addresses":
        row["kind"] = draw.choice(("ip", "consumer"))
    if "last_at" in row:
        row["last_at"] = row["first_at"] + draw.randrange(200) * HOUR
    if view == "referrals":
        row["referrer"] = draw.randrange(member["org"] + 1)
    return row


def _value(draw: random.Random, column: Column) -> Any:
    rules: dict[str, Callable[[], Any]] = {
        "kind": lambda: draw.choice(KINDS),
        "event_type": lambda: draw.choice(EVENT_TYPES),
        "moment": lambda: draw.choice(("key_created", "key_revoked", "restricted", "restored")),
        "type": lambda: draw.choice(("residential", "hosting", None)),
        "hour": lambda: START // HOUR + draw.randrange(500),
        "hidden": lambda: int(draw.random() < 0.05),
    }
    if column.name in rules:
        return rules[column.name]()
    if column.name.endswith("_at"):
        return START + draw.randrange(500) * HOUR + draw.randrange(60) * 60_000_000
    by_type: dict[str, Callable[[], Any]] = {
        "UUID": lambda: draw.randrange(1, 400).to_bytes(16, "big"),
        "DOUBLE": lambda: draw.choice((None, round(draw.random() * 20, 4))),
        "BOOLEAN": lambda: draw.random() < 0.2,
    }
    return by_type.get(column.type, lambda: draw.randrange(1, 40))()
