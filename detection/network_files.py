"""Files that say which network is of which type: CSV by hand, MMDB from a vendor or a public project."""

from __future__ import annotations

import csv
import ipaddress
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import maxminddb

from graph.errors import RingfenceError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

Span = tuple[int, int, int]
"""4 or 6, and the first and the last address; IPv6 counts in /64 networks, the unit that one customer gets."""
_WORDS_FOR = {
    "residential": ("isp", "cable/dsl", "dialup", "satellite", "consumer", "home"),
    "mobile": ("cellular", "cgnat", "carrier"),
    "office": (
        "campus",
        "university",
        "college",
        "school",
        "education",
        "business",
        "corporate",
        "government",
    ),
    "vpn": ("proxy", "tor", "relay", "anonymizer", "anonymous", "public_proxy"),
    "data_centre": ("datacenter", "data_center", "data centre", "data center", "hosting", "cdn", "cloud"),
}
TYPES = tuple(_WORDS_FOR)
ALIASES = {word: kind for kind, words in _WORDS_FOR.items() for word in words}
"""Words of common databases for the same."""
_FLAGS = (
    ("vpn", ("is_anonymous_vpn", "is_public_proxy", "is_residential_proxy", "is_tor_exit_node", "is_anonymous_proxy")),
    ("vpn", ("vpn", "proxy", "tor", "relay")),
    ("data_centre", ("is_hosting_provider", "hosting")),
)  # fmt: skip
_WORDS = ("type", "network_type", "connection_type", "user_type", "usage_type", "as_type", "asn_type")
_SYSTEMS = ("autonomous_system_number", "asn", "as_number")
_CSV_HINT = "A row is network,type[,name], for example 198.51.100.0/24,data_centre,Example Hosting."

Said = tuple[Span | int, str | int]
"""A network (or the number of an autonomous system) and its type (or the number of the system that it is of)."""


def read(path: Path) -> Iterator[Said]:
    """What one file says, row by row. Raises RingfenceError naming file and line when it cannot be understood."""
    return _read_csv(path) if path.suffix == ".csv" else _read_mmdb(path)


def _read_csv(path: Path) -> Iterator[Said]:
    line = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for row in reader:
                line = reader.line_num
                cells = [cell.strip() for cell in row]
                if (
                    not any(cells)
                    or cells[0].startswith("#")
                    or (line == 1 and cells[0].casefold() == "network")
                ):
                    continue
                yield from _said(cells)
    except OSError as error:
        raise RingfenceError(
            f"cannot read {path}: {error.strerror}", "Correct that, or take it away."
        ) from error
    except UnicodeDecodeError as error:
        raise RingfenceError(f"{path}, after line {line}: not UTF-8", "Store the table as UTF-8.") from error
    except (csv.Error, ValueError) as error:
        raise RingfenceError(f"{path}, line {max(line, 1)}: {error}", _CSV_HINT) from error


def _said(cells: list[str]) -> Iterator[Said]:
    if len(cells) < 2 or not cells[1]:
        raise ValueError("a network without a type")
    if len(cells) > 3:
        raise ValueError(f"{len(cells)} cells where three are the most")
    said = _system(cells[1])
    kind: str | int = _type(cells[1]) if said is None else said
    system = _system(cells[0])
    if system is not None:
        if isinstance(kind, int):
            raise ValueError(f"{cells[0]!r} is said to be a system again")
        yield system, kind
        return
    first, dash, last = cells[0].partition("-")
    if not dash:
        yield _plain(cells[0]) or _span(_network(cells[0])), kind
        return
    ends = [ipaddress.ip_address(end.strip()) for end in (first, last)]
    if ends[0].version != ends[1].version or int(ends[0]) > int(ends[1]):
        raise ValueError(f"{cells[0]!r} is no range of addresses")
    for network in ipaddress.summarize_address_range(*ends):
        yield _span(network), kind


def _span(network: Network) -> Span:
    first, last = int(network.network_address), int(network.broadcast_address)
    return (4, first, last) if network.version == 4 else (6, first >> 64, last >> 64)


def _plain(text: str) -> Span | None:
    """An IPv4 network as most rows write it, five times as fast as the standard library; None for all else."""
    address, _, length = text.partition("/")
    if not (length.isascii() and length.isdigit() and int(length) <= 32):
        return None
    try:
        first = int.from_bytes(socket.inet_pton(socket.AF_INET, address), "big")
    except OSError:
        return None
    last = first | (0xFFFFFFFF >> int(length))
    return (4, first, last) if first & (0xFFFFFFFF >> int(length)) == 0 else None


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        meant = ipaddress.ip_network(text, strict=False)  # says what is wrong where it is not this
        raise ValueError(f"{text!r} has bits beyond its length: {meant} is meant, or one address") from None


def _system(text: str) -> int | None:
    """The number of an autonomous system from `AS64496`."""
    digits = text[2:]
    return int(digits) if text[:2].upper() == "AS" and digits.isascii() and digits.isdigit() else None


def _type(text: str) -> str:
    found = _word(text)
    if found is None:
        raise ValueError(f"{text!r} is no type of network; use one of {', '.join(TYPES)}")
    return found


def _word(text: str) -> str | None:
    folded = text.strip().casefold().replace("-", "_")
    return folded if folded in TYPES else ALIASES.get(folded)


def _read_mmdb(path: Path) -> Iterator[Said]:
    try:
        with maxminddb.open_database(path) as database:
            some = False
            fields: set[str] = set()
            for network, record in database:
                flat = _flat(record)
                said = _record_type(flat)
                if said is not None:
                    some = True
                    yield _span(network), said
                elif len(fields) < 20:
                    fields.update(list(flat)[:20])
            if not some:
                raise RingfenceError(
                    f"{path} names neither types of networks nor autonomous systems,"
                    f" only {', '.join(sorted(fields)) or 'nothing'}",
                    "Use a database of connection types, anonymous addresses or autonomous systems.",
                )
    except (maxminddb.InvalidDatabaseError, ValueError) as error:
        raise RingfenceError(
            f"{path} is no MMDB file: {error}", "Fetch it again, or take it away."
        ) from error
    except OSError as error:
        raise RingfenceError(
            f"cannot read {path}: {error.strerror or error}", "Correct that, or take it away."
        ) from error


def _flat(record: Any) -> dict[str, Any]:
    """The fields of a record, those of records inside it (`traits`, `privacy`) among them."""
    if not isinstance(record, dict):
        return {}
    flat = {str(name): value for name, value in record.items() if not isinstance(value, dict)}
    for value in record.values():
        if isinstance(value, dict):
            flat |= {name: inner for name, inner in _flat(value).items() if name not in flat}
    return flat


def _record_type(flat: dict[str, Any]) -> str | int | None:
    """What a record says, its flags before its words, its words before its system."""
    for kind, names in _FLAGS:
        if any(flat.get(name) in (True, 1, "true") for name in names):
            return kind
    for name in _WORDS:
        found = _word(str(flat.get(name, "")))
        if found is not None:
            return found
    for name in _SYSTEMS:
        text = str(flat.get(name, ""))
        system = _system(text if text[:2].upper() == "AS" else f"AS{text}")
        if system is not None:
            return system
    return None
