"""Detectors: those that ship, and those of the home."""

from __future__ import annotations

import time
from dataclasses import asdict

from api.http.guard import Routes
from api.routes.needs import ReadsOf
from api.schemas.base import Page
from api.schemas.runs import DetectorOf
from detection.lifecycle.listing import listed

routes = Routes("detectors")
FRESH_S = 10
"""Seconds after which the files of the home's detectors are looked at again."""


@routes.reads("/detectors")
def list_detectors(reads: ReadsOf) -> Page[DetectorOf]:
    """Every detector with its state, its most points and what it says in the current run."""

    def make() -> list[DetectorOf]:
        rows = [asdict(one) for one in listed(reads.home)]
        return [DetectorOf(**{name: row[name] for name in DetectorOf.model_fields}) for row in rows]

    items = reads.kept("detectors", int(time.monotonic() / FRESH_S), make)
    return Page(items=items, total=len(items))
