"""A small writer of MMDB files (MaxMind DB file format, version 2.0), so that tests need no vendor's data."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

Record = dict[str, Any]


class _Short(int):
    """Written as uint16."""


class _Long(int):
    """Written as uint64."""


_MARKER = b"\xab\xcd\xefMaxMind.com"


def write_mmdb(path: Path, records: dict[str, Record], version: int = 6) -> None:
    """A database of networks, which must not lie inside one another. In version 6, IPv4 lies under ::/96."""
    tree: list[list[int | bytes | None]] = [[None, None]]
    for text, record in records.items():
        network = ipaddress.ip_network(text)
        bits = f"{int(network.network_address):0{network.max_prefixlen}b}"[: network.prefixlen]
        _put(tree, "0" * 96 + bits if version == 6 and network.version == 4 else bits, _encode(record))
    data, places = b"", {}
    for node in tree:
        for side in node:
            if isinstance(side, bytes) and side not in places:
                places[side] = len(data)
                data += side
    count = len(tree)
    search = b"".join(
        (count if side is None else side if isinstance(side, int) else count + 16 + places[side]).to_bytes(
            4, "big"
        )
        for node in tree
        for side in node
    )
    about = {
        "binary_format_major_version": _Short(2),
        "binary_format_minor_version": _Short(0),
        "build_epoch": _Long(1),
        "database_type": "Test",
        "description": {"en": "test"},
        "ip_version": _Short(version),
        "languages": [],
        "node_count": count,
        "record_size": _Short(32),
    }
    path.write_bytes(search + bytes(16) + data + _MARKER + _encode(about))


def _put(tree: list[list[int | bytes | None]], bits: str, value: bytes) -> None:
    node = 0
    for bit in bits[:-1]:
        found = tree[node][int(bit)]
        if not isinstance(found, int):
            tree.append([None, None])
            found = tree[node][int(bit)] = len(tree) - 1
        node = found
    tree[node][int(bits[-1])] = value


def _encode(value: Any) -> bytes:
    if isinstance(value, bool):
        return bytes([value, 7])
    if isinstance(value, str):
        return _head(2, len(value.encode())) + value.encode()
    if isinstance(value, _Long):
        return bytes([8, 2]) + value.to_bytes(8, "big")
    if isinstance(value, int):
        raw = value.to_bytes(4, "big").lstrip(b"\0")
        return _head(5 if isinstance(value, _Short) else 6, len(raw)) + raw
    if isinstance(value, list):
        return bytes([len(value), 4]) + b"".join(map(_encode, value))
    return _head(7, len(value)) + b"".join(_encode(key) + _encode(inner) for key, inner in value.items())


def _head(kind: int, size: int) -> bytes:
    return bytes([kind << 5 | size]) if size < 29 else bytes([kind << 5 | 29, size - 29])
