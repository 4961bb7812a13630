"""Who asks: a token in the header, or a session in a cookie."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request

from actions.access.identities import LedgerIdentities
from actions.model import Principal
from api.http import csrf
from api.http.problems import Problem

COOKIE = "ringfence_session"
LONGEST = 4_096


def credentials(request: Request) -> tuple[str, str] | None:
    """What the request shows for itself: (`token` or `session`, its secret); a token before a cookie."""
    header = request.headers.get("authorization")
    if header is not None:
        scheme, _, secret = header.partition(" ")
        return "token", secret.strip() if scheme.lower() == "bearer" else ""
    cookie = request.cookies.get(COOKIE)
    return None if cookie is None else ("session", cookie)


def look_up(identities: LedgerIdentities, shown: tuple[str, str]) -> Principal | None:
    """The principal behind credentials."""
    kind, secret = shown
    if not secret or len(secret) > LONGEST or not secret.isascii():
        return None
    find: Callable[[str], Principal | None] = (
        identities.of_token if kind == "token" else identities.of_session
    )
    return find(secret)


def check_origin(request: Request, shown: tuple[str, str]) -> None:
    """A cookie has to come from this site; a token shows by itself that somebody meant it."""
    if shown[0] == "session":
        csrf.check(request)


def unauthenticated() -> Problem:
    """The answer to whoever is not known."""
    return Problem(
        "unauthenticated",
        "there is no valid token or session with this request",
        "Open the address that 'ringfence serve' printed, or send the header Authorization: Bearer TOKEN.",
        headers={"WWW-Authenticate": 'Bearer realm="ringfence"'},
    )
