"""IP addresses: one spelling, the unit that one customer gets, and the network around it."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from functools import lru_cache

from graph.spelling import fold

PLAIN_IPV4 = r"^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)$"
NOWHERE_IPV4 = r"^(?:0|127|169\.254|22[4-9]|2[3-5]\d)\."
"""Unspecified, loopback, link-local, multicast and reserved IPv4 addresses, as a pattern over PLAIN_IPV4: they name
no customer. Private addresses do name somebody's gateway and stay."""
_V4 = re.compile(PLAIN_IPV4)
_MAPPED = bytes(10) + b"\xff\xff"
_NOWHERE_V4 = re.compile(NOWHERE_IPV4)
_PORT_V4 = re.compile(r"^([0-9.]+):[0-9]{1,5}$")
_WHOLE = re.compile(r"/(?:32|64|128)$")
_BRACKETS = re.compile(r"^\[([0-9a-f:.]+)(?:%[^\]]*)?\](?::[0-9]{1,5})?$")


@dataclass(frozen=True)
class Place:
    """`address`: an IPv4 address or an IPv6 /64; `network`: its /24 or /48, None for what is no address."""

    address: str
    network: str | None


@lru_cache(maxsize=65_536)
def parse_ip(raw: str) -> Place | None:
    """Where `raw` points; None for addresses that name nobody.

    IPv4 mapped into IPv6 is unwrapped; ports, brackets, zones and lengths that mean one customer are dropped.
    Text that is no address is kept folded: it may still be shared, and dropping the row would let a forged header
    hide its sender.
    """
    folded = fold(raw)
    bare = _PORT_V4.sub(r"\1", _BRACKETS.sub(r"\1", _WHOLE.sub("", folded))).partition("%")[0]
    if _V4.match(bare):
        return _place_v4(bare)
    try:
        packed = socket.inet_pton(socket.AF_INET6, bare)
    except (OSError, ValueError):
        return Place(folded, None) if folded else None
    if packed.startswith(_MAPPED):
        return _place_v4(".".join(map(str, packed[12:])))
    return _place_v6(packed)


def _place_v4(address: str) -> Place | None:
    if _NOWHERE_V4.match(address):
        return None
    return Place(address, f"{address.rpartition('.')[0]}.0/24")


def _place_v6(packed: bytes) -> Place | None:
    """None for ::/64 (unspecified, loopback, IPv4-compatible), fe80::/10 (link-local) and ff00::/8 (multicast)."""
    link_local = packed[0] == 0xFE and packed[1] >> 6 == 2
    if link_local or packed[0] == 0xFF or not any(packed[:8]):
        return None
    groups = packed[:8].hex(":", 2).split(":")
    return Place(f"{_prefix(groups)}/64", f"{_prefix(groups[:3])}/48")


def _prefix(groups: list[str]) -> str:
    """RFC 5952 text of leading groups followed by zeros, which are the longest run of them."""
    short = [group.lstrip("0") or "0" for group in groups]
    while short and short[-1] == "0":
        short.pop()
    return f"{':'.join(short)}::"
