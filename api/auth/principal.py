"""Who asks: a token in the header, or a session in a cookie. Where they are kept is behind `Identities`."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from starlette.requests import Request

from actions.model import Clock, Principal, utc_now
from api.auth.permissions import ROLES
from api.http import csrf
from api.http.problems import Problem

COOKIE = "ringfence_session"
TOKEN_BYTES = 32
LONGEST = 4_096
ONE_TIME = timedelta(minutes=10)
SESSION = timedelta(hours=12)


class Identities(Protocol):
    """Whom tokens and sessions belong to. None for what is unknown, expired or revoked: they look alike.

    Implementations answer from any thread; `blocking` says that they may wait (for a database, a provider), and are
    then asked in a thread.
    """

    @property
    def blocking(self) -> bool:
        """Whether an answer may take longer than a look into memory."""

    def of_token(self, token: str) -> Principal | None:
        """The principal of a bearer token."""

    def of_session(self, secret: str) -> Principal | None:
        """The principal of a session's cookie."""

    def open_session(self, one_time: str) -> str | None:
        """Exchange a one-time token, once, for the secret of a new session."""

    def close_session(self, secret: str) -> None:
        """End a session."""

    def approvers(self) -> int:
        """How many people may approve: production wants two."""


@dataclass(frozen=True)
class _Kept:
    principal: Principal
    until: datetime


@dataclass
class LocalIdentities:
    """One person on their own machine: a URL that works once opens the session; in memory only."""

    clock: Clock = utc_now
    principal: Principal = field(default_factory=lambda: Principal("local:owner", frozenset(ROLES), "local"))
    blocking: bool = False
    _one_time: dict[bytes, _Kept] = field(default_factory=dict)
    _sessions: dict[bytes, _Kept] = field(default_factory=dict)
    _tokens: dict[bytes, _Kept] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def invite(self) -> str:
        """A new one-time token."""
        return self._keep(self._one_time, self.principal, ONE_TIME, "")

    def issue(self, principal: Principal, life: timedelta = SESSION) -> str:
        """A bearer token for a principal, while this process lives."""
        return self._keep(self._tokens, principal, life, "rf_")

    def of_token(self, token: str) -> Principal | None:
        """See `Identities.of_token`."""
        return self._known(self._tokens, token)

    def of_session(self, secret: str) -> Principal | None:
        """See `Identities.of_session`."""
        return self._known(self._sessions, secret)

    def open_session(self, one_time: str) -> str | None:
        """See `Identities.open_session`."""
        with self._lock:
            kept = self._one_time.pop(_digest(one_time), None)
        if kept is None or kept.until <= self.clock():
            return None
        return self._keep(self._sessions, kept.principal, SESSION, "")

    def close_session(self, secret: str) -> None:
        """See `Identities.close_session`."""
        with self._lock:
            self._sessions.pop(_digest(secret), None)

    def approvers(self) -> int:
        """See `Identities.approvers`."""
        return 1

    def _keep(self, place: dict[bytes, _Kept], who: Principal, life: timedelta, prefix: str) -> str:
        secret = prefix + secrets.token_urlsafe(TOKEN_BYTES)
        now = self.clock()
        with self._lock:
            for old in [digest for digest, kept in place.items() if kept.until <= now]:
                del place[old]
            place[_digest(secret)] = _Kept(who, now + life)
        return secret

    def _known(self, place: dict[bytes, _Kept], secret: str) -> Principal | None:
        kept = place.get(_digest(secret))
        return kept.principal if kept is not None and kept.until > self.clock() else None


def credentials(request: Request) -> tuple[str, str] | None:
    """What the request shows for itself: (`token` or `session`, its secret); a token before a cookie."""
    header = request.headers.get("authorization")
    if header is not None:
        scheme, _, secret = header.partition(" ")
        return "token", secret.strip() if scheme.lower() == "bearer" else ""
    cookie = request.cookies.get(COOKIE)
    return None if cookie is None else ("session", cookie)


def look_up(identities: Identities, shown: tuple[str, str]) -> Principal | None:
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


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
