"""Sessions, users and tokens over the wire."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from actions.access.sessions import Session as Kept
from actions.access.tokens import Issued, Token
from actions.access.users import User
from actions.model import Principal
from api.auth.permissions import permissions
from api.schemas.base import AT, Answered, Given, Moment, Words, example

UserName = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Password = Annotated[str, StringConstraints(min_length=1, max_length=1_024)]
RoleName = Literal["ingester", "viewer", "analyst", "operator", "approver", "auditor", "admin"]
Roles = Annotated[list[RoleName], Field(min_length=1, max_length=7)]


class Session(Answered):
    """Who asks, and what they may."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {"principal": "local:owner", "kind": "local", "roles": ["viewer"], "permissions": ["read"]}
        )
    )
    principal: str
    kind: str
    roles: list[str]
    permissions: list[str]

    @classmethod
    def of(cls, principal: Principal) -> Session:
        """From the principal."""
        allowed = sorted(one.value for one in permissions(principal))
        return cls(
            principal=principal.id, kind=principal.kind, roles=sorted(principal.roles), permissions=allowed
        )


class SigningIn(Given):
    """A name and its password."""

    model_config = ConfigDict(
        json_schema_extra=example({"name": "ada", "password": "four unrelated words here"})
    )
    name: UserName
    password: Password


class NewPassword(Given):
    """One's password, and the one to come."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {"before": "four unrelated words here", "password": "other words that nobody guesses"}
        )
    )
    before: Password
    password: Password


class SessionOf(Answered):
    """One of somebody's sessions; its id ends it, and opens nothing."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "session_id": "ses_0198c5a0-7e60-768e-a4ed-e7825bf3ac8b",
                "how": "password",
                "created_at": AT,
                "expires_at": AT,
            }
        )
    )
    session_id: str
    how: str
    created_at: Moment
    expires_at: Moment

    @classmethod
    def of(cls, kept: Kept) -> SessionOf:
        """From the ledger's."""
        return cls.model_validate(vars(kept))


class UserGiven(Given):
    """A new user. With an `email` they sign in through the provider, with a `password` by it; else by invitation."""

    model_config = ConfigDict(
        json_schema_extra=example({"name": "ada", "roles": ["operator"], "email": "ada@example.com"})
    )
    name: UserName
    roles: Roles
    email: Annotated[str | None, StringConstraints(max_length=255)] = None
    password: Password | None = None


class RolesGiven(Given):
    """All the roles that a user has from now on."""

    model_config = ConfigDict(json_schema_extra=example({"roles": ["operator", "approver"]}))
    roles: Roles


class PasswordGiven(Given):
    """A new password; it ends the user's sessions."""

    model_config = ConfigDict(json_schema_extra=example({"password": "four unrelated words here"}))
    password: Password


class EmailGiven(Given):
    """The address with which the user signs in at the provider from now on; null: not there any more."""

    model_config = ConfigDict(json_schema_extra=example({"email": "ada@example.com"}))
    email: Annotated[str | None, StringConstraints(max_length=255)]


class SessionsEnded(Answered):
    """How many sessions ended."""

    model_config = ConfigDict(json_schema_extra=example({"ended": 2}))
    ended: int


class UserShown(Answered):
    """One person who may sign in."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "user_id": "user:ada",
                "roles": ["operator"],
                "email": "ada@example.com",
                "signs_in_with": ["provider"],
                "created_by": "user:admin",
                "created_at": AT,
                "disabled_at": None,
            }
        )
    )
    user_id: str
    roles: list[str]
    email: str | None
    signs_in_with: list[str]
    created_by: str
    created_at: Moment
    disabled_at: Moment | None

    @classmethod
    def of(cls, user: User) -> UserShown:
        """From the ledger's."""
        return cls(
            user_id=user.user_id,
            roles=sorted(user.roles),
            email=user.email,
            signs_in_with=list(user.signs_in_with),
            created_by=user.created_by,
            created_at=user.created_at,
            disabled_at=user.disabled_at,
        )


class Invited(Answered):
    """A path that opens one session for the user, once. It is not shown again."""

    model_config = ConfigDict(json_schema_extra=example({"path": "/v1/session/open?token=abc"}))
    path: str


class ErasedUser(Answered):
    """The name under which what the person did stays in the audit."""

    model_config = ConfigDict(json_schema_extra=example({"known_as": "s_0a1b2c3d"}))
    known_as: str


class TokenGiven(Given):
    """A token for a script: it acts as `token:NAME`, with roles that need no person, for 90 days at most."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {"name": "bouncer", "roles": ["operator"], "purpose": "blocks at the edge", "days": 30}
        )
    )
    name: UserName
    roles: Roles
    purpose: Words
    days: Annotated[int, Field(ge=1, le=90)] = 30


class Rotating(Given):
    """For how long the successor lives."""

    model_config = ConfigDict(json_schema_extra=example({"days": 30}))
    days: Annotated[int, Field(ge=1, le=90)] = 30


_TOKEN = {
    "token_id": "tok_0198c5a0-7e60-768e-a4ed-e7825bf3ac8b",
    "name": "bouncer",
    "roles": ["operator"],
    "purpose": "blocks at the edge",
    "hint": "x3fG",
    "created_by": "user:admin",
    "created_at": AT,
    "expires_at": AT,
    "ended_at": None,
}


class TokenShown(Answered):
    """A token without its secret; `hint`: the secret's last four characters."""

    model_config = ConfigDict(json_schema_extra=example(_TOKEN))
    token_id: str
    name: str
    roles: list[str]
    purpose: str
    hint: str
    created_by: str
    created_at: Moment
    expires_at: Moment
    ended_at: Moment | None

    @classmethod
    def of(cls, token: Token) -> TokenShown:
        """From the ledger's."""
        return cls.model_validate({**vars(token), "roles": sorted(token.roles)})


class TokenIssued(Answered):
    """A new token with its secret, which is shown this once."""

    model_config = ConfigDict(json_schema_extra=example({"token": _TOKEN, "secret": "rf_…"}))
    token: TokenShown
    secret: str

    @classmethod
    def of(cls, issued: Issued) -> TokenIssued:
        """From the ledger's."""
        return cls(token=TokenShown.of(issued.token), secret=issued.secret)
