"""Where the server may connect to on somebody's behalf: an allowlist of hosts, and public addresses only.

Whoever may write a URL could otherwise have the server ask its own network (SSRF). A name is resolved once and the
connection goes to the very address that was checked, so that a second answer of the DNS changes nothing.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from threading import Thread
from urllib.parse import urlsplit

from actions.refusals import Refusal

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Sequence[str]]
"""From a host and a port to its addresses as text. Raises OSError."""

LONGEST = 2_000
WIDEST = {4: 8, 6: 32}
"""Prefix lengths of the widest networks that an exception may name: none opens everything."""

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\Z")
_NUMBER = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)\Z")
_PLAIN = re.compile(r"[\x21-\x7e]+\Z")

_REFUSED = tuple(
    ipaddress.ip_network(each)
    for each in (
        # IPv4 special-purpose addresses (RFC 6890 and the registry that it began)
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        # inside 2000::/3, the only public part of IPv6: Teredo and other protocols, documentation, 6to4, AS112
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)
_PUBLIC_IPV6 = ipaddress.IPv6Network("2000::/3")


@dataclass(frozen=True)
class Exemption:
    """An admin's word that this host, at an address of this network, is meant: plain HTTP is allowed there, too."""

    host: str
    network: Network

    def __post_init__(self) -> None:
        if self.network.prefixlen < WIDEST[self.network.version]:
            raise Refusal(
                "bad_url", f"{self.network} is too wide for an exception", "Name the network of that host."
            )


@dataclass(frozen=True)
class EgressRules:
    """Hosts that may be connected to, as `name` (at the scheme's own port) or `name:port`. Empty: none."""

    hosts: frozenset[str] = frozenset()
    exceptions: tuple[Exemption, ...] = ()

    @classmethod
    def of(cls, hosts: Sequence[str], exceptions: Sequence[str] = ()) -> EgressRules:
        """From settings: `["hooks.example.com", "hooks.internal:8443"]`, `["hooks.internal 10.1.2.0/24"]`."""
        parsed = []
        for text in exceptions:
            host, _, network = text.partition(" ")
            try:
                parsed.append(Exemption(host.lower(), ipaddress.ip_network(network.strip())))
            except ValueError:
                raise Refusal(
                    "bad_url", f"{text!r} is no exception", "Write HOST NETWORK: hooks.internal 10.1.2.0/24"
                ) from None
        return cls(frozenset(host.lower() for host in hosts), tuple(parsed))

    def networks(self, host: str) -> list[Network]:
        """The networks that exceptions name for a host."""
        return [each.network for each in self.exceptions if each.host == host]


@dataclass(frozen=True)
class Target:
    """A URL that may be asked: `host` is a name, or an address without brackets."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Host and port as a URL has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _port_of(self.scheme) else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The one spelling of it."""
        return f"{self.scheme}://{self.authority}{self.path}"


def parse(url: str, rules: EgressRules) -> Target:
    """A URL's parts. Raises Refusal where it is not plainly spelled, or names a host that is not allowed."""
    if len(url) > LONGEST or not _PLAIN.match(url) or "\\" in url:
        raise _refused("it has characters that do not belong in a URL", "Write it in plain ASCII.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refused("it cannot be read", "It looks like https://hooks.example.com/ringfence") from None
    if parts.scheme not in {"https", "http"} or not parts.netloc:
        raise _refused("it is not https", "It looks like https://hooks.example.com/ringfence")
    if "@" in parts.netloc:
        raise _refused("it holds a user name", "Signatures say who sends; leave user and password out.")
    if parts.fragment or "#" in url:
        raise _refused("it has a fragment", "Leave # and what follows out.")
    host = _host(parts.netloc)
    target = Target(
        parts.scheme,
        host,
        _port_of(parts.scheme) if port is None else port,
        (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
    )
    _allowed(target, rules)
    return target


def addresses(target: Target, rules: EgressRules, resolve: Resolver, timeout: float) -> list[str]:
    """The addresses to connect to, after one look-up. Raises Refusal if any of them is not for us to ask; OSError.

    One bad address among good ones is enough: that is how a name is pointed inside.
    """
    literal = _literal(target.host)
    if literal is not None:
        found: Sequence[str] = [str(literal)]
    else:
        found = _in_time(lambda: resolve(target.host, target.port), timeout)
    if not found:
        raise OSError(f"{target.host} has no address")
    excepted = rules.networks(target.host)
    for text in found:
        if not may_connect(text, excepted):
            raise _refused(
                f"{target.host} is at an address that is not public",
                "If that is meant, webhook_exceptions under [actions] has to name this host and its network.",
            )
    return [text.partition("%")[0] for text in found]


def may_connect(text: str, excepted: Sequence[Network] = ()) -> bool:
    """Whether an address is public, or in a network that is excepted as it stands (never as what it embeds)."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if address.is_multicast or address.is_unspecified:
        return False
    if any(address.version == network.version and address in network for network in excepted):
        return True
    return is_public(address)


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet, and stands for no other address.

    IPv4 in IPv6 (mapped, compatible, NAT64, 6to4, Teredo) is refused altogether: none is inside what is public.
    """
    if isinstance(address, ipaddress.IPv6Address) and (address.scope_id or address not in _PUBLIC_IPV6):
        return False
    return not any(address.version == network.version and address in network for network in _REFUSED)


def system_resolver(host: str, port: int) -> list[str]:
    """What the system's resolver says."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def _host(netloc: str) -> str:
    """The host in its one spelling; odd spellings of addresses are refused, since others may read them otherwise."""
    bracketed = re.fullmatch(r"\[([0-9a-fA-F:.]+)\](?::\d{1,5})?", netloc)
    if bracketed is not None:
        literal = _literal(bracketed[1].lower())
        if literal is None or str(literal) != bracketed[1].lower():
            raise _refused("its address is spelled oddly", "Use a host name.")
        return str(literal)
    host = re.sub(r":\d{1,5}\Z", "", netloc).lower()
    if not _NAME.match(host):
        raise _refused("its host is no plain name", "Write it in ASCII, without a dot at the end.")
    if _NUMBER.match(host.rpartition(".")[2]) and (_literal(host) is None or str(_literal(host)) != host):
        raise _refused("its address is spelled oddly", "Use a host name.")
    return host


def _allowed(target: Target, rules: EgressRules) -> None:
    listed = {f"{target.host}:{target.port}"}
    if target.port == _port_of(target.scheme):
        listed.add(target.host)
    if not listed & rules.hosts:
        raise _refused(
            "its host is not on the allowlist", "An operator adds it to webhook_hosts under [actions]."
        )
    if target.scheme != "https" and not rules.networks(target.host):
        raise _refused("it is not https", "Plain http is for hosts that an exception names.")


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _port_of(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def _in_time(look_up: Callable[[], Sequence[str]], timeout: float) -> Sequence[str]:
    """The system's resolver knows no time limit: whoever is too slow answers nobody."""
    answer: Future[Sequence[str]] = Future()

    def body() -> None:
        try:
            answer.set_result(look_up())
        except Exception as error:  # it is raised where the answer is awaited
            answer.set_exception(error)

    Thread(target=body, daemon=True, name="resolver").start()
    try:
        return answer.result(timeout)
    except FutureTimeoutError:
        raise TimeoutError("the name was not resolved in time") from None


def _refused(why: str, remedy: str) -> Refusal:
    """Never repeats the URL: it may hold a secret."""
    return Refusal("bad_url", f"this URL is refused: {why}", remedy)
