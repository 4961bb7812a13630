"""Events in."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request

from api.auth.permissions import Permission
from api.http.guard import Routes
from api.http.problems import Problem
from api.routes.needs import ServicesOf
from api.schemas.events import EventsTaken, RefusedRow

routes = Routes("events")
PATH = "/v1/events"
NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl")
RESERVED = frozenset({"decisions"})
"""Sources in whose name only this product speaks."""

_BODY = {
    "requestBody": {
        "required": True,
        "description": "One event a line; `Content-Encoding: gzip` is understood.",
        "content": {
            NDJSON[0]: {
                "schema": {"type": "string"},
                "example": '{"event_type": "organization_created", "occurred_at": "2026-03-04T12:00:00Z", '
                '"org_id": "org_1", "event_id": "e1"}\n',
            }
        },
    }
}


@routes.changes("/events", Permission.INGEST, openapi_extra=_BODY, problems=["busy"])
async def post_events(
    request: Request,
    services: ServicesOf,
    source: Annotated[
        str, Query(pattern=r"^[A-Za-z0-9_.-]{1,64}$", description="Where rows come from.")
    ] = "default",
) -> EventsTaken:
    """Store events. Sending the same rows again stores nothing twice: a row's `event_id` makes it unique."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in NDJSON:
        raise Problem("unsupported_media_type", "events come as NDJSON", f"Send Content-Type: {NDJSON[0]}.")
    if source in RESERVED:
        raise Problem("invalid", "this source is reserved", "Name another one, or use /v1/labels.")
    packed = request.headers.get("content-encoding") == "gzip"
    taken = await services.intake.take(request.stream(), source, packed=packed)
    counts = taken.counts
    for became in ("stored", "duplicates", "quarantined"):
        services.metrics.events.labels(became).inc(getattr(counts, became))
    return EventsTaken(
        ingest=taken.ingest,
        rows=counts.rows,
        stored=counts.stored,
        duplicates=counts.duplicates,
        quarantined=counts.quarantined,
        erased=counts.erased,
        refused=[RefusedRow(**vars(each)) for each in taken.refused],
    )
