"""What a request may weigh, checked before anything parses it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.problems import Problem, response

_NUL = b"\x00"


@dataclass(frozen=True)
class Caps:
    """Bounds of a request. Bytes unless said otherwise."""

    body: int = 1 << 20
    """JSON bodies."""
    named: int = 16 << 20
    """JSON bodies that may name 50,000 organizations."""
    streamed: int = 256 << 20
    """Bodies that go to disk as they come (events)."""
    headers: int = 32 << 10
    header_count: int = 100
    target: int = 8 << 10
    """Path and query together."""
    between_s: float = 15.0
    """Longest silence within a body."""
    slowest: int = 4 << 10
    """Bytes a second, on average, once a body has taken longer than `between_s`."""


class Limits:
    """Refuses what is too large, too slow or no UTF-8. `larger` are the paths whose bodies may have more bytes."""

    def __init__(self, app: ASGIApp, caps: Caps, larger: Mapping[str, int] | None = None) -> None:
        self._app, self._caps, self._larger = app, caps, larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope)
        except Problem as problem:
            await response(problem)(scope, receive, send)
            return
        cap = self._larger.get(scope["path"], self._caps.body)
        body = _Body(receive, cap, self._caps)
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, body, watched)
        except Problem as problem:
            if started:
                raise
            await response(problem)(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        caps = self._caps
        headers = scope["headers"]
        weight = sum(len(name) + len(value) for name, value in headers)
        if len(headers) > caps.header_count or weight > caps.headers:
            raise Problem(
                "headers_too_large",
                f"more than {caps.header_count} headers or {caps.headers} bytes of them",
                "Send fewer.",
            )
        path, query = scope.get("raw_path") or scope["path"].encode(), scope["query_string"]
        if len(path) + len(query) > caps.target:
            raise Problem("uri_too_long", f"more than {caps.target} bytes", "Ask for less at once.")
        _strict(path)
        _strict(query)
        self._check_length(scope)

    def _check_length(self, scope: Scope) -> None:
        """A body that says at once that it is too large is not read at all."""
        cap = self._larger.get(scope["path"], self._caps.body)
        for name, value in scope["headers"]:
            if name == b"content-length" and (not value.isdigit() or int(value[:20]) > cap):
                raise _too_large(cap)
            if name == b"content-encoding" and value not in (b"identity", b"gzip"):
                raise Problem(
                    "unsupported_media_type", "this content encoding is not read", "Send it plain or as gzip."
                )


class _Body:
    """The body's messages, counted and timed."""

    def __init__(self, receive: Receive, cap: int, caps: Caps) -> None:
        self._receive, self._cap, self._caps = receive, cap, caps
        self._seen = 0
        self._began = time.monotonic()
        self._complete = False

    async def __call__(self) -> Message:
        if self._complete:  # what follows is only the news that the client left
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), self._caps.between_s)
        except TimeoutError:
            raise _too_slow() from None
        if message["type"] != "http.request":
            return message
        self._seen += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._seen > self._cap:
            raise _too_large(self._cap)
        taken = time.monotonic() - self._began
        if not self._complete and taken > self._caps.between_s and self._seen < taken * self._caps.slowest:
            raise _too_slow()
        return message


def _strict(part: bytes) -> None:
    """Refuse what is no UTF-8 once percent signs are resolved, and NUL, which no id or text holds."""
    raw = unquote_to_bytes(part.replace(b"+", b" "))
    try:
        raw.decode()
    except UnicodeDecodeError:
        raise Problem("bad_request", "the address is no UTF-8", "Encode it as UTF-8.") from None
    if _NUL in raw:
        raise Problem("bad_request", "the address holds a NUL character", "Leave it out.")


def _too_large(cap: int) -> Problem:
    return Problem("too_large", f"the body has more than {cap} bytes", "Send it in parts.", headers=_CLOSE)


def _too_slow() -> Problem:
    return Problem("too_slow", "the body came too slowly", "Send it again, faster.", headers=_CLOSE)


_CLOSE = {"Connection": "close"}
