"""Secrets that are shown once and kept as digests."""

from __future__ import annotations

import hashlib
import secrets

BYTES = 32
"""256 bits: nobody guesses one, so a plain SHA-256 keeps it safe at rest; there is nothing to slow down."""
TOKEN = "rf_"  # noqa: S105  # by which scanners of source code recognise a leaked one
LONGEST = 200


def new(prefix: str = "") -> str:
    """256 random bits as text."""
    return prefix + secrets.token_urlsafe(BYTES)


def digest(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def plausible(secret: str) -> bool:
    """Whether it is worth asking the ledger about."""
    return 0 < len(secret) <= LONGEST and secret.isascii()
