"""Connections to addresses that were checked, with one deadline over everything that happens on them."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpcore

from actions.sinks.egress import EgressRules, Resolver, Target, addresses

Monotonic = Callable[[], float]


class Deadline:
    """A point of time that all steps of one attempt share: slow bytes gain nothing by each being in time."""

    def __init__(self, monotonic: Monotonic = time.monotonic) -> None:
        self._monotonic = monotonic
        self._at = 0.0

    def start(self, seconds: float) -> None:
        """Begin anew."""
        self._at = self._monotonic() + seconds

    def left(self) -> float:
        """Seconds that are left. Raises httpcore.ReadTimeout when there are none."""
        left = self._at - self._monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("it took too long as a whole")
        return left


class PinnedBackend(httpcore.NetworkBackend):
    """Looks a name up itself, once for each connection, and connects to what it has checked.

    TLS still verifies the certificate against the name.
    """

    def __init__(self, target: Target, rules: EgressRules, resolve: Resolver, deadline: Deadline) -> None:
        self._target = target
        self._rules = rules
        self._resolve = resolve
        self._deadline = deadline
        self._system = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002  # the deadline is shorter
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect. Raises Refusal for an address that is not for us to ask, and what httpcore raises."""
        if (host, port) != (self._target.host, self._target.port):
            raise httpcore.ConnectError("this connection is for another host")
        try:
            found = addresses(self._target, self._rules, self._resolve, self._deadline.left())
        except OSError as error:
            raise httpcore.ConnectError(f"cannot look up the host: {error}") from error
        options = local_address, socket_options
        for left, address in zip(range(len(found), 0, -1), found, strict=True):
            try:
                stream = self._system.connect_tcp(address, port, self._deadline.left() / left, *options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if left == 1:
                    raise
            else:
                return _Bounded(stream, self._deadline)
        raise httpcore.ConnectError("the host has no address")


class _Bounded(httpcore.NetworkStream):
    """A stream whose every step ends with the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        """Bytes that came."""
        return self._stream.read(max_bytes, self._deadline.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        """Send bytes."""
        self._stream.write(buffer, self._deadline.left())

    def close(self) -> None:
        """Close it."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        """The same stream under TLS."""
        secured = self._stream.start_tls(ssl_context, server_hostname, self._deadline.left())
        return _Bounded(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        """What the stream knows of itself."""
        return self._stream.get_extra_info(info)
