"""Network tables of the operator: which networks are whose, from CSV and MMDB files, and the addresses in them.

Files lie in `HOME/networks`. A CSV row is `network,type[,name]`; docs/recipes/networks.md tells more.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from detection.engines.duckdb import Engine
from detection.network_files import TYPES, read
from graph.addresses import PLAIN_IPV4
from graph.facts import FactsReader
from graph.home import Home

Words = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]

UNKNOWN = -1


@dataclass(frozen=True)
class Spans:
    """Disjoint spans of addresses of one family, sorted: span i reaches from `starts[i]` to before `starts[i + 1]`.

    IPv6 counts in /64 networks, the unit that one customer gets. `types` index `TYPES`; -1: nothing is known.
    """

    starts: Words
    types: Ints

    def of(self, addresses: Words) -> Ints:
        """The type of each address, -1 where unknown."""
        if not len(self.starts):
            return np.full(len(addresses), UNKNOWN)
        at = np.searchsorted(self.starts, addresses, side="right") - 1
        return np.where(at >= 0, self.types[np.maximum(at, 0)], UNKNOWN)


@dataclass(frozen=True)
class NetworkTables:
    """What all tables of a home say together."""

    v4: Spans
    v6: Spans

    def of(self, texts: pa.Array) -> Ints:
        """The type of each canonical address (`graph.addresses`), -1 where unknown or no address."""
        found = np.full(len(texts), UNKNOWN)
        plain = pc.fill_null(pc.match_substring_regex(texts, PLAIN_IPV4), False).to_numpy(
            zero_copy_only=False
        )
        octets = pc.list_flatten(pc.split_pattern(texts.filter(pa.array(plain)), ".")).cast(pa.int64())
        found[plain] = self.v4.of(
            (octets.to_numpy().reshape(-1, 4) @ [1 << 24, 1 << 16, 1 << 8, 1]).astype(np.uint64)
        )
        modern = np.flatnonzero(
            pc.fill_null(pc.ends_with(texts, "/64"), False).to_numpy(zero_copy_only=False)
        )
        packed = [_front(text.removesuffix("/64")) for text in texts.take(pa.array(modern)).to_pylist()]
        found[modern] = self.v6.of(np.array(packed, dtype=np.uint64))
        return found


def _front(text: str) -> int:
    """The first 64 bits of an IPv6 address; 0, which is nobody's, for what is none."""
    try:
        return int.from_bytes(socket.inet_pton(socket.AF_INET6, text)[:8], "big")
    except OSError:
        return 0


def know_addresses(engine: Engine, home: Home, facts: FactsReader) -> None:
    """Leave `known_addresses` (key, type): the addresses of the facts that lie in networks of the operator's tables.

    Raises RingfenceError naming file and line when a table cannot be understood.
    """
    tables = read_tables(home.path / "networks")
    if tables is None:
        engine.empty("known_addresses", "key UUID, type VARCHAR")
        return
    engine.read(
        "address_texts", facts.value_files(), "key, canonical", "kind = 'ip' AND canonical IS NOT NULL"
    )
    seen = engine.fetch("SELECT key, MIN(canonical) AS text FROM address_texts GROUP BY key")
    types = tables.of(seen["text"].combine_chunks().cast(pa.string()))
    known = np.flatnonzero(types >= 0)
    named = pa.array(TYPES, pa.string()).take(pa.array(types[known]))
    engine.register(
        "known_addresses",
        pa.table({"key": seen["key"].combine_chunks().take(pa.array(known)), "type": named}),
    )


def read_tables(folder: Path) -> NetworkTables | None:
    """All tables of a folder, or None when there is none.

    Of networks inside one another the smallest counts; of the same network in several tables, that of the file whose
    name comes last. Raises RingfenceError naming file and line.
    """
    paths = sorted(path for path in folder.glob("*") if path.suffix in (".csv", ".mmdb"))
    if not paths:
        return None
    states = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    known = _Compiled(folder / ".compiled.parquet", hashlib.sha256(repr(states).encode()).hexdigest())
    return known.load() or known.save(_compile(paths))


@dataclass(frozen=True)
class _Compiled:
    """What tables came to, kept beside them: large ones take seconds to read, and runs are many."""

    path: Path
    state: str

    def load(self) -> NetworkTables | None:
        """The tables as they were compiled, unless a file has changed since."""
        try:
            kept = pq.read_table(self.path)
            if (kept.schema.metadata or {}).get(b"state") != self.state.encode():
                return None
            family, start, code = (kept[name].to_numpy() for name in ("family", "start", "type"))
        except (OSError, KeyError, pa.ArrowException):
            return None
        return NetworkTables(*(Spans(start[family == one], code[family == one]) for one in (4, 6)))

    def save(self, tables: NetworkTables) -> NetworkTables:
        """Keep them where the folder can be written; what is only faster must not fail."""
        both = (tables.v4, tables.v6)
        columns = {
            "family": np.repeat([4, 6], [len(one.starts) for one in both]),
            "start": np.concatenate([one.starts for one in both]),
            "type": np.concatenate([one.types for one in both]),
        }
        scratch = self.path.with_name(f".{secrets.token_hex(8)}")
        with contextlib.suppress(OSError):
            pq.write_table(pa.table(columns).replace_schema_metadata({"state": self.state}), scratch)
            scratch.replace(self.path)
        scratch.unlink(missing_ok=True)
        return tables


def _compile(paths: list[Path]) -> NetworkTables:
    types: list[str | int] = []
    networks: dict[int, list[tuple[int, int, int]]] = {4: [], 6: []}
    systems: dict[int, str] = {}
    for path in paths:
        for subject, said in read(path):
            if isinstance(subject, int):
                systems[subject] = str(said)
                continue
            version, first, last = subject
            networks[version].append((first, last, len(types)))
            types.append(said)
    codes = np.array([_code(said, systems) for said in types], dtype=np.int64)
    return NetworkTables(*(_flatten(networks[version], codes) for version in (4, 6)))


def _code(said: str | int, systems: dict[int, str]) -> int:
    word = systems.get(said) if isinstance(said, int) else said
    return TYPES.index(word) if word is not None else UNKNOWN


def _flatten(networks: list[tuple[int, int, int]], codes: Ints) -> Spans:
    """Spans from networks inside or beside one another: the smaller over the larger, the later over the same."""
    starts: list[int] = []
    found: list[int] = []
    open_: list[tuple[int, int]] = []  # (last address, type), each inside the one before

    def close(before: int | None) -> None:
        while open_ and (before is None or open_[-1][0] < before):
            last, _ = open_.pop()
            say(last + 1, open_[-1][1] if open_ else UNKNOWN)

    def say(start: int, code: int) -> None:
        if starts and starts[-1] == start:
            found[-1] = code
        elif start < 1 << 64:
            starts.append(start)
            found.append(code)

    for first, last, row in sorted(networks, key=lambda one: (one[0], -one[1], one[2])):
        if codes[row] != UNKNOWN:
            close(first)
            say(first, int(codes[row]))
            open_.append((last, int(codes[row])))
    close(None)
    return Spans(np.array(starts, dtype=np.uint64), np.array(found, dtype=np.int64))
