"""Identifiers: what kinds there are, how each is spelled, and the key it gets.

Three forms of a value: **raw** (as it came), **canonical** (one for all spellings of the same thing) and, for names,
**skeleton** (one for all that look the same). A key is BLAKE2b-128 of the canonical form (of the skeleton for names,
of the HMAC for secrets) under the pepper, so that neither facts nor graph can be searched by guessing.
This module says it for one value; `ingest.identify` does the same for columns.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from enum import StrEnum

from graph.addresses import parse_ip
from graph.confusables import name_skeleton
from graph.email_rules import parse_email
from graph.secret_values import Hasher
from graph.spelling import fold, tidy
from graph.stop_values import EXACT_WORDS, is_stop, is_stop_mailbox

KEY_BYTES = 16


class Kind(StrEnum):
    """What an identifier identifies. The value is part of the key: equal text of two kinds is two identifiers."""

    ORGANIZATION = "organization"
    USER = "user"
    IP = "ip"
    IP_NETWORK = "ip_network"
    DEVICE = "device"
    TLS_FINGERPRINT = "tls_fingerprint"
    USER_AGENT = "user_agent"
    API_KEY = "api_key"
    PAYMENT_METHOD = "payment_method"
    MAILBOX = "mailbox"
    EMAIL_DOMAIN = "email_domain"
    PHONE = "phone"
    NAME = "name"
    CONSUMER = "consumer"
    REFERRAL_CODE = "referral_code"
    PROMO_CODE = "promo_code"
    PAYOUT = "payout"


SECRET_KINDS = frozenset({Kind.API_KEY, Kind.PAYMENT_METHOD, Kind.PHONE})
"""Kinds whose values are hashed before anything else."""

EXACT_KINDS = frozenset({Kind.ORGANIZATION, Kind.USER})
"""Kinds that are compared as they come: folding would merge different customers."""

TOKEN_KINDS = frozenset({Kind.DEVICE, Kind.TLS_FINGERPRINT})
"""Kinds that are folded where they are hex or UUIDs, which have no case, and otherwise keep theirs."""

TIDY_KINDS = frozenset({Kind.USER_AGENT, Kind.CONSUMER, Kind.PAYOUT})
"""Kinds written by programs: NFKC, invisible characters removed, case kept."""

FIELD_KINDS: dict[str, Kind] = {
    "org_id": Kind.ORGANIZATION,
    "user_id": Kind.USER,
    "ip": Kind.IP,
    "device_id": Kind.DEVICE,
    "tls_fingerprint": Kind.TLS_FINGERPRINT,
    "user_agent": Kind.USER_AGENT,
    "api_key": Kind.API_KEY,
    "payment_method": Kind.PAYMENT_METHOD,
    "email": Kind.MAILBOX,
    "phone": Kind.PHONE,
    "org_name": Kind.NAME,
    "consumer_id": Kind.CONSUMER,
    "referral_code": Kind.REFERRAL_CODE,
    "promo_code": Kind.PROMO_CODE,
    "payout_id": Kind.PAYOUT,
    "other_org_id": Kind.ORGANIZATION,
    "referrer_org_id": Kind.ORGANIZATION,
}
"""The kind that each identifier column of the event record holds."""

ENTITY_TYPES: dict[str, Kind] = {
    **{kind.value: kind for kind in Kind},
    **FIELD_KINDS,
    "org": Kind.ORGANIZATION,
    "ip_address": Kind.IP,
    "network": Kind.IP_NETWORK,
    "domain": Kind.EMAIL_DOMAIN,
    "fingerprint": Kind.TLS_FINGERPRINT,
    "phone_number": Kind.PHONE,
    "card": Kind.PAYMENT_METHOD,
}
"""What `entity_type` may say, folded."""

_HEX = re.compile(r"^[0-9A-Fa-f]+$")
_GROUPED = re.compile(
    r"^(?:\{?[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}?|[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2})+)$"
)
_LENGTH = re.compile(r"/[0-9]{1,3}$")
_PUNCTUATION = str.maketrans("", "", "-:{}")


def canonical(kind: Kind, raw: str) -> str | None:
    """The one spelling of what `raw` means, or None for a stop value. Not for secrets: see `secret_values`.

    Idempotent. `Kind.IP_NETWORK` takes an address or a network and gives the network.
    """
    if kind in SECRET_KINDS:
        raise ValueError(f"{kind} is a secret: it has a digest, not a canonical form")
    if kind in EXACT_KINDS:
        return None if is_stop_exact(raw) else raw
    if kind in TIDY_KINDS or kind in TOKEN_KINDS:
        text = tidy(raw)
        return _unless_stop(_canonical_token(text) if kind in TOKEN_KINDS else text)
    return _READERS.get(kind, _folded)(raw)


def _folded(raw: str) -> str | None:
    return _unless_stop(fold(raw))


def _address(raw: str) -> str | None:
    place = parse_ip(raw)
    return None if place is None else _unless_stop(place.address)


def _network(raw: str) -> str | None:
    folded = fold(raw)
    place = parse_ip(_LENGTH.sub("", folded))
    return None if place is None else _unless_stop(place.network or folded)


def _mailbox(raw: str) -> str | None:
    mailbox = parse_email(raw).mailbox
    return None if is_stop_mailbox(mailbox) else mailbox


def _domain(raw: str) -> str | None:
    bare = fold(raw).lstrip("@")
    return _unless_stop(parse_email(f"someone@{bare}").domain or bare)


_READERS: dict[Kind, Callable[[str], str | None]] = {
    Kind.IP: _address,
    Kind.IP_NETWORK: _network,
    Kind.MAILBOX: _mailbox,
    Kind.EMAIL_DOMAIN: _domain,
}


def is_stop_exact(raw: str) -> bool:
    """Whether an exact id is a placeholder: blank, or one of the few words that no system issues as an id."""
    return not raw.strip() or raw.strip().lower() in EXACT_WORDS


def _unless_stop(text: str) -> str | None:
    return None if is_stop(fold(text)) else text


def _canonical_token(text: str) -> str:
    if _HEX.match(text):
        return text.lower()
    return text.translate(_PUNCTUATION).lower() if _GROUPED.match(text) else text


def key_basis(kind: Kind, canonical_text: str) -> str:
    """The text that is keyed: the canonical form, for names their skeleton."""
    return name_skeleton(canonical_text) if kind is Kind.NAME else canonical_text


class Keyer:
    """Makes keys under one pepper; pickles as the pepper.

    BLAKE2b (RFC 7693), 16-byte digest, keyed with the first 64 bytes of the pepper, personalised by the kind.
    """

    def __init__(self, pepper: bytes) -> None:
        self.pepper = pepper
        self.hasher = Hasher(pepper)
        self._states = {
            kind: hashlib.blake2b(digest_size=KEY_BYTES, key=pepper[:64], person=kind.value.encode())
            for kind in Kind
        }

    def __reduce__(self) -> tuple[type[Keyer], tuple[bytes]]:
        return Keyer, (self.pepper,)

    def key(self, kind: Kind, basis: str) -> bytes:
        """The 16 bytes for one canonical text (skeleton, HMAC in hex)."""
        return self.keys(kind, [basis.encode()])

    def keys(self, kind: Kind, bases: Iterable[bytes]) -> bytes:
        """The keys of many texts (UTF-8), one after the other, 16 bytes each."""
        copy = self._states[kind].copy  # copying a keyed state is faster than keying one a value
        out = []
        for basis in bases:
            state = copy()
            state.update(basis)
            out.append(state.digest())
        return b"".join(out)

    def identify(self, kind: Kind, raw: str, region: str | None = None) -> bytes | None:
        """The key of a raw value of any kind, secrets included; None for a stop value."""
        if kind in SECRET_KINDS:
            if is_stop(fold(raw)):
                return None
            secret = self.hasher.read(kind, raw, region)
            return None if secret is None else self.key(kind, secret.digest)
        text = canonical(kind, raw)
        return None if text is None else self.key(kind, key_basis(kind, text))


def key(kind: Kind, canonical_text: str, pepper: bytes) -> bytes:
    """The 16-byte key of a canonical text; `Keyer` does the same for many."""
    return Keyer(pepper).key(kind, canonical_text)
