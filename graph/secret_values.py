"""Secrets: API keys, payment methods and telephone numbers, which never leave ingest as they came.

What stands for one is its HMAC-SHA256 (RFC 2104) under the pepper, together with what is useful and harmless: the
last four characters, a card's range, a number's country and line type, whether the spelling hid characters. All of
that fits in one token, `hmac:v1:<hex>:<last four>:<a>:<b>:<h>`, which quarantine stores in place of the secret and
which reads back as the same secret.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from graph.phones import parse_phone
from graph.spelling import has_hidden, tidy

VERSION = "v1"
_TOKEN = re.compile(r"^hmac:v1:([0-9a-f]{64})(?::([^:]*))?(?::([^:]*))?(?::([^:]*))?(?::(h?))?$")
_CARD = re.compile(r"^[0-9]{12,19}$")
_SEPARATORS = re.compile(r"[ \-]")
MIN_FOR_LAST_FOUR = 8
"""A secret shorter than this shows nothing of itself."""
_INNER, _OUTER = 0x36, 0x5C


@dataclass(frozen=True)
class Secret:
    """What is kept of a secret. `country` and `line_type` are a phone's, `card_range` (BIN) a card's."""

    digest: str
    last_four: str = ""
    country: str | None = None
    line_type: str | None = None
    card_range: str | None = None
    hidden: bool = False

    @property
    def display(self) -> str:
        """What people see: `…1234`, or `…` where four characters would tell too much."""
        return f"…{self.last_four}"

    @property
    def token(self) -> str:
        """The text that quarantine keeps; `Hasher.read` gives the same Secret back."""
        first, second = self.country or self.card_range or "", self.line_type or ""
        return f"hmac:{VERSION}:{self.digest}:{self.last_four}:{first}:{second}:{'h' if self.hidden else ''}"


class Hasher:
    """HMAC-SHA256 under one pepper; pickles as the pepper."""

    def __init__(self, pepper: bytes) -> None:
        self._pepper = pepper
        block = (hashlib.sha256(pepper).digest() if len(pepper) > 64 else pepper).ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(b ^ _INNER for b in block))
        self._outer = hashlib.sha256(bytes(b ^ _OUTER for b in block))

    def __reduce__(self) -> tuple[type[Hasher], tuple[bytes]]:
        return Hasher, (self._pepper,)

    def digests(self, values: list[bytes]) -> list[str]:
        """The HMAC of each value, as 64 hex digits."""
        inner_copy, outer_copy = self._inner.copy, self._outer.copy
        out = []
        for value in values:
            inner = inner_copy()
            inner.update(value)
            outer = outer_copy()
            outer.update(inner.digest())
            out.append(outer.hexdigest())
        return out

    def read(self, kind: str, raw: str, region: str | None = None) -> Secret | None:
        """The secret that `raw` is (or is the token of); None for a placeholder. `kind` as in `identifiers.Kind`."""
        known = parse_token(kind, raw)
        if known is not None:
            return known
        hidden = has_hidden(raw)
        if kind == "phone":
            phone = parse_phone(raw, region)
            if phone is None:
                return None
            digest = self.digests([phone.canonical.encode()])[0]
            last = last_four(phone.canonical)
            return Secret(digest, last, phone.country, phone.line_type, hidden=hidden)
        canonical = tidy(raw)
        digest = self.digests([canonical.encode()])[0]
        card_range = bin_of(canonical) if kind == "payment_method" else None
        return Secret(digest, last_four(canonical), card_range=card_range, hidden=hidden)


def parse_token(kind: str, text: str) -> Secret | None:
    """The Secret that a token stands for, or None if the text is not one."""
    match = _TOKEN.match(text) if text.startswith("hmac:") else None
    if match is None:
        return None
    digest, last, first, second, hidden = match.groups()
    if kind == "phone":
        return Secret(digest, last or "", first or None, second or None, hidden=bool(hidden))
    return Secret(digest, last or "", card_range=first or None, hidden=bool(hidden))


def last_four(canonical: str) -> str:
    """The last four characters, none of a short secret; a colon would end the token's field and is left out."""
    return canonical[-4:].replace(":", "") if len(canonical) >= MIN_FOR_LAST_FOUR else ""


def bin_of(canonical: str) -> str | None:
    """The first six digits of what is a card number (12 to 19 digits), else None."""
    digits = _SEPARATORS.sub("", canonical)
    return digits[:6] if _CARD.match(digits) else None
