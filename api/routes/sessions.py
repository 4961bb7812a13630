"""Signing in: by a one-time address, by password, or through a provider; and signing out."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Request, Response
from starlette.responses import RedirectResponse

from actions.access import sessions
from actions.refusals import Refusal
from api.auth import oidc
from api.auth.oidc import OidcProvider
from api.auth.permissions import Permission
from api.auth.principal import COOKIE, unauthenticated
from api.http import csrf
from api.http.guard import Routes, gate_of
from api.http.problems import Problem, of_refusal
from api.routes.needs import DeskOf, PrincipalOf, Services, ServicesOf
from api.schemas.base import Page
from api.schemas.sessions import NewPassword, Session, SessionOf, SigningIn

routes = Routes("sessions")
Secret = Annotated[str, Query(min_length=1, max_length=4_096)]
SessionId = Annotated[
    str,
    Path(
        pattern=r"^[a-z]+_[0-9a-f-]{8,64}$",
        description="A session's id.",
        examples=["ses_0198c5a0-7e60-768e-a4ed-e7825bf3ac8b"],
    ),
]


@routes.reads("/session/open", Permission.PUBLIC)
def open_session(
    services: ServicesOf,
    request: Request,
    response: Response,
    token: Annotated[str, Query(min_length=1, max_length=200)],
) -> Session:
    """Exchange a one-time token for a session cookie. It works once."""
    before = request.cookies.get(COOKIE)
    return _opened(services, response, services.identities.open_session(token, before))


@routes.changes("/session", Permission.PUBLIC, problems=("unauthenticated", "csrf"))
def sign_in(services: ServicesOf, request: Request, response: Response, given: SigningIn) -> Session:
    """Open a session with a name and its password. After ten wrong ones in a row none is looked at for a while."""
    csrf.check(request)
    try:
        secret = services.identities.sign_in(given.name, given.password, request.cookies.get(COOKIE))
    except Refusal as refusal:
        gate_of(request).refused(request)
        raise of_refusal(refusal) from None
    return _opened(services, response, secret)


@routes.reads(
    "/session/provider",
    Permission.PUBLIC,
    problems=("not_found", "unavailable"),
    response_class=RedirectResponse,
    status_code=303,
    responses={303: {"description": "To the provider's own page."}},
)
def begin_at_provider(services: ServicesOf) -> RedirectResponse:
    """Go to the identity provider to sign in there."""
    provider = _provider(services)
    begun = provider.begin()
    answer = RedirectResponse(begun.url, 303)
    answer.set_cookie(
        oidc.COOKIE,
        begun.ticket,
        max_age=int(oidc.TICKET.total_seconds()),
        path=provider.cookie_path,
        secure=services.secure,
        httponly=True,
        samesite="lax",
    )
    return answer


@routes.reads(
    "/session/provider/callback", Permission.PUBLIC, problems=("unauthenticated", "not_found", "unavailable")
)
def back_from_provider(
    services: ServicesOf,
    request: Request,
    response: Response,
    state: Secret,
    code: Secret | None = None,
    iss: Annotated[str | None, Query(max_length=1_000)] = None,
    error: Annotated[
        str | None, Query(max_length=200, description="Why the provider vouches for nobody.")
    ] = None,
    error_description: Annotated[str | None, Query(max_length=4_096)] = None,  # noqa: ARG001 - anybody's words
    session_state: Annotated[str | None, Query(max_length=4_096)] = None,  # noqa: ARG001 - some providers add it
) -> Session:
    """Come back from the provider: whoever it vouches for, and an admin has added here, has a session."""
    provider = _provider(services)
    if code is None or error is not None:
        raise Problem("unauthenticated", "the provider vouched for nobody", "Begin the sign-in again.")
    vouched = provider.finish(request.cookies.get(oidc.COOKIE, ""), state=state, code=code, issuer=iss)
    secret = services.identities.sign_in_as(
        vouched.issuer,
        vouched.subject,
        vouched.email,
        verified=vouched.email_verified,
        replaces=request.cookies.get(COOKIE),
    )
    response.delete_cookie(
        oidc.COOKIE, path=provider.cookie_path, secure=services.secure, httponly=True, samesite="lax"
    )
    return _opened(services, response, secret)


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


@routes.changes(
    "/session/password",
    Permission.READ,
    status_code=204,
    problems=("not_a_person", "weak_password", "forbidden"),
)
def change_password(desk: DeskOf, request: Request, given: NewPassword) -> None:
    """Change one's own password; one's other sessions end."""
    if not desk.principal.person:
        raise Problem("forbidden", "only people have passwords", "Sign in.")
    try:
        sessions.change_password(
            desk.ledger, desk.principal, given.before, given.password, request.cookies.get(COOKIE, "")
        )
    except Refusal as refusal:
        if refusal.code == "forbidden":
            gate_of(request).refused(request)
        raise


@routes.reads("/sessions")
def list_sessions(desk: DeskOf) -> Page[SessionOf]:
    """One's own open sessions."""
    with desk.ledger.reading() as reading:
        found = sessions.listed(reading, desk.principal.id, desk.principal)
    return Page(items=[SessionOf.of(each) for each in found], total=len(found))


@routes.changes("/sessions/{session_id}/end", Permission.READ, status_code=204)
def end_session(desk: DeskOf, session_id: SessionId) -> None:
    """End one of one's own sessions, wherever it is open."""
    with desk.ledger.transaction() as tx:
        sessions.end(tx, desk.principal.id, session_id, desk.principal)


def _opened(services: Services, response: Response, secret: str | None) -> Session:
    """Give the browser its cookie. Raises Problem (401) where nothing was opened."""
    principal = None if secret is None else services.identities.of_session(secret)
    if secret is None or principal is None:
        raise unauthenticated()
    response.set_cookie(
        COOKIE,
        secret,
        max_age=int(sessions.LASTS.total_seconds()),
        path="/",
        secure=services.secure,
        httponly=True,
        samesite="strict",
    )
    return Session.of(principal)


def _provider(services: Services) -> OidcProvider:
    if services.oidc is None:
        raise Problem(
            "not_found", "no identity provider is set up", "Sign in with a password: POST /v1/session."
        )
    return services.oidc
