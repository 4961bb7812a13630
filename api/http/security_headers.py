"""Headers that tell a browser what this site never does, and which host names are this site."""

from __future__ import annotations

from collections.abc import Collection

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.problems import Problem, response

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
ALWAYS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
NOT_STORED = (b"cache-control", b"no-store")
TRANSPORT = (b"strict-transport-security", b"max-age=31536000")


class SecurityHeaders:
    """Adds the headers to every response and refuses foreign host names (DNS rebinding).

    `hosts` are names without a port, lower case; `secure` says that browsers come over TLS.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], *, secure: bool = False) -> None:
        self._app, self._hosts = app, frozenset(hosts)
        self._always = (*ALWAYS, TRANSPORT) if secure else ALWAYS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                known = {name.lower() for name, _ in given}
                added = [pair for pair in (*self._always, NOT_STORED) if pair[0] not in known]
                message = {**message, "headers": given + added}
            await send(message)

        if host_of(scope) not in self._hosts:
            problem = Problem(
                "bad_host", "this host name is not served", "Use the address that 'ringfence serve' printed."
            )
            await response(problem)(scope, receive, with_headers)
            return
        await self._app(scope, receive, with_headers)


def host_of(scope: Scope) -> str:
    """The one Host header's name without its port; empty when there is none, or several."""
    found = [value for name, value in scope["headers"] if name == b"host"]
    if len(found) != 1:
        return ""
    text: str = found[0].decode("latin-1").lower()
    if text.startswith("["):
        return text.partition("]")[0] + "]"
    return text.partition(":")[0]
