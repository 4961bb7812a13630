"""Opening a session with a one-time address, and ending it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response

from api.auth.permissions import Permission
from api.auth.principal import COOKIE, SESSION, unauthenticated
from api.http.guard import Routes
from api.routes.needs import PrincipalOf, ServicesOf
from api.schemas.sessions import Session

routes = Routes("sessions")


@routes.reads("/session/open", Permission.PUBLIC)
def open_session(
    services: ServicesOf, response: Response, token: Annotated[str, Query(min_length=1, max_length=200)]
) -> Session:
    """Exchange a one-time token for a session cookie. It works once."""
    secret = services.identities.open_session(token) if token.isascii() else None
    principal = None if secret is None else services.identities.of_session(secret)
    if secret is None or principal is None:
        raise unauthenticated()
    response.set_cookie(
        COOKIE,
        secret,
        max_age=int(SESSION.total_seconds()),
        path="/",
        secure=services.secure,
        httponly=True,
        samesite="strict",
    )
    return Session.of(principal)


@routes.reads("/session")
async def session(principal: PrincipalOf) -> Session:
    """Who asks, and what they may."""
    return Session.of(principal)


@routes.changes("/session/close", Permission.READ, status_code=204)
def close_session(services: ServicesOf, request: Request, response: Response) -> None:
    """End the session of the cookie."""
    secret = request.cookies.get(COOKIE)
    if secret:
        services.identities.close_session(secret)
    response.delete_cookie(COOKIE, path="/", secure=services.secure, httponly=True, samesite="strict")
