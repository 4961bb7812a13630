"""The signals of the run that is shown."""

from __future__ import annotations

from api.http.guard import Routes
from api.reads import Reads
from api.routes.needs import ReadsOf
from api.schemas.base import Page
from api.schemas.runs import Signal

routes = Routes("signals")


@routes.reads("/signals")
def list_signals(reads: ReadsOf) -> Page[Signal]:
    """What detectors look for, and how many clusters each gives points."""
    items = reads.kept("signals", None, lambda: _signals(reads))
    return Page(items=items, total=len(items))


def _signals(reads: Reads) -> list[Signal]:
    rows = reads.store().scan("Signal").read_all().to_pylist()
    return [
        Signal(signal=row["signal"], title=row["title"], group=row["group"], clusters=row["clusters"] or 0)
        for row in sorted(rows, key=lambda row: str(row["signal"]))
    ]
