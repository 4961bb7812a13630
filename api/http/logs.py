"""One JSON line a request, with an id; neither query, headers nor body, so no secret gets there."""

from __future__ import annotations

import re
import secrets
import sys
import time
from typing import TextIO

import orjson
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.metrics import Metrics
from api.http.problems import internal, response

HEADER = b"x-request-id"
_GIVEN = re.compile(rb"[A-Za-z0-9_.-]{8,64}")


def logger(out: TextIO | None = None) -> structlog.stdlib.BoundLogger:
    """A logger that writes one JSON object a line, by default to standard error."""
    return structlog.wrap_logger(  # type: ignore[no-any-return]
        structlog.PrintLogger(out or sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(),
            structlog.processors.JSONRenderer(serializer=_serialized),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(20),
    )


class Requests:
    """Gives every request an id, a log line and its place in the metrics; the last catch of what went wrong.

    The id is the client's `X-Request-Id` where that is a plain word, else a random one.
    """

    def __init__(self, app: ASGIApp, log: structlog.stdlib.BoundLogger, metrics: Metrics) -> None:
        self._app, self._log, self._metrics = app, log, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0
        began = time.perf_counter()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {
                    **message,
                    "headers": [*message.get("headers", ()), (HEADER, request_id.encode())],
                }
            await send(message)

        with self._metrics.in_flight.track_inprogress():
            try:
                await self._app(scope, receive, watched)
            except Exception:  # the last line of defence: a client gets a sentence, the log the traceback
                self._log.exception("failed", request_id=request_id, route=_route(scope))
                if status:
                    raise
                await response(internal(request_id))(scope, receive, watched)
        self._tell(scope, status, time.perf_counter() - began)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        route, state = _route(scope), scope["state"]
        self._metrics.observe(scope["method"], route, status, seconds)
        self._log.info(
            "request",
            request_id=state["request_id"],
            method=scope["method"],
            route=route,
            status=status,
            ms=round(seconds * 1000, 2),
            principal=state.get("principal_id"),
        )


def _route(scope: Scope) -> str:
    """The route's pattern: a path may hold ids, and there is no end of them."""
    route = scope.get("route")
    return getattr(route, "path", "unknown")


def _request_id(scope: Scope) -> str:
    given = next((value for name, value in scope["headers"] if name == HEADER), b"")
    return given.decode() if _GIVEN.fullmatch(given) else secrets.token_hex(12)


def _serialized(event: object, **_: object) -> str:
    return orjson.dumps(event, default=str).decode()
