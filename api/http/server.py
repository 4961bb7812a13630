"""The server process: bounded, quiet, and patient with nobody."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.auth.startup import Serving
from graph.errors import RingfenceError

HEAD_S = 10.0
"""Seconds for a request's head, from its connection's beginning or the end of the answer before."""

CONNECTIONS = 512
GRACE_S = 20
BACKLOG = 512


class ImpatientProtocol(H11Protocol):
    """HTTP/1.1 that hangs up on connections that dribble their request's head."""

    _head: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(transport)
        own = transport.get_extra_info("socket")
        if (
            own is not None and own.family != socket.AF_UNIX
        ):  # else an answer's body waits for an acknowledgement
            own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._forget()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Read what came; a whole head stops the clock."""
        super().handle_events()
        if self.cycle is not None and not self.cycle.response_complete:
            self._forget()
        elif self._head is None:
            self._wait_for_head()

    def on_response_complete(self) -> None:
        """See H11Protocol."""
        super().on_response_complete()
        if self._head is None and not self.transport.is_closing():
            self._wait_for_head()

    def _wait_for_head(self) -> None:
        self._head = self.loop.call_later(HEAD_S, self._hang_up)

    def _forget(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _hang_up(self) -> None:
        self._head = None
        if not self.transport.is_closing():
            self.transport.close()


def listen(serving: Serving) -> socket.socket:
    """The listening socket. Raises RingfenceError where the address is taken or may not be used."""
    host = serving.host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, serving.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise RingfenceError(
            f"cannot listen on {serving.host}:{serving.port}: {error.strerror or error}",
            "Choose another --port or --host.",
        ) from error


def configure(app: FastAPI, serving: Serving, **options: Any) -> uvicorn.Config:
    """How uvicorn serves an application."""
    return uvicorn.Config(
        app,
        host=serving.host,
        port=serving.port,
        http=ImpatientProtocol,
        ws="none",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(serving.proxies),
        forwarded_allow_ips=list(serving.proxies),
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=GRACE_S,
        h11_max_incomplete_event_size=48 << 10,
        ssl_certfile=serving.certificate,
        ssl_keyfile=serving.key,
        **options,
    )
