"""When members of a cluster appeared and were last seen, and when what speaks against them happened."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pyarrow as pa

from api.answers.resident import Resident

UNITS = {"day": timedelta(days=1), "hour": timedelta(hours=1)}


@dataclass
class Stretch:
    """What happened from `at` on, for one unit."""

    at: datetime
    appeared: int = 0
    last_seen: int = 0
    evidence: Counter[str] = field(default_factory=Counter)


def timeline(run: Resident, cluster_id: str, unit: str) -> list[Stretch]:
    """The stretches of a cluster's life in which something happened, in order."""
    members, rows = run.members.rows(cluster_id), run.evidence_rows.rows(cluster_id)
    found: defaultdict[datetime, Stretch] = defaultdict(lambda: Stretch(datetime.min))
    for at, count in _counted(members["first_at"], unit).items():
        found[at].appeared = count
    for at, count in _counted(members["last_at"], unit).items():
        found[at].last_seen = count
    moments = rows["happened_at"].to_pylist()
    for moment, signal in zip(moments, rows["signal"].to_pylist(), strict=True):
        if moment is not None:
            found[_floor(moment, unit)].evidence[signal] += 1
    return [Stretch(at, each.appeared, each.last_seen, each.evidence) for at, each in sorted(found.items())]


def _counted(column: pa.ChunkedArray, unit: str) -> Counter[datetime]:
    return Counter(_floor(moment, unit) for moment in column.to_pylist() if moment is not None)


def _floor(moment: datetime, unit: str) -> datetime:
    hour = moment.replace(minute=0, second=0, microsecond=0)
    return hour if unit == "hour" else hour.replace(hour=0)
