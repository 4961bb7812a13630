"""Receivers of webhooks: the one of the recipe, and one that does whatever a test wants."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from actions.sinks.egress import EgressRules
from actions.sinks.webhook import Endpoint, WebhookSink, secret_text

PAGE = Path(__file__).parents[2] / "docs" / "recipes" / "webhook.md"
SECRET = b"0123456789abcdef0123456789abcdef"
OK = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"
Behaviour = Callable[[socket.socket, threading.Event], None]


def local_rules(port: int) -> EgressRules:
    """Plain HTTP to a port of this machine."""
    return EgressRules.of([f"127.0.0.1:{port}"], ["127.0.0.1 127.0.0.0/8"])


def local_sink(port: int, **options: Any) -> WebhookSink:
    """A sink that sends there."""
    options.setdefault("timeout", 5)
    endpoint = options.pop("endpoint", lambda: Endpoint(f"http://127.0.0.1:{port}/hook", (SECRET,)))
    return WebhookSink("webhook:test", endpoint, options.pop("rules", local_rules(port)), **options)


class Receiver:
    """Answers each request as `behave` says; `requests` are heads and bodies as they came."""

    def __init__(self, behave: Behaviour, tls: ssl.SSLContext | None = None) -> None:
        self.behave = behave
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.connections = 0
        self._over = threading.Event()
        self._tls = tls
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        """Stop."""
        self._over.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, raw: socket.socket) -> None:
        with raw:
            raw.settimeout(5)
            try:
                connection = raw if self._tls is None else self._tls.wrap_socket(raw, server_side=True)
            except OSError:
                return
            with connection:
                try:
                    while self._read(connection):
                        self.behave(connection, self._over)
                except OSError:
                    return

    def _read(self, connection: socket.socket) -> bool:
        data = b""
        while b"\r\n\r\n" not in data:
            part = connection.recv(65_536)
            if not part:
                return False
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = {"request": lines[0]} | {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])
        }
        while len(body) < int(headers["content-length"]):
            body += connection.recv(65_536)
        self.requests.append((headers, body))
        return True


def says(answer: bytes) -> Behaviour:
    """Answers with these bytes, whatever came."""
    return lambda connection, _: connection.sendall(answer)


def status(code: int, *headers: str, body: bytes = b"") -> Behaviour:
    """Answers with a status."""
    lines = [f"HTTP/1.1 {code} Said", f"Content-Length: {len(body)}", *headers]
    return says("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def silent(_: socket.socket, over: threading.Event) -> None:
    """Never answers."""
    over.wait(30)


def slow(answer: bytes) -> Behaviour:
    """Answers a byte at a time, each soon enough."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        for each in answer:
            connection.sendall(bytes([each]))
            if over.wait(0.02):
                return

    return behave


@contextmanager
def receiving(behave: Behaviour, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver for the time of a block."""
    receiver = Receiver(behave, tls)
    try:
        yield receiver
    finally:
        receiver.close()


class RecipeReceiver:
    """The code of docs/recipes/webhook.md, in a folder of its own."""

    def __init__(self, folder: Path, secret: bytes = SECRET) -> None:
        (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
        self.lines = sum(bool(line.strip()) for line in block.splitlines())
        names: dict[str, Any] = {"__name__": "receiver"}
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.setenv("RINGFENCE_WEBHOOK_SECRET", secret_text(secret))
            exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102  # that is what the page is for
        self._db = names["db"]
        handler = type("Quiet", (names["Receiver"],), {"log_message": lambda *_: None})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def state(self) -> dict[str, tuple[int, str]]:
        """Generation and restrictions by organization."""
        rows = self._db.execute("SELECT id, generation, restrictions FROM state").fetchall()
        return {row[0]: (row[1], row[2]) for row in rows}

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()
        self._db.close()
