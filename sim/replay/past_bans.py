"""A list of past bans, as its owner has it: a CSV with `org_id`, `banned_at` and, if known, `reason`."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from graph.errors import RingfenceError
from sim.replay.feed import epoch

NEEDS = "It needs a header with org_id and banned_at (RFC 3339), and may have a reason; other columns are left out."


@dataclass(frozen=True)
class Ban:
    """One organization that was banned, when (µs) and why, as far as anybody wrote it down."""

    org_id: str
    at: int
    reason: str


@dataclass(frozen=True)
class PastBans:
    """The earliest ban of each organization of a list, and what to say of the list."""

    bans: dict[str, Ban]
    warnings: tuple[str, ...]


def read_bans(path: Path) -> PastBans:
    """Read a list. Raises RingfenceError, naming the line, when it cannot be understood."""
    bans: dict[str, Ban] = {}
    repeated = zoneless = 0
    for line, row in _rows(path):
        org, written = row["org_id"], (row["banned_at"] or "").strip()
        if not org or not written:
            raise RingfenceError(f"line {line} of {path} has no org_id or no banned_at", NEEDS)
        at, zoned = _moment(path, line, written)
        zoneless += not zoned
        repeated += org in bans
        if org not in bans or epoch(at) < bans[org].at:
            bans[org] = Ban(org, epoch(at), (row.get("reason") or "").strip())
    if not bans:
        raise RingfenceError(f"{path} lists nobody", NEEDS)
    warnings = []
    if repeated:
        warnings.append(f"{repeated:,} lines name an organization again: its earliest ban counts")
    if zoneless:
        warnings.append(f"{zoneless:,} times have no zone: they count as UTC")
    return PastBans(bans, tuple(warnings))


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = {"org_id", "banned_at"} - set(reader.fieldnames or ())
            if missing:
                raise RingfenceError(f"{path} has no column {' and '.join(sorted(missing))}", NEEDS)
            for row in reader:
                yield reader.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RingfenceError(f"cannot read the list of bans {path}: {error}", NEEDS) from error


def _moment(path: Path, line: int, written: str) -> tuple[datetime, bool]:
    try:
        at = datetime.fromisoformat(written)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC), at.tzinfo is not None
    except (ValueError, OverflowError) as error:
        raise RingfenceError(f"line {line} of {path}: {written!r} is not a time", NEEDS) from error
