"""IP addresses: one spelling, the unit that one customer gets, and the network around it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from graph.spelling import fold

_NOWHERE = tuple(
    ip_network(text)
    for text in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/127", "fe80::/10", "ff00::/8")
)
"""Unspecified, loopback, link-local, multicast, reserved: they name no customer. Private addresses do name one
gateway of somebody's and stay."""
PLAIN_IPV4 = r"^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)$"
NOWHERE_IPV4 = r"^(?:0|127|169\.254|22[4-9]|2[3-5]\d)\."
"""The IPv4 part of `_NOWHERE` as a pattern over PLAIN_IPV4 text, for columns."""
_PORT_V4 = re.compile(r"^([0-9.]+):[0-9]{1,5}$")
_WHOLE = re.compile(r"/(?:32|64|128)$")
_BRACKETS = re.compile(r"^\[([0-9a-f:.]+)(?:%[^\]]*)?\](?::[0-9]{1,5})?$")


@dataclass(frozen=True)
class Place:
    """`address`: an IPv4 address or an IPv6 /64; `network`: its /24 or /48, None for what is no address."""

    address: str
    network: str | None


def parse_ip(raw: str) -> Place | None:
    """Where `raw` points; None for addresses that name nobody.

    IPv4 mapped into IPv6 is unwrapped; ports, brackets, zones and lengths that mean one customer are dropped. Text that is no address is kept folded:
    it may still be shared, and dropping the row would let a forged header hide its sender.
    """
    folded = fold(raw)
    bare = _PORT_V4.sub(r"\1", _BRACKETS.sub(r"\1", _WHOLE.sub("", folded))).partition("%")[0]
    try:
        address = ip_address(bare)
    except ValueError:
        return Place(folded, None) if folded else None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if any(address in network for network in _NOWHERE if network.version == address.version):
        return None
    if isinstance(address, IPv4Address):
        return Place(str(address), str(IPv4Network((address, 24), strict=False)))
    return Place(
        str(IPv6Network((address, 64), strict=False)), str(IPv6Network((address, 48), strict=False))
    )
