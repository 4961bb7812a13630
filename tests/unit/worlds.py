"""Small worlds of events, made by hand or drawn by seed, brought into a home in this process."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from graph.home import Home
from ingest.job import ingest
from ingest.settings import IngestSettings

Event = dict[str, Any]

PEPPER = b"w" * 32
START = datetime(2026, 3, 1, tzinfo=UTC)
ARRIVED = START + timedelta(days=1_000)
HERE = IngestSettings(workers=0)
FIELDS = ("event_id", "event_type", "occurred_at", "org_id")


def at(hours: float) -> datetime:
    """So many hours after `START`."""
    return START + timedelta(hours=hours)


def event(org: str, hours: float, event_type: str = "session_started", **fields: Any) -> Event:
    """One event; `event_id` is missing until the event is in a world (see `numbered`)."""
    return {"org_id": org, "occurred_at": at(hours).isoformat(), "event_type": event_type, **fields}


def numbered(events: Iterable[Event]) -> list[Event]:
    """The events with ids, so that they are the same events in whatever file and order they come."""
    return [{"event_id": f"e{number}", **one} for number, one in enumerate(events)]


def home_of(folder: Path, *batches: Sequence[Event], columnar: bool = False) -> Home:
    """A new home in `folder` into which each batch was ingested by itself, in order."""
    home = Home(folder / "home")
    for batch in batches:
        add(home, batch, columnar=columnar)
    return home


def add(home: Home, *files: Sequence[Event], columnar: bool = False) -> None:
    """Bring events in, by one ingest of as many files; every one of them has to be stored."""
    home.ensure()
    paths = []
    for number, rows in enumerate(files):
        path = home.path.parent / f"in-{number}.{'parquet' if columnar else 'ndjson'}"
        _write(path, rows)
        paths.append(str(path))
    report = ingest(home, paths, settings=HERE, pepper=PEPPER, arrived_at=ARRIVED)
    for one, rows in zip(report.inputs, files, strict=True):
        assert (one.error, one.stored) == (None, len(rows)), one


def _write(path: Path, rows: Sequence[Event]) -> None:
    if path.suffix == ".parquet":
        names = [*FIELDS, *sorted({name for row in rows for name in row} - set(FIELDS))]
        pq.write_table(pa.table({name: [row.get(name) for row in rows] for name in names}), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))


DRAWN_KINDS: dict[str, tuple[str, ...]] = {
    "ip": tuple(f"198.51.100.{number}" for number in range(1, 6)),
    "device_id": ("dev-one", "dev-two", "dev-three"),
    "email": ("amy@one.example", "bob@one.example", "cyd@two.example", "dan@gmail.com"),
    "phone": ("+14155550101", "+14155550102"),
    "payment_method": ("card-token-one", "card-token-two"),
    "api_key": ("sk-one", "sk-two"),
    "user_id": ("user-one", "user-two"),
    "org_name": ("Amber Works", "Birch Labs"),
    "referral_code": ("refer-one", "refer-two"),
    "consumer_id": ("consumer-one",),
    "promo_code": ("promo-one",),
    "payment_bin": ("412345", "498765"),
}
"""Values of which a drawn world uses few, so that much is shared. None is a stop value, or another's other spelling."""


def drawn(
    seed: int, organizations: int = 24, events: int = 120, days: Sequence[int] = (1, 5, 40, 450)
) -> list[Event]:
    """A world by seed: uses of few values by many, in clumps, with silences that end sessions.

    There are as many clumps as `days`, each within so many days after the start; the default is 15 months.

    Times are whole minutes, so that equal times occur.
    """
    dice = random.Random(seed)
    clumps = [dice.uniform(0, latest * 24) for latest in days]
    return numbered(_drawn_event(dice, organizations, clumps) for _ in range(events))


def _drawn_event(dice: random.Random, organizations: int, clumps: Sequence[float]) -> Event:
    hours = dice.choice(clumps) + dice.choice([0.0, dice.uniform(0, 2), dice.uniform(0, 40)])
    org = f"org-{dice.randrange(organizations):02d}"
    event_type = dice.choice(["session_started", "organization_created", "phone_verified", "inference"])
    names = dice.sample(sorted(DRAWN_KINDS), dice.choice([1, 2, 2, 3]))
    fields: Event = {name: dice.choice(DRAWN_KINDS[name]) for name in names}
    if "payment_bin" in fields:
        fields["payment_kind"] = dice.choice(["prepaid", "virtual", "card"])
    if "device_id" in fields and dice.random() < 0.3:
        fields["attested"] = True
    if dice.random() < 0.1:
        fields["referrer_org_id"] = f"org-{dice.randrange(organizations):02d}"
    return event(org, round(hours * 60) / 60, event_type, **fields)


def beside(events: Iterable[Event], number: int) -> list[Event]:
    """The same world once more (`number` 0 to 9), of others who share nothing with those of another number."""
    return [{name: _other(name, value, number) for name, value in one.items()} for one in events]


def _other(name: str, value: Any, number: int) -> Any:
    letter = "ghjkmpqrst"[number]
    if name == "payment_bin":
        return f"{value[:-1]}{number}"
    if name == "ip":
        return f"10.{number}.0.{value.rpartition('.')[2]}"
    if name == "phone":
        return f"{value[:-3]}{number}{value[-2:]}"
    if name == "email":
        return (
            value.replace("@", f"{letter}@")
            .replace("one.", f"one-{letter}.")
            .replace("two.", f"two-{letter}.")
        )
    if name in ("event_id", "org_id", "referrer_org_id") or name in DRAWN_KINDS:
        return f"{value} {letter}" if name == "org_name" else f"{value}-{letter}"
    return value
