"""What is going on, as it happens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Annotated

from fastapi import Header
from starlette.responses import StreamingResponse

from api.http.guard import Routes
from api.routes.needs import PrincipalOf, ServicesOf

routes = Routes("stream")
TYPE = "text/event-stream"
_EXAMPLE = 'event: run\nid: 9f2c1d3e4b5a6978\ndata: {"run_id":"run_20260304T120000Z_0000abcd"}\n\n'


@routes.reads(
    "/stream",
    response_class=StreamingResponse,
    responses={200: {"content": {TYPE: {"schema": {"type": "string"}, "example": _EXAMPLE}}}},
)
async def stream(
    services: ServicesOf,
    principal: PrincipalOf,
    last_event_id: Annotated[str | None, Header(max_length=64)] = None,
) -> StreamingResponse:
    """Server-sent events: `run`, `plans`, `queue` and `banner`, each whole whenever it changes, and all at first."""
    stream = services.stream
    leave = stream.enter(principal.id)
    return StreamingResponse(
        _until_gone(stream.events(last_event_id), leave),
        media_type=TYPE,
        headers={"X-Accel-Buffering": "no"},
    )


async def _until_gone(events: AsyncIterator[bytes], leave: Callable[[], None]) -> AsyncIterator[bytes]:
    """Pass events on; make room for another listener when the client is gone."""
    try:
        async for event in events:
            yield event
    finally:
        leave()
