"""Who may sign in, and as what. Only people who are admins change it, and nobody changes their own.

Where a secret is sent or shown, no Idempotency-Key is taken: answers under a key are kept, and a secret is not.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from actions import erasure
from actions.access import passwords, sessions, users
from api.auth.permissions import Permission
from api.http.guard import Routes
from api.http.problems import Problem
from api.routes.needs import After, CursorsOf, DeskOf, Limit
from api.schemas.base import Page
from api.schemas.plans import Why
from api.schemas.sessions import (
    EmailGiven,
    ErasedUser,
    Invited,
    PasswordGiven,
    RolesGiven,
    SessionOf,
    SessionsEnded,
    UserGiven,
    UserShown,
)

routes = Routes("users")
UserId = Annotated[
    str,
    Path(
        pattern=r"^(user|local):[a-z0-9._@+-]{1,64}$",
        description="A user's id.",
        examples=["user:ada"],
    ),
]
ADMIN = Permission.ADMINISTER
REFUSED = ("not_a_person", "wrong_state", "taken", "weak_password", "bad_request")


@routes.reads("/users", ADMIN)
def list_users(desk: DeskOf, cursors: CursorsOf, after: After = None, limit: Limit = 50) -> Page[UserShown]:
    """Users by id."""
    asked = ["users"]
    place = "" if after is None else cursors.read(asked, after)
    with desk.ledger.reading() as reading:
        found = users.listed(reading, after=place, limit=limit + 1)
    page, following = cursors.cut(asked, found, limit, lambda last: last.user_id)
    return Page(items=[UserShown.of(each) for each in page], next=following)


@routes.changes("/users", ADMIN, status_code=201, problems=REFUSED)
def add_user(desk: DeskOf, given: UserGiven) -> UserShown:
    """Add a person. The name is for good."""
    kept = None if given.password is None else passwords.hashed(given.password, given.name)
    with desk.ledger.transaction() as tx:
        return UserShown.of(
            users.create(tx, given.name, given.roles, desk.principal, email=given.email, password_hash=kept)
        )


@routes.changes("/users/{user_id}/roles", ADMIN, problems=REFUSED, once=True)
def set_roles(desk: DeskOf, user_id: UserId, given: RolesGiven) -> UserShown:
    """Give a user other roles, from the next request on."""
    with desk.ledger.transaction() as tx:
        return UserShown.of(users.set_roles(tx, user_id, given.roles, desk.principal))


@routes.changes("/users/{user_id}/password", ADMIN, status_code=204, problems=REFUSED)
def set_password(desk: DeskOf, user_id: UserId, given: PasswordGiven) -> None:
    """Give a user a new password; their sessions end. One's own: POST /v1/session/password, which asks for the old."""
    if user_id == desk.principal.id:
        raise Problem("forbidden", "nobody resets their own password", "POST /v1/session/password")
    kept = passwords.hashed(given.password, user_id.partition(":")[2])
    with desk.ledger.transaction() as tx:
        users.set_password(tx, user_id, kept, desk.principal)


@routes.changes("/users/{user_id}/email", ADMIN, problems=REFUSED, once=True)
def set_email(desk: DeskOf, user_id: UserId, given: EmailGiven) -> UserShown:
    """Bind a user to another address at the provider; their sessions end."""
    with desk.ledger.transaction() as tx:
        return UserShown.of(users.set_email(tx, user_id, given.email, desk.principal))


@routes.reads("/users/{user_id}/sessions", ADMIN)
def list_sessions(desk: DeskOf, user_id: UserId) -> Page[SessionOf]:
    """A user's open sessions."""
    with desk.ledger.reading() as reading:
        found = sessions.listed(reading, user_id, desk.principal)
    return Page(items=[SessionOf.of(each) for each in found], total=len(found))


@routes.changes("/users/{user_id}/sessions/end", ADMIN, problems=REFUSED, once=True)
def end_sessions(desk: DeskOf, user_id: UserId) -> SessionsEnded:
    """End all of a user's sessions."""
    with desk.ledger.transaction() as tx:
        return SessionsEnded(ended=sessions.end_all(tx, user_id, desk.principal))


@routes.changes("/users/{user_id}/invite", ADMIN, problems=REFUSED)
def invite_user(desk: DeskOf, user_id: UserId) -> Invited:
    """A path that opens one session, once: for somebody who has no way to sign in yet."""
    with desk.ledger.transaction() as tx:
        return Invited(path=f"/v1/session/open?token={sessions.invite(tx, user_id, desk.principal)}")


@routes.changes("/users/{user_id}/disable", ADMIN, problems=REFUSED, once=True)
def disable_user(desk: DeskOf, user_id: UserId, given: Why) -> UserShown:
    """End a user's sessions and let no new one begin."""
    with desk.ledger.transaction() as tx:
        return UserShown.of(users.disable(tx, user_id, desk.principal, reason=given.reason))


@routes.changes("/users/{user_id}/enable", ADMIN, problems=REFUSED, once=True)
def enable_user(desk: DeskOf, user_id: UserId, given: Why) -> UserShown:
    """Let a disabled user in again."""
    with desk.ledger.transaction() as tx:
        return UserShown.of(users.enable(tx, user_id, desk.principal, reason=given.reason))


@routes.changes("/users/{user_id}/erase", ADMIN, problems=REFUSED)
def erase_user(desk: DeskOf, user_id: UserId, given: Why) -> ErasedUser:
    """Take a person's name away everywhere; the audit keeps what they did under a name that says nothing."""
    with desk.ledger.transaction() as tx:
        tx.audit("user.erasure_asked", desk.principal, why=given.reason)
        known_as = users.erase(tx, user_id, desk.principal)
    erasure.overwrite(desk.ledger)
    return ErasedUser(known_as=known_as)
