"""Identifiers: ordered by time where people list them, keyed hashes where nobody may foresee them."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from datetime import datetime
from uuid import UUID


def uuid7(at: datetime) -> UUID:
    """A UUID of version 7 (RFC 9562, 5.7): 48 bits of milliseconds, then randomness."""
    milliseconds = int(at.timestamp() * 1000) & (1 << 48) - 1
    random = secrets.randbits(74)
    return UUID(int=milliseconds << 80 | 7 << 76 | (random >> 62) << 64 | 2 << 62 | random & (1 << 62) - 1)


def new_id(prefix: str, at: datetime) -> str:
    """`prefix_` and a UUIDv7: `plan_0190…`."""
    return f"{prefix}_{uuid7(at)}"


def keyed(secret: bytes, purpose: str) -> Callable[[str], bytes]:
    """HMAC-SHA256 under a key of its own for each purpose."""
    base = hmac.new(hmac.digest(secret, purpose.encode(), "sha256"), digestmod=hashlib.sha256)

    def digest(text: str) -> bytes:
        each = base.copy()
        each.update(text.encode())
        return each.digest()

    return digest


def effect_ids(secret: bytes, plan_id: str, action: str) -> Callable[[str], str]:
    """`effect_id = HMAC(plan, org, action)`, for any organization of one plan."""
    digest = keyed(secret, f"effect\0{plan_id}\0{action}")
    return lambda org_id: digest(org_id).hex()[:40]


def draws(secret: bytes, what: str) -> Callable[[str], int]:
    """A number of 62 bits for any organization: the random order of one plan, that nobody can foresee."""
    digest = keyed(secret, f"draw\0{what}")
    return lambda org_id: int.from_bytes(digest(org_id)[:8], "big") >> 2
